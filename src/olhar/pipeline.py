"""The one place that orders fit → save → export → evaluate.

Settings are checked before data is read, and data before torch is loaded; the run folder appears
once all of them are accepted.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shlex
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar._version import __version__
from olhar.classifier import Classifier, ModelConfig, load_classifier, save_classifier
from olhar.datasets import NAMED, Dataset, Splits, load_named, prepare_dataset, split_dataset
from olhar.errors import ConfigError, DataError, MissingExtraError, unknown_name
from olhar.evaluation.report import Report, build_report, prediction_rows
from olhar.files import write_atomic_with
from olhar.i18n import _
from olhar.networks.specs import (
    LISTED,
    NetworkSpec,
    check_size,
    count_parameters,
    native_size,
    network_source,
    resolve_network,
)
from olhar.preprocess import Preprocess, channel_statistics
from olhar.progress import Progress
from olhar.run import RunFolder, create_run, free_run_path
from olhar.training.recipe import (
    Recipe,
    build_recipe,
    divide_settings,
    kept_recipe,
    load_recipe_file,
)

if TYPE_CHECKING:
    import torch

    from olhar.training.fit import FitState
    from olhar.training.machine import Machine

DEFAULT_NETWORK = "cnn-32-64-64"
SPLITS = ("train", "val", "test")
_ROWS_AT_ONCE = 1024
_UNEQUAL, _VERY_UNEQUAL = 1.5, 10.0  # largest class over smallest
_AFTER_TRAINING_S = 15.0  # saving, measuring and drawing
_MOST_EPOCHS = 300  # more of them teach a small network nothing

Probs = NDArray[np.float32]


@dataclass(frozen=True)
class DataSettings:
    """Which data, and how it is divided and brought to the network.

    Attributes:
        name: a named data set.
        val: size of the validation split (see datasets.splits); None is the default.
        test: size of the test split, where the set has none; None is the default.
        split_seed: another number divides otherwise.
        channels: 1 or 3; None is what the set has.
        size: side of the network's input; None is the network's native size.
        resize: crop or squash.
    """

    name: str
    val: float | None = None
    test: float | None = None
    split_seed: int = 0
    channels: int | None = None
    size: int | None = None
    resize: str = "crop"


@dataclass(frozen=True)
class Run:
    """A run that has ended: its folder, report and classifier."""

    folder: RunFolder
    report: Report

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def classifier(self) -> Classifier:
        """The trained classifier, loaded from the run folder."""
        return load_classifier(self.path)

    @property
    def history(self) -> list[dict[str, float]]:
        """A row an epoch."""
        return self.folder.read_history()

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def load_run(path: Path | str) -> Run:
    """A run that has ended, from its folder.

    Raises:
        MissingFileError: no run there, or one that has not been evaluated.
    """
    folder = RunFolder(path)
    folder.read_config()
    return Run(folder, Report.from_dict(folder.read_metrics()))


def train(
    data: str,
    network: str | None = None,
    *,
    run: Path | str | None = None,
    recipe: Path | str | Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    val: float | None = None,
    test: float | None = None,
    split_seed: int = 0,
    channels: int | None = None,
    size: int | None = None,
    **settings: Any,
) -> Run:
    """Train, save, export and evaluate a classifier; everything is in the run folder.

    Args:
        data: name of a data set.
        network: name of a network; by default one is chosen, and the choice said.
        run: the folder to make; by default runs/DATA-NETWORK.
        recipe: a recipe file or its settings, instead of the kept ones for this network and data.
        overwrite: replace a run folder that exists.
        progress: hears of the progress.
        val: share or count of validation images.
        test: share or count of test images, where the set has no test split.
        split_seed: another number divides the data otherwise.
        channels: 1 or 3.
        size: side of the network's input in pixels.
        **settings: any setting of the recipe or the network, such as epochs, lr, width.

    Raises:
        ConfigError: a setting that does not exist or cannot be used.
        DataError: data that cannot be used.
        RunExistsError: the run folder exists.
        DivergedError: the loss came to NaN.
    """
    progress = progress or Progress()
    from_file = (
        load_recipe_file(Path(recipe)) if isinstance(recipe, str | Path) else dict(recipe or {})
    )
    named = from_file.pop("network", None)
    chosen = str(network or named or DEFAULT_NETWORK)
    if not network and not named:
        progress.note(_("no network named; taking {name}", name=chosen))
    asked = {**from_file, **settings}
    canonical, network_settings = _resolve(chosen, asked, progress)
    wanted, own = divide_settings(asked, network_settings, canonical)
    kept = {} if recipe is not None else kept_recipe(canonical, data if data in NAMED else "")
    final = build_recipe({**kept, **wanted})
    if final.minutes and "epochs" in wanted:
        raise ConfigError(
            _("epochs and minutes cannot both be given: minutes chooses the epochs that fit")
        )
    data_settings = DataSettings(data, val, test, split_seed, channels, size)
    _require_training()
    dataset, splits, spec, preprocess = _open(data_settings, canonical, network_settings, progress)
    path = Path(run) if run is not None else free_run_path(f"{data}-{spec.name}")
    from olhar.training.machine import choose_machine, describe_machine

    machine = choose_machine(spec, final.device, final.precision)
    final = _balanced(final, dataset.labels[splits.train], progress)
    if final.minutes:
        final = _timed(
            _Job(RunFolder(path), dataset, splits, spec, preprocess, final, machine), progress
        )
    config = {
        "olhar": __version__,
        "command": _command(data_settings, spec.name, path, {**wanted, **own}),
        "data": _data_table(data_settings, dataset, splits),
        "network": spec.to_dict(),
        "preprocess": preprocess.to_dict(),
        "recipe": final.to_dict(),
        "machine": describe_machine(machine),
    }
    folder = create_run(path, config, overwrite=overwrite)
    job = _Job(folder, dataset, splits, spec, preprocess, final, machine)
    return _run(job, None, progress)


def resume(run: Path | str, *, progress: Progress | None = None) -> Run:
    """Go on with a run that was cut off; it ends in the weights of one that was not.

    Raises:
        MissingFileError: this is no run folder.
        DataError: the data is not what it was.
    """
    progress = progress or Progress()
    folder = RunFolder(run)
    config = folder.read_config()
    if folder.model.is_dir() and folder.metrics.is_file():
        progress.note(_("run '{path}' has ended already", path=folder.path))
        return load_run(folder.path)
    _require_training()
    table, network = config["data"], config["network"]
    keys = [field.name for field in dataclasses.fields(DataSettings)]
    data_settings = DataSettings(**{key: table[key] for key in keys if key in table})
    dataset, splits, spec, preprocess = _open(
        data_settings, network["name"], network["settings"], progress
    )
    _check_fingerprint(dataset, table["fingerprint"])
    recipe = build_recipe(config["recipe"])
    from olhar.training.checkpoint import load_checkpoint
    from olhar.training.machine import Machine

    keys = [field.name for field in dataclasses.fields(Machine)]
    machine = Machine(**{key: config["machine"][key] for key in keys})
    state = load_checkpoint(folder.checkpoint) if folder.checkpoint.is_file() else None
    job = _Job(folder, dataset, splits, spec, preprocess, recipe, machine)
    return _run(job, state, progress)


@dataclass(frozen=True)
class _Job:
    """All that a training is made of, accepted and ready."""

    folder: RunFolder
    dataset: Dataset
    splits: Splits
    spec: NetworkSpec
    preprocess: Preprocess
    recipe: Recipe
    machine: Machine


def _run(job: _Job, state: FitState | None, progress: Progress) -> Run:
    """Train, save, then measure and draw."""
    state = _fit(job, state, progress)
    if not job.folder.model.is_dir():  # it is there where a run was cut off while measuring
        _save(job, state)
    report, probs = _measure(job, progress)
    _draw(job, state, report, probs)
    return Run(job.folder, report)


def _fit(job: _Job, state: FitState | None, progress: Progress) -> FitState:
    import torch

    from olhar.networks.build import Normalise, build_network
    from olhar.training.checkpoint import save_checkpoint
    from olhar.training.fit import build_validation, fit

    recipe, machine = job.recipe, job.machine
    torch.manual_seed(recipe.seed)
    network = build_network(job.spec)
    images = _tensor(job.dataset.images)
    labels = torch.from_numpy(job.dataset.labels)
    normalise = Normalise(job.preprocess.mean, job.preprocess.std)
    epochs = recipe.epochs

    def on_step(step: int, steps: int, loss: float, accuracy: float) -> None:
        progress.advance(step, f"loss {loss:.3f}  acc {accuracy:.3f}")
        del steps

    def on_epoch(state: FitState) -> None:
        save_checkpoint(job.folder.checkpoint, state)
        job.folder.write_history(state.history)
        progress.epoch(state.history[-1], epochs)

    return fit(
        network,
        images,
        labels,
        torch.from_numpy(job.splits.train),
        recipe,
        machine,
        normalise=normalise,
        validate=build_validation(
            images, labels, torch.from_numpy(job.splits.val), machine, normalise
        ),
        on_step=on_step,
        on_epoch=on_epoch,
        state=state,
    )


def _tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """The pool as a tensor over the same memory; nobody writes to it."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)


