"""The one place that orders fit → save → export → evaluate.

Settings are checked before data is read, and data before torch is loaded; the run folder appears
once all of them are accepted.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar._version import __version__
from olhar.card import write_card
from olhar.datasets import NAMED
from olhar.errors import ConfigError, MemoryLimitError, ModelError
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec, count_parameters, resolve_network, takes_any_size
from olhar.pipeline.fitting import build_training, fit_job, preview_images, save_model
from olhar.pipeline.inputs import (
    DataSettings,
    Job,
    check_fingerprint,
    data_table,
    open_inputs,
    require_training,
)
from olhar.pipeline.measuring import Run, draw, load_run, measure
from olhar.progress import Progress
from olhar.run import RunFolder, check_run_path, create_run, free_run_path
from olhar.training.energy import EnergyMeter, measure_energy
from olhar.training.recipe import (
    Recipe,
    build_recipe,
    divide_settings,
    kept_recipe,
    load_recipe_file,
    suited_recipe,
)
from olhar.training.trackers import Trackers, build_results, open_trackers, tracked_names

if TYPE_CHECKING:
    from olhar.training.fit import FitState

DEFAULT_NETWORK = "cnn-32-64-64"
_UNEQUAL, _VERY_UNEQUAL = 1.5, 10.0  # largest class over smallest
_AFTER_TRAINING_S = 15.0  # saving, measuring and drawing
_MOST_EPOCHS = 300  # more of them teach a small network nothing


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
    resize: str = "crop",
    track: Sequence[str] = (),
    energy: str | None = None,
    **settings: Any,
) -> Run:
    """Train, save, export and evaluate a classifier; everything is in the run folder.

    Args:
        data: name of a data set, or path of a folder of photos.
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
        resize: crop (cut out the centre) or squash (to a square).
        track: trackers that log the run too: tensorboard, wandb, mlflow.
        energy: estimate energy and CO2 for this country, three letters such as BRA.
        **settings: any setting of the recipe or the network, such as epochs, lr, width.

    Raises:
        ConfigError: a setting that does not exist or cannot be used.
        DataError: data that cannot be used.
        RunExistsError: the run folder exists.
        DivergedError: the loss came to NaN.
    """
    progress = progress or Progress()
    chosen, asked = _asked(network, recipe, settings, progress)
    canonical, network_settings = _resolve(chosen, asked, progress)
    wanted, own = divide_settings(asked, network_settings, canonical)
    kept = {} if recipe is not None else _kept(canonical, data)
    final = build_recipe({**kept, **wanted})
    if final.minutes and "epochs" in wanted:
        raise ConfigError(
            _("epochs and minutes cannot both be given: minutes chooses the epochs that fit")
        )
    data_settings = DataSettings(data, val, test, split_seed, channels, size, resize)
    require_training()
    trackers = open_trackers(track, progress.note)
    meter = measure_energy(energy, progress.note)
    if run is not None:
        check_run_path(Path(run), overwrite=overwrite)
    dataset, splits, spec, preprocess = open_inputs(
        data_settings, canonical, network_settings, progress, final.workers
    )
    _check_suits(final, spec)
    stem = f"{Path(data).resolve().name}-{spec.name}"  # of a folder its last name
    path = Path(run) if run is not None else free_run_path(stem)
    from olhar.training.machine import choose_machine, describe_machine

    machine = choose_machine(spec, final.device, final.precision)
    final = suited_recipe(final, wanted, len(splits.train), spec.channels)
    final = _balanced(final, dataset.labels[splits.train], progress)
    job = Job(RunFolder(path), dataset, splits, spec, preprocess, final, machine)
    if final.minutes:
        job = _timed(job, progress)
    config = {
        "olhar": __version__,
        "command": _command(data_settings, spec.name, path, job.recipe, set(wanted), own),
        "data": data_table(data_settings, dataset, splits),
        "network": spec.to_dict(),
        "preprocess": preprocess.to_dict(),
        "recipe": job.recipe.to_dict(),
        "machine": describe_machine(machine),
    }
    create_run(path, config, overwrite=overwrite)
    return _run(job, None, progress, trackers, meter)


def _asked(
    network: str | None,
    recipe: Path | str | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    progress: Progress,
) -> tuple[str, dict[str, Any]]:
    """The network's name, and all settings that were asked for, by a recipe or one by one."""
    given = load_recipe_file(Path(recipe)) if isinstance(recipe, str | Path) else dict(recipe or {})
    named = given.pop("network", None)
    chosen = str(network or named or DEFAULT_NETWORK)
    if not network and not named:
        progress.note(_("no network named; taking {name}", name=chosen))
    return chosen, {**given, **settings}


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
    require_training()
    trackers = open_trackers(tracked_names(folder.path), progress.note)
    from olhar.training.checkpoint import load_checkpoint
    from olhar.training.machine import Machine, check_device

    try:
        table, network = config["data"], config["network"]
        keys = [field.name for field in dataclasses.fields(DataSettings)]
        data_settings = DataSettings(**{key: table[key] for key in keys if key in table})
        recipe = build_recipe(config["recipe"])
        keys = [field.name for field in dataclasses.fields(Machine)]
        machine = Machine(**{key: config["machine"][key] for key in keys})
        fingerprint = table["fingerprint"]
    except (KeyError, TypeError) as error:
        raise ModelError(
            _("'{path}' is damaged: {reason}", path=folder.config, reason=repr(error))
        ) from error
    check_device(machine.device)
    folder.remove_asides()
    dataset, splits, spec, preprocess = open_inputs(
        data_settings, network["name"], network["settings"], progress, recipe.workers
    )
    check_fingerprint(dataset, fingerprint)
    state = load_checkpoint(folder.checkpoint) if folder.checkpoint.is_file() else None
    job = Job(folder, dataset, splits, spec, preprocess, recipe, machine)
    return _run(job, state, progress, trackers, measure_energy(None, progress.note))


