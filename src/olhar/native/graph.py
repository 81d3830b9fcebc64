"""`model.onnx` → the steps of one network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from olhar.errors import ConfigError, ModelError
from olhar.i18n import _
from olhar.native.steps import CLIPPING, PIXELS, Array, Network, Pair, Shape, Step


def read_network(content: bytes) -> Network:
    """The bytes of a `model.onnx` → its network.

    Raises:
        ConfigError: it has an operator that there is no C for; it is named with its layer.
        ModelError: it is no graph of olhar's.
    """
    import onnx

    graph = onnx.load_from_string(content).graph
    reader = _Reader(graph)
    for node in graph.node:
        reader.read(node)
    return reader.network([output.name for output in graph.output])


@dataclass
class _Reader:
    """Reads node by node; `alias` says which value a name stands for that no step computes."""

    graph: Any
    steps: list[Step] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    alias: dict[str, str] = field(default_factory=dict)
    flat: set[str] = field(default_factory=set)
    taken: dict[str, int] = field(default_factory=dict)
    temperature: float = 1.0

    def __post_init__(self) -> None:
        from onnx import numpy_helper

        self.constants = {part.name: numpy_helper.to_array(part) for part in self.graph.initializer}
        image = self.graph.input[0]
        sides = [axis.dim_value for axis in image.type.tensor_type.shape.dim]
        if len(self.graph.input) != 1 or image.name != PIXELS or len(sides) != 4:
            raise ModelError(_("model.onnx does not take images alone; export the model anew"))
        self.shapes[PIXELS] = sides[2], sides[3], sides[1]
        outputs = [output.name for output in self.graph.output]
        for name in [*outputs, *(name for node in self.graph.node for name in node.input)]:
            self.taken[name] = self.taken.get(name, 0) + 1

    def root(self, name: str) -> str:
        while name in self.alias:
            name = self.alias[name]
        return name

    def read(self, node: Any) -> None:
        if node.name == "views" or node.name.startswith("views."):
            for output in node.output:  # one view stands for all of them
                self.alias[output] = node.input[0]
            return
        reader = _OPERATORS.get(node.op_type)
        if reader is None:
            self.refuse(node)
            return
        reader(self, node, _attributes(node))

    def refuse(self, node: Any, why: str = "") -> Any:
        """An operator that there is no C for.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            _(
                "layer {layer} is the operator {operator}{why}, which olhar has no C code for; it has: "
                "{known}. Choose another network",
                layer=node.name or node.output[0],
                operator=node.op_type,
                why=f" ({why})" if why else "",
                known=", ".join(sorted(_OPERATORS)),
            )
        )

    def add(
        self, kind: str, node: Any, inputs: Sequence[str], out: Shape | None = None, **more: Any
    ) -> None:
        """One step; without `out`, what it gives has the shape of what it takes."""
        values = tuple(self.root(name) for name in inputs)
        shapes = tuple(self.shapes[name] for name in values)
        name = node.output[0]
        self.shapes[name] = out or shapes[0]
        layer = node.name or name
        self.steps.append(Step(kind, layer, values, name, shapes, self.shapes[name], **more))

    def behind(self, name: str) -> Step | None:
        """The step that gives a value, if nothing but one node takes it and it is the last so far."""
        while self.taken.get(name) == 1 and name in self.alias:
            name = self.alias[name]
        if not self.steps or self.steps[-1].output != name or self.taken.get(name) != 1:
            return None
        return self.steps[-1]

    def network(self, outputs: Sequence[str]) -> Network:
        """What was read, without steps that nothing needs."""
        logits = self.root(outputs[0])
        features = self.root("features") if "features" in outputs else None
        needed, kept = {logits}, []
        for step in reversed(self.steps):
            if step.output in needed:
                needed.update(step.inputs)
                kept.append(step)
        steps = tuple(_clip_branches(list(reversed(kept))))
        if not steps or steps[-1].output != logits or steps[-1].out_shape[:2] != (1, 1):
            raise ModelError(_("model.onnx does not end in one number for each class"))
        return Network(steps, self.shapes[PIXELS], logits, features, self.temperature)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _clip_branches(steps: list[Step]) -> Iterable[Step]:
    """What clips a concatenation clips each part of it instead, which then needs no pass of its own."""
    limits: dict[str, tuple[float, float]] = {}
    for step in steps:
        if step.kind == "concat" and (step.low, step.high) != (-math.inf, math.inf):
            limits |= dict.fromkeys(step.inputs, (step.low, step.high))
    for step in steps:
        if step.kind == "concat" and step.inputs[0] in limits:
            step = replace(step, low=-math.inf, high=math.inf)  # noqa: PLW2901
        elif step.output in limits:
            assert step.kind in CLIPPING
            low, high = limits[step.output]
            step = replace(step, low=max(step.low, low), high=min(step.high, high))  # noqa: PLW2901
        yield step


Attributes = Mapping[str, Any]