def _balanced(recipe: Recipe, labels: NDArray[np.int64], progress: Progress) -> Recipe:
    """The recipe with `balance` decided, by how unequal the classes of the training images are."""
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    ratio = float(counts.max() / counts.min())
    if recipe.balance != "auto":
        return recipe
    if ratio < _UNEQUAL:
        return dataclasses.replace(recipe, balance="none")
    balance = "weights" if ratio < _VERY_UNEQUAL else "sampling"
    what = _("class weights in the loss") if balance == "weights" else _("balanced sampling")
    progress.note(
        _(
            "the largest class has {ratio} times the images of the smallest; using {what} "
            "(--set balance=none leaves the classes as they are)",
            ratio=f"{ratio:.1f}",
            what=what,
        )
    )
    return dataclasses.replace(recipe, balance=balance)


def _timed(job: _Job, progress: Progress) -> Recipe:
    """The recipe with as many epochs as fit into its minutes, measured on this machine."""
    import torch

    from olhar.networks.build import Normalise, build_network
    from olhar.training.fit import measure_epoch_s

    torch.manual_seed(job.recipe.seed)
    epoch_s = measure_epoch_s(
        build_network(job.spec),
        _tensor(job.dataset.images),
        torch.from_numpy(job.dataset.labels),
        torch.from_numpy(job.splits.train),
        job.recipe,
        job.machine,
        normalise=Normalise(job.preprocess.mean, job.preprocess.std),
    )
    available_s = 60 * job.recipe.minutes - _AFTER_TRAINING_S
    epochs = int(np.clip(available_s / epoch_s, 1, _MOST_EPOCHS))
    progress.note(
        _(
            "{epochs} epochs fit into {minutes} minutes: an epoch takes about {seconds} s here",
            epochs=epochs,
            minutes=f"{job.recipe.minutes:g}",
            seconds=f"{epoch_s:.2f}",
        )
    )
    return dataclasses.replace(job.recipe, epochs=epochs)


