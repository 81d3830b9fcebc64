"""What an export is asked for and what it made; the data that it is measured on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier
from olhar.datasets import Dataset, Splits, open_source, prepare_dataset
from olhar.errors import ExportError
from olhar.i18n import Text, _
from olhar.pipeline.inputs import class_order, source_of, splits_of
from olhar.pipeline.measuring import predict_split
from olhar.progress import Progress

TOLERANCE = 1e-4  # in a probability, of what the exported file gives
DEFAULT_MAX_DROP = 0.01
CALIBRATION_IMAGES = 256


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        classifier: the model, whose files are checked.
        out: the file or folder to make; it does not exist.
        precision: fp32, fp16 or int8.
        data: the data set to measure on; by default the one it was trained on.
        max_drop: by how much the test accuracy may fall, 0 to 1.
        views: none, or own for the model's; None for what is usual for the format.
        board: the board that it has to fit on, by name.
        max_flash: bytes of flash that it may need.
        max_ram: bytes of RAM that it may need.
        progress: hears of the progress.
        run: the run folder that was named; None where it was a model/ folder or an address.
    """

    classifier: Classifier
    out: Path
    precision: str
    data: str | None = None
    max_drop: float = DEFAULT_MAX_DROP
    views: str | None = None
    board: str | None = None
    max_flash: int | None = None
    max_ram: int | None = None
    progress: Progress = dataclasses.field(default_factory=Progress)
    run: Path | None = None


@dataclass(frozen=True)
class Measured:
    """A model as it was measured.

    Attributes:
        accuracy: on the test split.
        size_bytes: of model.onnx.
        images_per_s: of the network alone, in batches of 64; median of 15 runs that alternate with
            those of the other model.
    """

    accuracy: float
    size_bytes: int
    images_per_s: float


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        path: the file or folder.
        format: onnx, safetensors, c or web.
        precision: of its numbers.
        size_bytes: of the file; of an int8 model folder its model.onnx; of C its weights and tables.
        largest_difference: from the golden probabilities; None for int8, which is measured instead.
        before: the model in fp32, for an int8 model folder only.
        after: the model in int8, for an int8 model folder only.
        test_images: how many images were measured.
    """

    path: Path
    format: str
    size_bytes: int
    largest_difference: float | None = None
    before: Measured | None = None
    after: Measured | None = None
    test_images: int | None = None
    precision: str = "fp32"

    def to_dict(self) -> dict[str, Any]:
        """As `export --json` prints it."""
        values = dataclasses.asdict(self) | {"path": str(self.path)}
        return {key: value for key, value in values.items() if value is not None}


def open_data(request: Request) -> tuple[Dataset, Splits]:
    """The data set with labels in the model's order, and its splits."""
    classifier = request.classifier
    table = classifier.config.data
    source = open_source(source_of(table, request.data), request.progress)
    order = class_order(source, classifier.class_names)
    dataset = prepare_dataset(source, classifier.preprocess, request.progress)
    splits = splits_of(source, dataset, table, request.progress)
    return dataclasses.replace(dataset, labels=order[dataset.labels]), splits


def measure_accuracy(
    classifier: Classifier, dataset: Dataset, splits: Splits, progress: Progress
) -> float:
    """Of a model on the test split."""
    probs = predict_split(classifier, dataset, splits.test, progress)
    return share_right(probs, dataset, splits.test)


def share_right(probs: NDArray[np.generic], dataset: Dataset, rows: NDArray[np.int64]) -> float:
    """Accuracy of answers (n, K) for `rows`."""
    return float((probs.argmax(1) == dataset.labels[rows]).mean())


def check_agrees(worst: float) -> None:
    """Refuse what differs from the golden probabilities.

    Raises:
        ExportError: by more than 1e-4.
    """
    if not worst <= TOLERANCE:
        raise ExportError(
            _(
                "the model differs from its own golden probabilities by {worst}; at most "
                "{tolerance} is allowed. See where with: olhar verify",
                worst=f"{worst:.1e}",
                tolerance=TOLERANCE,
            )
        )


def check_drop(
    precision: str,
    after: float,
    before: float,
    images: int,
    max_drop: float,
    because: Text | str = "",
) -> None:
    """Refuse a reduced model that is right too rarely; `because` is what is known of the cause.

    Raises:
        ExportError: its accuracy falls by more than is allowed.
    """
    if before - after > max_drop:
        raise ExportError(
            _(
                "the {precision} model is right on {after:.2%} of {n} test images, the fp32 model on "
                "{before:.2%}: it falls by more than {max_drop}, so it was not written. Keep the "
                "fp32 model, or allow more with --max-drop{because}",
                precision=precision,
                after=after,
                before=before,
                n=images,
                max_drop=max_drop,
                because=f"; {because}" if str(because) else "",
            )
        )
