"""A saved model → one file for other programs, or a smaller and faster model of 8-bit numbers.

Each is checked against the model's golden probabilities or on the test split before it appears.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import (
    ONNX,
    WEIGHTS,
    Classifier,
    ModelConfig,
    open_session,
    run_session,
    save_classifier,
)
from olhar.datasets import Dataset, Splits, open_source, prepare_dataset, spread
from olhar.errors import (
    ConfigError,
    ExportError,
    explain_os_errors,
    unknown_name,
)
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.pipeline.inputs import class_order, source_of, splits_of
from olhar.pipeline.measuring import predict_split
from olhar.pipeline.rebuilding import network_probs, read_golden, require_libraries
from olhar.preprocess import input_batches, to_inputs
from olhar.progress import Progress
from olhar.registry import load

FORMATS = ("onnx", "safetensors", "int8")
TOLERANCE = 1e-4  # in a probability, of what the exported file gives
DEFAULT_MAX_DROP = 0.01
_CALIBRATION_IMAGES = 256
_SPEED_IMAGES, _SPEED_ROUNDS = 64, 15

# What is computed in 8 bits. Scaling, normalisation, views, temperature and softmax stay as they are.
_QUANTISED = ("Add", "Clip", "Conv", "Gemm", "MatMul", "MaxPool", "Relu")

Probs = NDArray[np.float32]


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
        path: the file, or for int8 the model folder.
        format: onnx, safetensors or int8.
        size_bytes: of the file; for int8 of its model.onnx.
        largest_difference: from the golden probabilities; None for int8, which is measured instead.
        before: the model in fp32, for int8 only.
        after: the model in int8, for int8 only.
        test_images: how many images were measured, for int8 only.
    """

    path: Path
    format: str
    size_bytes: int
    largest_difference: float | None = None
    before: Measured | None = None
    after: Measured | None = None
    test_images: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `export --json` prints it."""
        values = dataclasses.asdict(self) | {"path": str(self.path)}
        return {key: value for key, value in values.items() if value is not None}


def export_model(
    model: Path | str,
    out: Path | str,
    *,
    format: str = "onnx",  # noqa: A002  the flag's name
    data: str | None = None,
    max_drop: float = DEFAULT_MAX_DROP,
    progress: Progress | None = None,
) -> Exported:
    """Export a saved model.

    Args:
        model: a run folder or a model/ folder.
        out: the file to write, or for int8 the model folder; it must not exist.
        format: onnx, safetensors, or int8.
        data: for int8: the data set; by default the one it was trained on.
        max_drop: for int8: by how much the test accuracy may fall, 0 to 1.
        progress: hears of the progress.

    Raises:
        ConfigError: no such format, `out` exists, or the model is int8 already.
        ExportError: what was made differs from the model, or is less accurate than allowed;
            nothing is left of it.
        MissingExtraError: onnx or torch is needed and not installed.
    """
    out = Path(out)
    if format not in FORMATS:
        raise unknown_name(_("format"), format, FORMATS)
    if not 0 <= max_drop <= 1:
        raise ConfigError(_("--max-drop is {given}; allowed: 0 to 1, such as 0.01", given=max_drop))
    classifier = load(model, progress)
    _check_out(out)
    if format != "onnx" and classifier.config.precision != "fp32":
        raise ConfigError(
            _(
                "'{path}' is {precision} already; give the fp32 model that it was made from",
                path=classifier.folder,
                precision=classifier.config.precision,
            )
        )
    if format == "onnx":
        return _export_onnx(classifier, out)
    if format == "safetensors":
        return _export_weights(classifier, out)
    return _export_int8(classifier, out, data, max_drop, progress or Progress())


def _check_out(out: Path) -> None:
    with explain_os_errors(out):
        taken = out.exists()
    if taken:
        raise ConfigError(_("'{path}' exists already; choose another --out", path=out))


def _metadata(config: ModelConfig) -> dict[str, str]:
    """What a program without olhar needs to know, as JSON.

    Under one key: safetensors writes several in an order that changes from one time to the next.
    """
    return {"config": json.dumps(config.to_dict(), ensure_ascii=False)}


def _export_onnx(classifier: Classifier, out: Path) -> Exported:
    """model.onnx with its metadata inside; pixels in, probabilities out."""
    require_libraries("onnx")
    import onnx

    path = classifier.folder / ONNX
    with explain_os_errors(path):
        graph = onnx.load_from_string(path.read_bytes())
    onnx.helper.set_model_props(graph, _metadata(classifier.config))
    content = bytes(graph.SerializeToString(deterministic=True))
    images, expected = read_golden(classifier)
    worst = _largest(run_session(open_session(content), images), expected)
    _check_agrees(worst)
    write_atomic(out, content)
    return Exported(out, "onnx", len(content), worst)


def _export_weights(classifier: Classifier, out: Path) -> Exported:
    """model.safetensors with its metadata inside, proved to be the network's weights."""
    from safetensors.numpy import load_file, save

    images, expected = read_golden(classifier)
    worst = _largest(network_probs(classifier, images), expected)
    _check_agrees(worst)
    content = save(load_file(classifier.folder / WEIGHTS), metadata=_metadata(classifier.config))
    write_atomic(out, content)
    return Exported(out, "safetensors", len(content), worst)


