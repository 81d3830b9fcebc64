"""Measuring a saved model, and drawing what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier, ModelConfig, load_classifier
from olhar.datasets import (
    Dataset,
    Source,
    Splits,
    load_named,
    open_source,
    prepare_dataset,
    split_dataset,
)
from olhar.errors import DataError, unknown_name
from olhar.evaluation.report import build_report, prediction_rows
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.images import encode_png
from olhar.pipeline.inputs import Job, class_order, source_of, splits_of
from olhar.pipeline.where import is_at_its_place, locate_data, recorded_data
from olhar.preprocess import compute_rows
from olhar.progress import Progress
from olhar.registry import load, resolve_model
from olhar.run import Report, Run
from olhar.run.report import SPLITS
from olhar.seen import Found

if TYPE_CHECKING:
    from olhar.training.fit import FitState

Probs = NDArray[np.float32]


def evaluate(
    model: Path | str,
    data: str | None = None,
    *,
    split: str = "test",
    keep_seen: bool = False,
    invert: str | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> Report:
    """Measure a saved model on a split of a data set; needs no torch.

    Args:
        model: a run folder or a model/ folder.
        data: a data set or folder of photos; by default the one it was trained on, divided as it
            was then. Its classes are matched to the model's by name.
        split: train, val or test, or all.
        keep_seen: whether images are measured too that the model has seen in training. They are left out
            by default, save those of the split that is asked for: of its own data the validation
            split, of any the training split.
        invert: auto, no or yes: whether dark is read as bright (see Preprocess.invert); default auto.
        progress: hears of the progress.
        **reading: how a table is read (see data_settings.SourceSettings).

    Raises:
        ConfigError: no such split.
        DataError: the data set has other classes, or nothing that the model has not seen.
    """
    progress = progress or Progress()
    if split not in SPLITS:
        raise unknown_name(_("split"), split, SPLITS)
    classifier = load(model, progress).reading(invert)
    opened = _open_to_measure(model, classifier, data, reading, progress)
    dataset, is_own = opened.dataset, opened.is_own
    indices, splits = np.arange(len(dataset)), None
    if split != "all":
        split, indices, splits = _split_indices(opened, split, progress)
    dataset = dataclasses.replace(
        dataset, labels=opened.order[dataset.labels], class_names=classifier.class_names
    )
    seen = {}
    if classifier.seen is not None and split != "train":
        found = classifier.seen.find(dataset.images, indices, dataset.side)
        out = found.any if split != "val" else found.trained
        if keep_seen or (is_own and split != "all"):
            out = np.zeros(len(indices), bool)
        seen = _counts(found, split, splits if is_own else None, left_out=int(out.sum()))
        indices = _without(indices, out, split)
    probs = predict_split(classifier, dataset, indices, progress)
    return report_split(dataset, indices, probs, split, classifier.config, seen)


@dataclasses.dataclass(frozen=True)
class _Opened:
    """Data that a model is measured on.

    Attributes:
        source: where it is read from.
        dataset: prepared as the model wants it, its classes in an order of its own.
        order: (K,) int64, the model's index of each of them.
        table: the model's own data, as its config has it, found from here.
        is_own: whether it is the data that the model was trained on.
    """

    source: Source
    dataset: Dataset
    order: NDArray[np.int64]
    table: Mapping[str, Any]
    is_own: bool


def _open_to_measure(
    model: Path | str,
    classifier: Classifier,
    data: str | None,
    reading: Mapping[str, Any],
    progress: Progress,
) -> _Opened:
    """The data that was named, or else the model's own where it is now."""
    table = classifier.config.data
    place, own = "", table
    if data is None:
        recorded, place = recorded_data(resolve_model(model, progress))
        own = {**table, "name": recorded.get("name", table["name"])}
        table = locate_data(own, place)
    source = open_source(source_of(table, data, **reading), progress)
    order = class_order(source, classifier.class_names)
    dataset = prepare_dataset(source, classifier.preprocess, progress, lazily=True)
    is_own = dataset.fingerprint == table["fingerprint"]
    if data is None and not is_own and not is_at_its_place(own, place):
        raise DataError(
            _(
                "the data of this run is not where it was, and '{name}' here is other data; say where "
                "it is now with --data FOLDER",
                name=table["name"],
            )
        )
    if classifier.seen is None and not is_own:
        progress.note(
            _(
                "this model does not say which images it was trained on (an older olhar made it); if some "
                "of them are among these, the figures flatter"
            )
        )
    dataset = dataclasses.replace(dataset, name=data or own["name"])
    return _Opened(source, dataset, order, table, is_own)


def _counts(found: Found, split: str, splits: Splits | None, left_out: int = 0) -> dict[str, int]:
    """What `Report.seen` says; of validation images it is no news that they validated.

    Of the splits that it was trained with near-duplicates are known that only a closer look finds.
    """
    counts = found.counts()
    if split == "val":
        counts |= {"validated": 0, "near": 0}
    elif split == "test" and splits is not None:
        leaks = splits.facts.get("leaks", {}).get("test", 0)
        counts["near"] = max(counts["near"], leaks - counts["trained"] - counts["validated"])
    return {**counts, "left_out": left_out}


def _without(indices: NDArray[np.int64], out: NDArray[np.bool_], split: str) -> NDArray[np.int64]:
    """Some rows without those that are left out."""
    if out.any() and out.all():
        raise DataError(
            _(
                "the model has seen all {count:,} images of the {split} in training, so measuring it on "
                "them would tell what it remembers; give images that it has not seen (--data), or measure "
                "all the same with --keep-seen",
                count=len(indices),
                split=SPLITS[split],
            )
        )
    return indices[~out]


