"""A saved model → a model folder whose `model.onnx` computes in 8 bits, in ONNX Runtime."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import ONNX, Classifier, save_classifier
from olhar.datasets import spread
from olhar.errors import explain_os_errors
from olhar.pipeline.exported import (
    CALIBRATION_IMAGES,
    Exported,
    Measured,
    Request,
    check_drop,
    measure_accuracy,
    open_data,
)
from olhar.pipeline.rebuilding import read_golden, require_libraries
from olhar.preprocess import input_batches, to_inputs

_SPEED_IMAGES, _SPEED_ROUNDS = 64, 15

# What is computed in 8 bits. Scaling, normalisation, views, temperature and softmax stay as they are.
_QUANTISED = ("Add", "Clip", "Conv", "Gemm", "MatMul", "MaxPool", "Relu")


def export_int8(request: Request) -> Exported:
    """A model folder whose network computes in 8 bits, measured beside the one it came from."""
    require_libraries("onnx")
    classifier, out = request.classifier, request.out
    dataset, splits = open_data(request)
    rows = spread(splits.train, CALIBRATION_IMAGES)
    path = classifier.folder / ONNX
    with explain_os_errors(path):
        before_onnx = path.read_bytes()
    after_onnx = quantise(before_onnx, input_batches(dataset.images, rows))
    config = dataclasses.replace(classifier.config, precision="int8")
    neighbours = classifier.neighbours
    reduced = Classifier(classifier.folder, config, after_onnx, neighbours=neighbours)
    accuracies = [
        measure_accuracy(one, dataset, splits, request.progress) for one in (classifier, reduced)
    ]
    shown = to_inputs(dataset.images[spread(splits.test, _SPEED_IMAGES)])
    speeds = _speeds([classifier, reduced], shown)
    before = Measured(accuracies[0], len(before_onnx), speeds[0])
    after = Measured(accuracies[1], len(after_onnx), speeds[1])
    check_drop("int8", after.accuracy, before.accuracy, len(splits.test), request.max_drop)
    images, _expected = read_golden(classifier)
    golden: dict[str, NDArray[np.generic]] = {
        "images": images,
        "probabilities": reduced.predict_probs(images),
    }
    numbers = _stored_numbers(after_onnx)
    save_classifier(out, config, numbers, after_onnx, golden, neighbours, classifier.seen)
    return Exported(
        out, "onnx", len(after_onnx), None, before, after, len(splits.test), precision="int8"
    )


def _speeds(classifiers: list[Classifier], inputs: NDArray[np.uint8]) -> list[float]:
    """Images a second of each, measured in turns."""
    seconds: list[list[float]] = [[] for _one in classifiers]
    for _round in range(_SPEED_ROUNDS):
        for one, times in zip(classifiers, seconds, strict=True):
            began = time.perf_counter()
            one.predict_probs(inputs)
            times.append(time.perf_counter() - began)
    return [len(inputs) / float(np.median(times)) for times in seconds]


def quantise(content: bytes, calibration: Iterator[NDArray[np.uint8]]) -> bytes:
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