def _largest(found: Probs, expected: Probs) -> float:
    return float(np.abs(found - expected).max())


def _check_agrees(worst: float) -> None:
    if not worst <= TOLERANCE:
        raise ExportError(
            _(
                "the model differs from its own golden probabilities by {worst}; at most "
                "{tolerance} is allowed. See where with: olhar verify",
                worst=f"{worst:.1e}",
                tolerance=TOLERANCE,
            )
        )


def _export_int8(
    classifier: Classifier, out: Path, data: str | None, max_drop: float, progress: Progress
) -> Exported:
    """A model folder whose network computes in 8 bits, measured beside the one it came from."""
    require_libraries("onnx")
    dataset, splits = _open_data(classifier, data, progress)
    rows = spread(splits.train, _CALIBRATION_IMAGES)
    path = classifier.folder / ONNX
    with explain_os_errors(path):
        before_onnx = path.read_bytes()
    after_onnx = _quantise(before_onnx, input_batches(dataset.images, rows))
    config = dataclasses.replace(classifier.config, precision="int8")
    neighbours = classifier.neighbours
    reduced = Classifier(classifier.folder, config, after_onnx, neighbours=neighbours)
    accuracies = [_accuracy(one, dataset, splits, progress) for one in (classifier, reduced)]
    shown = to_inputs(dataset.images[spread(splits.test, _SPEED_IMAGES)])
    speeds = _speeds([classifier, reduced], shown)
    before = Measured(accuracies[0], len(before_onnx), speeds[0])
    after = Measured(accuracies[1], len(after_onnx), speeds[1])
    if before.accuracy - after.accuracy > max_drop:
        raise ExportError(
            _(
                "the int8 model is right on {after:.2%} of {n} test images, the fp32 model on "
                "{before:.2%}: it falls by more than {max_drop}, so it was not written. Keep the "
                "fp32 model, or allow more with --max-drop",
                after=after.accuracy,
                before=before.accuracy,
                n=len(splits.test),
                max_drop=max_drop,
            )
        )
    images, _expected = read_golden(classifier)
    golden: dict[str, NDArray[np.generic]] = {
        "images": images,
        "probabilities": reduced.predict_probs(images),
    }
    numbers = _stored_numbers(after_onnx)
    save_classifier(out, config, numbers, after_onnx, golden, neighbours, classifier.seen)
    return Exported(out, "int8", len(after_onnx), None, before, after, len(splits.test))


def _open_data(
    classifier: Classifier, data: str | None, progress: Progress
) -> tuple[Dataset, Splits]:
    """The data set with labels in the model's order, and its splits."""
    table = classifier.config.data
    source = open_source(source_of(table, data))
    order = class_order(source, classifier.class_names)
    dataset = prepare_dataset(source, classifier.preprocess, progress)
    splits = splits_of(source, dataset, table, progress)
    return dataclasses.replace(dataset, labels=order[dataset.labels]), splits


def _accuracy(
    classifier: Classifier, dataset: Dataset, splits: Splits, progress: Progress
) -> float:
    probs = predict_split(classifier, dataset, splits.test, progress)
    return float((probs.argmax(1) == dataset.labels[splits.test]).mean())


def _speeds(classifiers: list[Classifier], inputs: NDArray[np.uint8]) -> list[float]:
    """Images a second of each, measured in turns."""
    seconds: list[list[float]] = [[] for _one in classifiers]
    for _round in range(_SPEED_ROUNDS):
        for one, times in zip(classifiers, seconds, strict=True):
            began = time.perf_counter()
            one.predict_probs(inputs)
            times.append(time.perf_counter() - began)
    return [len(inputs) / float(np.median(times)) for times in seconds]


def _quantise(content: bytes, calibration: Iterator[NDArray[np.uint8]]) -> bytes:
    """An fp32 ONNX file → the same graph with its weights and activations in 8 bits.

    Weights are symmetric and per channel, activations asymmetric by the least and greatest value
    over the calibration images. Weights keep to 7 bits, since processors without VNNI add products
    in 16 bits, which may overflow.

    Source: Jacob et al. 2018, arXiv 1712.05877, sections 2.1 and 3; ONNX Runtime's documentation,
    "Quantize ONNX Models".
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="olhar-") as folder, _quiet():
        given, ready, made = (Path(folder) / f"{name}.onnx" for name in ("given", "ready", "made"))
        given.write_bytes(content)
        # Shapes, and the batch norms of models that an older olhar exported.
        quant_pre_process(given, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            made,
            _calibration_reader(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return made.read_bytes()


def _calibration_reader(batches: Iterator[NDArray[np.uint8]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        """Hands out batches until there are none."""

        def get_next(self) -> Mapping[str, NDArray[np.uint8]] | None:
            inputs = next(batches, None)
            return None if inputs is None else {"images": inputs}

    return Reader()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice on the root logger."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _stored_numbers(content: bytes) -> dict[str, NDArray[np.generic]]:
    """The constants of an ONNX file by name: of an int8 model its weights and their scales."""
    import onnx

    graph = onnx.load_from_string(content).graph
    return {
        part.name: np.ascontiguousarray(onnx.numpy_helper.to_array(part))
        for part in graph.initializer
    }