def _split_indices(
    opened: _Opened, split: str, progress: Progress
) -> tuple[str, NDArray[np.int64], Splits | None]:
    """A split, its rows (n,) int64, and all splits; all rows of other data that cannot be divided.

    What is only measured may have one class, or a single photo of it.
    """
    dataset = opened.dataset
    if not opened.is_own and split in dataset.parts:
        return split, dataset.parts[split], None
    try:
        splits = splits_of(opened.source, dataset, opened.table, progress)
    except DataError:
        if opened.is_own or dataset.parts:
            raise
        progress.note(_("it has too few photos or classes to be divided, so all of it is measured"))
        return "all", np.arange(len(dataset)), None
    return split, getattr(splits, split), splits


def measure(job: Job, progress: Progress, split: str = "test") -> tuple[Report, Probs]:
    """Measure the saved model, and write predictions.csv.

    The test split is read here, once. A trial of a search is measured on the validation split, by
    as many threads as it was trained with.
    """
    indices = getattr(job.splits, split)
    threads = None if split == "test" else job.machine.threads
    classifier = load_classifier(job.folder.path, threads=threads)
    probs = predict_split(classifier, job.dataset, indices, progress)
    seen = {}
    if classifier.seen is not None and split == "test":
        found = classifier.seen.find(job.dataset.images, indices, job.dataset.side)
        seen = _counts(found, split, job.splits)
    report = report_split(job.dataset, indices, probs, split, classifier.config, seen)
    items = [job.dataset.item_name(int(index)) for index in indices]
    header = "file" if job.dataset.files else "index"
    labels, names = job.dataset.labels[indices], job.dataset.class_names
    job.folder.write_predictions(prediction_rows(probs, labels, names, items, header))
    return report, probs


def draw(
    job: Job,
    state: FitState,
    report: Report,
    probs: Probs,
    seen: Sequence[NDArray[np.uint8]],
    progress: Progress,
) -> None:
    """The pictures, each from what was just measured.

    Args:
        job: the run.
        state: where training ended.
        report: of the test split.
        probs: (n, K) of the test split.
        seen: training images (n, H, W, C), as they are and several times as augmented.
        progress: hears of names that cannot be drawn.
    """
    from olhar.evaluation import plots
    from olhar.evaluation.fonts import drawable_names, prepare_matplotlib

    prepare_matplotlib()
    folder = job.folder
    names, lacking = drawable_names(job.dataset.shown_names)
    if lacking is not None:
        progress.note(lacking)
    labels = job.dataset.labels[job.splits.test]
    images = _Rows(job.dataset.images, job.splits.test)
    items = [job.dataset.item_name(int(index)) for index in job.splits.test]
    shown = dataclasses.replace(
        report,
        per_class=[{**row, "name": n} for row, n in zip(report.per_class, names, strict=True)],
    )
    temperature = report.calibration["temperature"]
    charts = {
        folder.learning_curve: plots.plot_learning_curve(state.history, state.best_epoch),
        folder.confusion_matrix: plots.plot_confusion_matrix(report.confusion_matrix, names),
        folder.per_class: plots.plot_per_class(shown),
        folder.reliability: plots.plot_reliability(probs, labels, temperature),
    }
    photos = {
        folder.samples: plots.plot_samples(images, labels, probs, names),
        folder.worst_errors: plots.plot_worst_errors(images, labels, probs, names, items),
        folder.augmentation: plots.plot_augmentation(seen[0], np.stack(seen[1:])),
    }
    for path, figure in {**charts, **photos}.items():
        plots.save_figure(figure, path)
    for path, figure in charts.items():
        plots.save_figure(figure, path.with_suffix(".svg"))


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


def report_split(
    dataset: Dataset,
    indices: NDArray[np.int64],
    probs: Probs,
    split: str,
    config: ModelConfig,
    seen: Mapping[str, int],
) -> Report:
    """The report on probabilities (n, K) of rows `indices`; `seen` is as in Report."""
    return build_report(
        probs,
        dataset.labels[indices],
        dataset.class_names,
        split=split,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint},
        temperature=config.temperature,
        threshold=config.threshold,
        seen=seen,
        validation=config.validation,
    )


def predict_split(
    classifier: Classifier, dataset: Dataset, indices: NDArray[np.int64], progress: Progress
) -> Probs:
    """Probabilities (n, K) of rows `indices` of a prepared data set, by the saved model."""
    progress.start(_("measuring"), len(indices))
    preprocess, count = classifier.preprocess, 0

    def turn(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal count
        count += int(preprocess.inverts(pixels).sum())
        return preprocess.turned(pixels)

    probs = compute_rows(classifier.predict_probs, dataset.images, indices, progress, turn)
    if count:
        progress.note(
            _(
                "{count} of {total} images were read inverted, bright as dark; --invert no reads them as "
                "they are",
                count=count,
                total=len(indices),
            )
        )
    return probs


def save_sample(run: Run) -> tuple[Path, str]:
    """Save a test image of a run on a named data set as a PNG; returns its path and its label."""
    table = run.config["data"]
    dataset = load_named(table["name"])
    test = split_dataset(dataset, split_seed=table["split_seed"]).test
    index = int(test[len(test) // 2])
    path = run.path / "sample.png"
    write_atomic(path, encode_png(dataset.images[index]))
    return path, dataset.class_names[int(dataset.labels[index])]
