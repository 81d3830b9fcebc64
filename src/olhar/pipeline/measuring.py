"""Measuring a saved model, and drawing what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier, ModelConfig, load_classifier
from olhar.datasets import Dataset, load_named, open_source, prepare_dataset, split_dataset
from olhar.errors import unknown_name
from olhar.evaluation.report import build_report, prediction_rows
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.images import encode_png
from olhar.pipeline.inputs import Job, class_order, source_of, splits_of
from olhar.preprocess import compute_rows
from olhar.progress import Progress
from olhar.registry import load
from olhar.run import Report, Run

if TYPE_CHECKING:
    from olhar.training.fit import FitState

SPLITS = ("train", "val", "test")

Probs = NDArray[np.float32]


def evaluate(
    model: Path | str,
    data: str | None = None,
    *,
    split: str = "test",
    progress: Progress | None = None,
    **reading: Any,
) -> Report:
    """Measure a saved model on a split of a data set; needs no torch.

    Args:
        model: a run folder or a model/ folder.
        data: a data set or folder of photos; by default the one it was trained on, divided as it
            was then. Its classes are matched to the model's by name.
        split: train, val or test, or all.
        progress: hears of the progress.
        **reading: how a table is read (see data_settings.SourceSettings).

    Raises:
        ConfigError: no such split.
        DataError: the data set has other classes.
    """
    progress = progress or Progress()
    if split not in (*SPLITS, "all"):
        raise unknown_name(_("split"), split, (*SPLITS, "all"))
    classifier = load(model, progress)
    table = classifier.config.data
    source = open_source(source_of(table, data, **reading))
    order = class_order(source, classifier.class_names)
    dataset = prepare_dataset(source, classifier.preprocess, progress, lazily=True)
    indices = np.arange(len(dataset))
    if split != "all":
        indices = getattr(splits_of(source, dataset, table, progress), split)
    dataset = dataclasses.replace(
        dataset, labels=order[dataset.labels], class_names=classifier.class_names
    )
    probs = predict_split(classifier, dataset, indices, progress)
    return report_split(dataset, indices, probs, split, classifier.config)


def measure(job: Job, progress: Progress, split: str = "test") -> tuple[Report, Probs]:
    """Measure the saved model, and write predictions.csv.

    The test split is read here, once. A trial of a search is measured on the validation split, by
    as many threads as it was trained with.
    """
    indices = getattr(job.splits, split)
    threads = None if split == "test" else job.machine.threads
    classifier = load_classifier(job.folder.path, threads=threads)
    probs = predict_split(classifier, job.dataset, indices, progress)
    report = report_split(job.dataset, indices, probs, split, classifier.config)
    items = [job.dataset.item_name(int(index)) for index in indices]
    header = "file" if job.dataset.files else "index"
    labels, names = job.dataset.labels[indices], job.dataset.class_names
    job.folder.write_predictions(prediction_rows(probs, labels, names, items, header))
    return report, probs


def draw(
    job: Job, state: FitState, report: Report, probs: Probs, seen: Sequence[NDArray[np.uint8]]
) -> None:
    """The pictures, each from what was just measured.

    Args:
        job: the run.
        state: where training ended.
        report: of the test split.
        probs: (n, K) of the test split.
        seen: training images (n, H, W, C), as they are and several times as augmented.
    """
    from olhar.evaluation import plots

    folder, names = job.folder, job.dataset.shown_names
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
    dataset: Dataset, indices: NDArray[np.int64], probs: Probs, split: str, config: ModelConfig
) -> Report:
    """The report on probabilities (n, K) of rows `indices`."""
    return build_report(
        probs,
        dataset.labels[indices],
        dataset.class_names,
        split=split,
        data={"name": dataset.name, "fingerprint": dataset.fingerprint},
        temperature=config.temperature,
        threshold=config.threshold,
    )


def predict_split(
    classifier: Classifier, dataset: Dataset, indices: NDArray[np.int64], progress: Progress
) -> Probs:
    """Probabilities (n, K) of rows `indices` of a prepared data set, by the saved model."""
    progress.start(_("measuring"), len(indices))
    return compute_rows(classifier.predict_probs, dataset.images, indices, progress)


def save_sample(run: Run) -> tuple[Path, str]:
    """Save a test image of a run on a named data set as a PNG; returns its path and its label."""
    table = run.config["data"]
    dataset = load_named(table["name"])
    test = split_dataset(dataset, split_seed=table["split_seed"]).test
    index = int(test[len(test) // 2])
    path = run.path / "sample.png"
    write_atomic(path, encode_png(dataset.images[index]))
    return path, dataset.class_names[int(dataset.labels[index])]
