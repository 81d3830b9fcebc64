"""What each operator of ONNX becomes: a step, part of the one before it, or nothing.

Does not know: in which order nodes come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from olhar.native.graph_reader import Reader
from olhar.native.steps import CLIPPING, PIXELS, Array, Pair, Shape

Attributes = Mapping[str, Any]


def _cast(reader: Reader, node: Any, _given: Attributes) -> None:
    channels = reader.shapes[PIXELS][2]
    mean, scale = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    reader.add("pixels", node, node.input, weight=scale, bias=mean)


def _sub(reader: Reader, node: Any, _given: Attributes) -> None:
    _scale_or_shift(reader, node, "Sub")


def _mul(reader: Reader, node: Any, _given: Attributes) -> None:
    if not any(name in reader.constants for name in node.input):
        _silu(reader, node)
        return
    _scale_or_shift(reader, node, "Mul")


def _scale_or_shift(reader: Reader, node: Any, kind: str) -> None:
    """x - mean, or x · scale, for each channel: part of the pixels, or of a depthwise convolution."""
    value = reader.constants.get(node.input[1])
    if value is None:
        reader.refuse(node, "between two values")
        return
    channels = reader.shapes[reader.root(node.input[0])][2]
    own = np.broadcast_to(value.astype(np.float32).ravel(), (channels,))
    last = reader.behind(node.input[0])
    if last is not None and last.kind == "pixels":
        assert last.weight is not None
        assert last.bias is not None
        if kind == "Mul":
            changed = replace(last, weight=last.weight * own)
        else:
            changed = replace(last, bias=last.bias + own / last.weight)
        reader.steps[-1] = replace(changed, output=node.output[0], name=node.name or last.name)
        reader.shapes[node.output[0]] = last.out_shape
        return
    none = np.zeros(channels, np.float32)
    _affine(reader, node, *((none + 1, -own) if kind == "Sub" else (own, none)))


def _affine(reader: Reader, node: Any, scale: Array, shift: Array) -> None:
    weight = np.ascontiguousarray(scale, np.float32).reshape(1, 1, -1)
    bias = np.ascontiguousarray(shift, np.float32)
    reader.add("depthwise", node, node.input[:1], weight=weight, bias=bias)


def _silu(reader: Reader, node: Any) -> None:
    """x · sigmoid(x), which is drawn as two nodes."""
    one, two = (reader.root(name) for name in node.input)
    last = reader.steps[-1]
    if last.kind != "sigmoid" or last.output not in {one, two} or last.inputs[0] not in {one, two}:
        reader.refuse(node, "between two values")
    reader.steps.pop()
    reader.add("silu", node, last.inputs)


def _batch_norm(reader: Reader, node: Any, given: Attributes) -> None:
    scale, bias, mean, variance = (
        reader.constants[name].astype(np.float64) for name in node.input[1:]
    )
    scale = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
    shift = bias - mean * scale
    _affine(reader, node, scale, shift)


def _window(given: Attributes, shape: Shape, kernel: Pair) -> tuple[Pair, tuple[int, ...], Pair]:
    """Stride, pads, and (H, W) of what a window over `shape` gives."""
    stride = tuple(given.get("strides", (1, 1)))
    pads = tuple(given.get("pads", (0, 0, 0, 0)))
    sides = []
    for axis in (0, 1):
        room = shape[axis] + pads[axis] + pads[axis + 2] - kernel[axis]
        count = -(-room // stride[axis]) if given.get("ceil_mode") else room // stride[axis]
        if given.get("ceil_mode") and count * stride[axis] >= shape[axis] + pads[axis]:
            count -= 1  # a window begins inside of the image or of its first padding
        sides.append(count + 1)
    return (stride[0], stride[1]), pads, (sides[0], sides[1])


def _check_window(reader: Reader, node: Any, given: Attributes) -> None:
    if any(step != 1 for step in given.get("dilations", (1, 1))):
        reader.refuse(node, "dilated")
    if given.get("auto_pad", b"NOTSET") not in {b"NOTSET", b"VALID"}:
        reader.refuse(node, "auto_pad")


def _conv(reader: Reader, node: Any, given: Attributes) -> None:
    _check_window(reader, node, given)
    shape = reader.shapes[reader.root(node.input[0])]
    weight = reader.constants[node.input[1]].astype(np.float32)  # (O, I / groups, kh, kw)
    bias = _bias(reader, node, len(weight))
    kernel = weight.shape[2], weight.shape[3]
    stride, pads, sides = _window(given, shape, kernel)
    groups = given.get("group", 1)
    if groups == 1:
        kind, own = "conv", weight.transpose(2, 3, 1, 0)
    elif groups == shape[2] == len(weight):
        kind, own = "depthwise", weight[:, 0].transpose(1, 2, 0)
    else:
        reader.refuse(node, f"group={groups}")
        return
    reader.add(
        kind, node, node.input[:1], (*sides, len(weight)), weight=np.ascontiguousarray(own),
        bias=bias, kernel=kernel, stride=stride, pads=pads,
    )  # fmt: skip


def _bias(reader: Reader, node: Any, count: int) -> Array:
    if len(node.input) < 3:
        return np.zeros(count, np.float32)
    return np.ascontiguousarray(reader.constants[node.input[2]], np.float32)


def _gemm(reader: Reader, node: Any, given: Attributes) -> None:
    if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1 or given.get("transA"):
        reader.refuse(node, "alpha, beta or transA")
    weight = reader.constants[node.input[1]].astype(np.float32)
    weight = weight if given.get("transB") else weight.T  # (O, I)
    height, width, channels = reader.shapes[reader.root(node.input[0])]
    if weight.shape[1] != height * width * channels or not _is_flat(reader, node.input[0]):
        reader.refuse(node, "of what is not flat")
    # Flattened were channels, rows and columns; here they lie as rows, columns and channels.
    by_place = weight.reshape(-1, channels, height * width).transpose(0, 2, 1)
    own = np.ascontiguousarray(by_place.reshape(len(weight), -1).T)
    reader.add(
        "dense", node, node.input[:1], (1, 1, len(weight)), weight=own,
        bias=_bias(reader, node, len(weight)),
    )  # fmt: skip


def _is_flat(reader: Reader, name: str) -> bool:
    return name in reader.flat or reader.shapes[reader.root(name)][:2] == (1, 1)


def _flatten(reader: Reader, node: Any, given: Attributes) -> None:
    if given.get("axis", 1) != 1:
        reader.refuse(node, "axis")
    reader.alias[node.output[0]] = node.input[0]
    # Each number stands where it stood, until a dense layer takes them all.
    reader.flat.add(node.output[0])


def _same(reader: Reader, node: Any, _given: Attributes) -> None:
    reader.alias[node.output[0]] = node.input[0]


def _pool(kind: str) -> Callable[[Reader, Any, Attributes], None]:
    def read(reader: Reader, node: Any, given: Attributes) -> None:
        _check_window(reader, node, given)
        shape = reader.shapes[reader.root(node.input[0])]
        kernel = tuple(given["kernel_shape"])
        stride, pads, sides = _window(given, shape, kernel)
        if kind == "avg_pool" and (any(pads) or given.get("ceil_mode")):
            reader.refuse(node, "padded")
        out = *sides, shape[2]
        reader.add(kind, node, node.input, out, kernel=kernel, stride=stride, pads=pads)

    return read


def _whole_pool(kind: str) -> Callable[[Reader, Any, Attributes], None]:
    def read(reader: Reader, node: Any, _given: Attributes) -> None:
        height, width, channels = reader.shapes[reader.root(node.input[0])]
        sides = height, width
        reader.add(kind, node, node.input, (1, 1, channels), kernel=sides, stride=sides)

    return read


def _join(kind: str) -> Callable[[Reader, Any, Attributes], None]:
    def read(reader: Reader, node: Any, given: Attributes) -> None:
        if any(name in reader.constants for name in node.input):
            reader.refuse(node, "with a constant")
        shapes = [reader.shapes[reader.root(name)] for name in node.input]
        if kind == "add" and (len(shapes) != 2 or shapes[0] != shapes[1]):
            reader.refuse(node, "of other shapes")
        if kind == "concat" and given["axis"] != 1:
            reader.refuse(node, f"axis={given['axis']}")
        channels = sum(shape[2] for shape in shapes) if kind == "concat" else shapes[0][2]
        reader.add(kind, node, node.input, (*shapes[0][:2], channels))

    return read


def _clip(reader: Reader, node: Any, _given: Attributes) -> None:
    limits = [0.0, math.inf]
    if node.op_type == "Clip":
        limits = [float(reader.constants[name]) for name in node.input[1:]]
    last = reader.behind(node.input[0])
    if last is None or last.kind not in CLIPPING | {"concat"}:
        reader.add("clip", node, node.input[:1], low=limits[0], high=limits[1])
        return
    low, high = max(last.low, limits[0]), min(last.high, limits[1])
    reader.steps[-1] = replace(last, output=node.output[0], low=low, high=high)
    reader.shapes[node.output[0]] = last.out_shape


def _table(kind: str) -> Callable[[Reader, Any, Attributes], None]:
    return lambda reader, node, _given: reader.add(kind, node, node.input)


def _matmul(reader: Reader, node: Any, _given: Attributes) -> None:
    """A matrix from the left is one over rows, one from the right over columns."""
    left, right = (reader.constants.get(name) for name in node.input)
    if left is not None and left.ndim == 2:
        height, width, channels = reader.shapes[reader.root(node.input[1])]
        matrix, out, taken, kind = left, (len(left), width, channels), node.input[1:], "rows"
    elif right is not None and right.ndim == 2:
        height, width, channels = reader.shapes[reader.root(node.input[0])]
        matrix, out, taken = right.T, (height, right.shape[1], channels), node.input[:1]
        kind = "columns"
    else:
        reader.refuse(node, "between two values")
        return
    own = np.ascontiguousarray(matrix, np.float32)
    reader.add(kind, node, taken, out, weight=own)


def _div(reader: Reader, node: Any, _given: Attributes) -> None:
    value = reader.constants.get(node.input[1])
    if node.name != "temperature" or value is None or value.size != 1:
        reader.refuse(node)
        return
    reader.temperature = float(value)
    reader.alias[node.output[0]] = node.input[0]


def _softmax(reader: Reader, node: Any, _given: Attributes) -> None:
    if node.output[0] not in {output.name for output in reader.graph.output}:
        reader.refuse(node, "inside the network")
    reader.alias[node.output[0]] = node.input[0]


OPERATORS: Mapping[str, Callable[[Reader, Any, Attributes], None]] = {
    "Cast": _cast,
    "Sub": _sub,
    "Mul": _mul,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "Gemm": _gemm,
    "Flatten": _flatten,
    "Identity": _same,
    "MaxPool": _pool("max_pool"),
    "AveragePool": _pool("avg_pool"),
    "GlobalMaxPool": _whole_pool("max_pool"),
    "GlobalAveragePool": _whole_pool("avg_pool"),
    "Add": _join("add"),
    "Concat": _join("concat"),
    "Relu": _clip,
    "Clip": _clip,
    "Tanh": _table("tanh"),
    "Sigmoid": _table("sigmoid"),
    "MatMul": _matmul,
    "Div": _div,
    "Softmax": _softmax,
}
