"""lenet5 in TensorFlow Lite for Microcontrollers, on this machine: its size, arena, answers and time.

    python board_tflite.py FOLDER

FOLDER has model.onnx of one view, calibration.npy and test.npy (n, 28, 28, 1) uint8, and how many images
one time is measured over in count.txt. The weights go into the same network in Keras, of which
TensorFlow's converter makes a .tflite file in 8 bits. Written are answers.npy, model.tflite and, as the
last line, a record.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
import numpy as np
import onnx
import tensorflow as tf
from keras import layers
from onnx import numpy_helper
from tflite_micro import runtime

ARENA_BYTES = 100_000


def build(weights: dict[str, Any]) -> Any:
    """The network in Keras, with the weights of model.onnx: (O, I, h, w) is (h, w, I, O) there."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10),
            layers.Softmax(),
        ]
    )
    first = weights["dense1.weight"].reshape(120, 16, 5, 5).transpose(2, 3, 1, 0)
    kernels = {name: weights[f"{name}.weight"].transpose(2, 3, 1, 0) for name in ("conv1", "conv2")}
    kernels["dense1"] = first.reshape(400, 120)
    kernels |= {name: weights[f"{name}.weight"].T for name in ("dense2", "dense3")}
    model.set_weights(
        [part for name, kernel in kernels.items() for part in (kernel, weights[f"{name}.bias"])]
    )
    return model


def convert(model: Any, inputs: Any) -> bytes:
    """A .tflite file in 8 bits; its scales come from `inputs`."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in inputs)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def arena_bytes(interpreter: Any) -> int:
    """What the interpreter says of its arena, which it prints to the standard streams."""
    with tempfile.TemporaryFile() as said:
        kept = {number: os.dup(number) for number in (1, 2)}
        for number in kept:
            os.dup2(said.fileno(), number)
        interpreter.print_allocations()
        for number, old in kept.items():
            os.dup2(old, number)
        said.seek(0)
        found = re.search(rb"Arena allocation total (\d+)", said.read())
    assert found
    return int(found[1])


def main() -> None:
    folder = Path(sys.argv[1])
    graph = onnx.load(folder / "model.onnx").graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    mean, scale = (weights[f"normalise.{name}"].reshape(1) for name in ("mean", "scale"))
    images = {name: np.load(folder / f"{name}.npy") for name in ("calibration", "test")}
    inputs = {name: (one.astype(np.float32) - mean) * scale for name, one in images.items()}
    content = convert(build(weights), inputs["calibration"])
    (folder / "model.tflite").write_bytes(content)
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA_BYTES)
    given = interpreter.get_input_details(0)["quantization_parameters"]
    step, zero = given["scales"][0], given["zero_points"][0]
    taken = np.clip(np.rint(inputs["test"] / step) + zero, -128, 127).astype(np.int8)
    answers, times = [], []
    count = int((folder / "count.txt").read_text())
    for start in range(0, len(taken), count):
        begun = time.process_time()
        for one in taken[start : start + count]:
            interpreter.set_input(one[None], 0)
            interpreter.invoke()
            answers.append(int(interpreter.get_output(0).argmax()))
        times.append((time.process_time() - begun) / count)
    np.save(folder / "answers.npy", np.array(answers))
    record = {"file": len(content), "arena": arena_bytes(interpreter), "times": times}
    print(json.dumps(record))


if __name__ == "__main__":
    main()