def _cast(reader: _Reader, node: Any, _given: Attributes) -> None:
    channels = reader.shapes[PIXELS][2]
    mean, scale = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    reader.add("pixels", node, node.input, weight=scale, bias=mean)


def _sub(reader: _Reader, node: Any, _given: Attributes) -> None:
    _scale_or_shift(reader, node, "Sub")


def _mul(reader: _Reader, node: Any, _given: Attributes) -> None:
    if not any(name in reader.constants for name in node.input):
        _silu(reader, node)
        return
    _scale_or_shift(reader, node, "Mul")


def _scale_or_shift(reader: _Reader, node: Any, kind: str) -> None:
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


def _affine(reader: _Reader, node: Any, scale: Array, shift: Array) -> None:
    weight = np.ascontiguousarray(scale, np.float32).reshape(1, 1, -1)
    bias = np.ascontiguousarray(shift, np.float32)
    reader.add("depthwise", node, node.input[:1], weight=weight, bias=bias)


def _silu(reader: _Reader, node: Any) -> None:
    """x · sigmoid(x), which is drawn as two nodes."""
    one, two = (reader.root(name) for name in node.input)
    last = reader.steps[-1]
    if last.kind != "sigmoid" or last.output not in {one, two} or last.inputs[0] not in {one, two}:
        reader.refuse(node, "between two values")
    reader.steps.pop()
    reader.add("silu", node, last.inputs)


def _batch_norm(reader: _Reader, node: Any, given: Attributes) -> None:
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


def _check_window(reader: _Reader, node: Any, given: Attributes) -> None:
    if any(step != 1 for step in given.get("dilations", (1, 1))):
        reader.refuse(node, "dilated")
    if given.get("auto_pad", b"NOTSET") not in {b"NOTSET", b"VALID"}:
        reader.refuse(node, "auto_pad")


def _conv(reader: _Reader, node: Any, given: Attributes) -> None:
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


def _bias(reader: _Reader, node: Any, count: int) -> Array:
    if len(node.input) < 3:
        return np.zeros(count, np.float32)
    return np.ascontiguousarray(reader.constants[node.input[2]], np.float32)


def _gemm(reader: _Reader, node: Any, given: Attributes) -> None:
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


def _is_flat(reader: _Reader, name: str) -> bool:
    return name in reader.flat or reader.shapes[reader.root(name)][:2] == (1, 1)


def _flatten(reader: _Reader, node: Any, given: Attributes) -> None:
    if given.get("axis", 1) != 1:
        reader.refuse(node, "axis")
    reader.alias[node.output[0]] = node.input[0]
    # Each number stands where it stood, until a dense layer takes them all.
    reader.flat.add(node.output[0])


def _same(reader: _Reader, node: Any, _given: Attributes) -> None:
    reader.alias[node.output[0]] = node.input[0]


def _pool(kind: str) -> Callable[[_Reader, Any, Attributes], None]:
    def read(reader: _Reader, node: Any, given: Attributes) -> None:
        _check_window(reader, node, given)
        shape = reader.shapes[reader.root(node.input[0])]
        kernel = tuple(given["kernel_shape"])
        stride, pads, sides = _window(given, shape, kernel)
        if kind == "avg_pool" and (any(pads) or given.get("ceil_mode")):
            reader.refuse(node, "padded")
        out = *sides, shape[2]
        reader.add(kind, node, node.input, out, kernel=kernel, stride=stride, pads=pads)

    return read


def _whole_pool(kind: str) -> Callable[[_Reader, Any, Attributes], None]:
    def read(reader: _Reader, node: Any, _given: Attributes) -> None:
        height, width, channels = reader.shapes[reader.root(node.input[0])]
        sides = height, width
        reader.add(kind, node, node.input, (1, 1, channels), kernel=sides, stride=sides)

    return read


def _join(kind: str) -> Callable[[_Reader, Any, Attributes], None]:
    def read(reader: _Reader, node: Any, given: Attributes) -> None:
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


def _clip(reader: _Reader, node: Any, _given: Attributes) -> None:
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


def _table(kind: str) -> Callable[[_Reader, Any, Attributes], None]:
    return lambda reader, node, _given: reader.add(kind, node, node.input)


def _matmul(reader: _Reader, node: Any, _given: Attributes) -> None:
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


def _div(reader: _Reader, node: Any, _given: Attributes) -> None:
    value = reader.constants.get(node.input[1])
    if node.name != "temperature" or value is None or value.size != 1:
        reader.refuse(node)
        return
    reader.temperature = float(value)
    reader.alias[node.output[0]] = node.input[0]


def _softmax(reader: _Reader, node: Any, _given: Attributes) -> None:
    if node.output[0] not in {output.name for output in reader.graph.output}:
        reader.refuse(node, "inside the network")
    reader.alias[node.output[0]] = node.input[0]


_OPERATORS: Mapping[str, Callable[[_Reader, Any, Attributes], None]] = {
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