def _save(job: _Job, state: FitState) -> None:
    """Write model/ from the best weights."""
    from olhar.export import export_network, network_weights
    from olhar.networks.build import build_network

    network = build_network(job.spec)
    network.load_state_dict(state.best)
    chosen = job.splits.train[np.linspace(0, len(job.splits.train) - 1, 16).astype(int)]
    samples = job.dataset.images[np.unique(chosen)].transpose(0, 3, 1, 2)
    onnx, golden = export_network(network, job.preprocess, samples)
    table = job.folder.read_config()
    config = ModelConfig(
        network=table["network"],
        class_names=job.dataset.class_names,
        translated_names=job.dataset.translated_names,
        preprocess=job.preprocess,
        data=table["data"],
    )
    save_classifier(job.folder.model, config, network_weights(network), onnx, golden)


def _measure(job: _Job, progress: Progress) -> tuple[Report, Probs]:
    """Measure the saved model on the test split: the one time that it is read."""
    indices = job.splits.test
    probs = _probs(load_classifier(job.folder.path), job.dataset, indices, progress)
    report = _report(job.dataset, indices, probs, "test")
    items = [job.dataset.item_name(int(index)) for index in indices]
    header = "file" if job.dataset.files else "index"
    labels, names = job.dataset.labels[indices], job.dataset.class_names
    job.folder.write_predictions(prediction_rows(probs, labels, names, items, header))
    job.folder.write_metrics(report.to_dict())
    return report, probs