def _run(
    job: Job, state: FitState | None, progress: Progress, trackers: Trackers, meter: EnergyMeter
) -> Run:
    """Train, save, measure, draw, and write the card."""
    with trackers:
        config, history = job.folder.read_config(), state.history if state else []
        trackers.start(job.folder.path, config, history)
        with meter:
            state = _fit(job, state, progress, trackers)
        job.folder.write_history(state.history)  # its last row may be missing after a kill
        if not job.folder.model.is_dir():  # it is there where a run was cut off while measuring
            save_model(job, state)
        report, probs = measure(job, progress)
        draw(job, state, report, probs, preview_images(job))
        energy = {"energy": meter.result} if meter.result else {}
        # Last: a run that has it has ended.
        job.folder.write_metrics({**report.to_dict(), **energy})
        write_card(job.folder)
        parameters = count_parameters(job.spec)[0]
        trackers.finish(
            build_results(job.folder, report.to_dict(), state.history, state.best_epoch, parameters)
        )
    return Run(job.folder, report)


def _fit(job: Job, state: FitState | None, progress: Progress, trackers: Trackers) -> FitState:
    """Train; what stops it is explained."""
    try:
        return fit_job(job, state, progress, trackers)
    except KeyboardInterrupt:
        progress.note(_("stopped; go on with: olhar resume {path}", path=job.folder.path))
        raise
    except (MemoryError, RuntimeError) as error:
        if "memory" in str(error) or isinstance(error, MemoryError):
            raise MemoryLimitError(
                _(
                    "this machine has too little memory for network {name} with batches of {batch}: "
                    "try a smaller --batch-size or another network",
                    name=job.spec.name,
                    batch=job.recipe.batch_size,
                )
            ) from error
        raise


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


def _check_suits(recipe: Recipe, spec: NetworkSpec) -> None:
    """Refuse a recipe that the network cannot follow."""
    if recipe.early_share and not takes_any_size(spec):
        raise ConfigError(
            _(
                "early_share is {given}, but network {name} takes images of {size} pixels only; "
                "use --set early_share=0 or a network that takes any size, such as olhar-small",
                given=recipe.early_share,
                name=spec.name,
                size=spec.size,
            )
        )


def _timed(job: Job, progress: Progress) -> Job:
    """The job with as many epochs as fit into its minutes, measured on this machine."""
    from olhar.training.fit import measure_epoch_s

    epoch_s = measure_epoch_s(build_training(job))
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
    return dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, epochs=epochs))


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


def _command(
    data: DataSettings,
    network: str,
    run: Path,
    recipe: Recipe,
    asked: Collection[str],
    network_settings: Mapping[str, Any],
) -> str:
    """The command that repeats the run, with this version of olhar and this data.

    Every setting is in it that was asked for, or that is not what the kept recipe says.
    """
    words = ["olhar", "train", "--data", data.name, "--network", network, "--run", run.as_posix()]
    defaults = DataSettings(data.name)
    for key in ("val", "test", "split_seed", "channels", "size", "resize"):
        value = getattr(data, key)
        if value != getattr(defaults, key):
            words += [f"--{key.replace('_', '-')}", _as_text(value)]
    kept = build_recipe(_kept(network, data.name))
    for key, value in recipe.to_dict().items():
        if key != "minutes" and (key in asked or value != getattr(kept, key)):
            words += ["--set", f"{key}={_as_text(value)}"]
    for key, value in network_settings.items():
        words += ["--set", f"{key}={_as_text(value)}"]
    return shlex.join(words)


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _kept(network: str, data: str) -> dict[str, Any]:
    """The recipe kept for a network on a named data set or on a folder of photos."""
    return kept_recipe(network, data if data in NAMED else "photos")