def _draw(job: _Job, state: FitState, report: Report, probs: Probs) -> None:
    """The four plots, each from what was just measured."""
    from olhar.evaluation import plots

    folder, names = job.folder, job.dataset.shown_names
    labels = job.dataset.labels[job.splits.test]
    images = _Rows(job.dataset.images, job.splits.test)
    items = [job.dataset.item_name(int(index)) for index in job.splits.test]
    plots.save_figure(
        plots.plot_learning_curve(state.history, state.best_epoch), folder.learning_curve
    )
    plots.save_figure(
        plots.plot_confusion_matrix(report.confusion_matrix, names), folder.confusion_matrix
    )
    plots.save_figure(plots.plot_samples(images, labels, probs, names), folder.samples)
    plots.save_figure(
        plots.plot_worst_errors(images, labels, probs, names, items), folder.worst_errors
    )


class _Rows:
    """Some rows of a memory-mapped pool, read one by one when they are asked for."""

    def __init__(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> None:
        self._images, self._indices = images, indices
        self.shape: tuple[int, ...] = (len(indices), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self._images[self._indices[row]]
        return image


def evaluate(
    model: Path | str,
    data: str | None = None,
    *,
    split: str = "test",
    progress: Progress | None = None,
) -> Report:
    """Measure a saved model on a split of a data set; needs no torch.

    Args:
        model: a run folder or a model/ folder.
        data: a data set; by default the one it was trained on, divided as it was then.
        split: train, val or test, or all.
        progress: hears of the progress.

    Raises:
        ConfigError: no such split.
        DataError: the data set has other classes.
    """
    progress = progress or Progress()
    if split not in (*SPLITS, "all"):
        raise unknown_name(_("split"), split, (*SPLITS, "all"))
    classifier = load_classifier(model)
    table = classifier.config.data
    dataset = _matched(load_named(data or str(table["name"])), classifier.class_names)
    if dataset.fingerprint == table["fingerprint"]:
        sizes = {key: table.get(key) for key in ("val", "test")}
        splits = split_dataset(dataset, **sizes, split_seed=table["split_seed"])
    else:
        progress.note(
            _(
                "this is other data than the model was trained on ({name}); its own splits are used",
                name=table["name"],
            )
        )
        splits = split_dataset(dataset)
    indices = np.arange(len(dataset)) if split == "all" else getattr(splits, split)
    prepared = prepare_dataset(dataset, classifier.preprocess, progress)
    return _report(prepared, indices, _probs(classifier, prepared, indices, progress), split)


def _matched(dataset: Dataset, class_names: tuple[str, ...]) -> Dataset:
    """The data set with its labels in the order of the model's class names."""
    if set(dataset.class_names) != set(class_names):
        raise DataError(
            _(
                "the classes differ: '{name}' has {given}; the model knows {known}",
                name=dataset.name,
                given=", ".join(dataset.class_names),
                known=", ".join(class_names),
            )
        )
    if dataset.class_names == class_names:
        return dataset
    order = np.array([class_names.index(name) for name in dataset.class_names])
    return dataclasses.replace(dataset, labels=order[dataset.labels], class_names=class_names)


def _report(dataset: Dataset, indices: NDArray[np.int64], probs: Probs, split: str) -> Report:
    return build_report(
        probs,
        dataset.labels[indices],
        dataset.class_names,
        split=split,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint},
    )


def _probs(
    classifier: Classifier, dataset: Dataset, indices: NDArray[np.int64], progress: Progress
) -> Probs:
    """Probabilities (n, K) of rows `indices` of a prepared data set, by the saved model."""
    progress.start(_("measuring"), len(indices))
    found = []
    for start in range(0, len(indices), _ROWS_AT_ONCE):
        rows = dataset.images[indices[start : start + _ROWS_AT_ONCE]]  # (n, H, W, C) uint8
        found.append(classifier.predict_probs(rows.transpose(0, 3, 1, 2)))
        progress.advance(start + len(rows))
    return np.concatenate(found)


def _resolve(
    name: str, settings: Mapping[str, Any], progress: Progress
) -> tuple[str, dict[str, Any]]:
    """The canonical network of a name as typed, with the network settings among `settings`."""
    canonical, defaults, typed = resolve_network(name)
    if typed is not None:
        progress.note(_("'{typed}' is read as {name}", typed=typed, name=canonical))
    own = divide_settings(settings, defaults, canonical)[1]
    canonical, values, _typed = resolve_network(name, own)
    return canonical, values


def _open(
    wanted: DataSettings, network: str, network_settings: Mapping[str, Any], progress: Progress
) -> tuple[Dataset, Splits, NetworkSpec, Preprocess]:
    """Load, divide and prepare the data for a network; everything but torch can refuse here."""
    dataset = load_named(wanted.name)
    channels, height, width = dataset.image_shape
    size = wanted.size or native_size(network, min(height, width))
    spec = NetworkSpec(
        network, network_settings, size, wanted.channels or channels, dataset.num_classes
    )
    check_size(spec)
    unscaled = (0.0,) * spec.channels, (1.0,) * spec.channels
    preprocess = Preprocess(size, spec.channels, *unscaled, resize=wanted.resize)
    splits = split_dataset(dataset, val=wanted.val, test=wanted.test, split_seed=wanted.split_seed)
    dataset = prepare_dataset(dataset, preprocess, progress)
    mean, std = channel_statistics(dataset.images, splits.train)
    return dataset, splits, spec, dataclasses.replace(preprocess, mean=mean, std=std)


def _require_training() -> None:
    missing = [
        name for name in ("torch", "onnx", "onnxscript", "matplotlib")
        if importlib.util.find_spec(name) is None
    ]  # fmt: skip
    if missing:
        raise MissingExtraError(
            _(
                "training needs {libraries}, which this installation does not have: "
                'pip install "olhar[train]"',
                libraries=", ".join(missing),
            )
        )


def _check_fingerprint(dataset: Dataset, expected: str) -> None:
    if dataset.fingerprint != expected:
        raise DataError(
            _(
                "data set '{name}' is not what it was when the run began (fingerprint {found}…, "
                "then {expected}…); bring the old data back or start a new run",
                name=dataset.name,
                found=dataset.fingerprint[:12],
                expected=expected[:12],
            )
        )


def _data_table(wanted: DataSettings, dataset: Dataset, splits: Splits) -> dict[str, Any]:
    settings = {k: v for k, v in dataclasses.asdict(wanted).items() if v is not None}
    return {**settings, "fingerprint": dataset.fingerprint, "sizes": splits.sizes()}


def _command(data: DataSettings, network: str, run: Path, settings: Mapping[str, Any]) -> str:
    """The command that repeats the run, with this version of olhar and this data."""
    words = ["olhar", "train", "--data", data.name, "--network", network, "--run", run.as_posix()]
    defaults = DataSettings(data.name)
    for key in ("val", "test", "split_seed", "channels", "size"):
        value = getattr(data, key)
        if value != getattr(defaults, key):
            words += [f"--{key.replace('_', '-')}", f"{value:g}"]
    for key, value in sorted(settings.items()):
        shown = "+".join(map(str, value)) if isinstance(value, list | tuple) else value
        words += ["--set", f"{key}={shown}"]
    return shlex.join(words)


def list_networks(data: str) -> list[dict[str, Any]]:
    """The listed networks with their parameter counts for a data set's images and classes.

    Returns:
        name, input [C, H, W], parameters (running statistics included), trainable_parameters,
        source; one dict a network.
    """
    dataset = load_named(data)
    channels, height, width = dataset.image_shape
    rows = []
    for name in LISTED:
        canonical, settings, _typed = resolve_network(name)
        size = native_size(canonical, min(height, width))
        spec = NetworkSpec(canonical, settings, size, channels, dataset.num_classes)
        parameters, trainable = count_parameters(spec)
        rows.append(
            {
                "name": canonical,
                "input": list(spec.input_shape()),
                "parameters": parameters,
                "trainable_parameters": trainable,
                "source": network_source(canonical),
            }
        )
    return rows


def save_sample(run: Run) -> tuple[Path, str]:
    """Save the first test image of a run on a named data set as a PNG; returns it and its label."""
    from PIL import Image

    table = run.folder.read_config()["data"]
    dataset = load_named(table["name"])
    index = int(split_dataset(dataset, split_seed=table["split_seed"]).test[0])
    image = dataset.images[index]
    path = run.path / "sample.png"
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    write_atomic_with(path, picture.save)
    return path, dataset.class_names[int(dataset.labels[index])]
