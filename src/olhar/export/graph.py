"""A chain of layers → an ONNX graph of standard operators, drawn as a person would draw it.

Nodes have the names of the layers, initializers theirs and the weight's: conv1, conv1.weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from olhar.export.layers import (
    Affine,
    Array,
    Branches,
    Chain,
    Conv,
    Dense,
    Foreign,
    Layer,
    Mean,
    Operator,
    Views,
)

OPSET = 18
_IR_VERSION = 8  # what belongs to that opset; a newer one is refused by older readers
INPUT = "images"


class Graph:
    """A graph while it is drawn. `value` is the name of what was computed last."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.value = INPUT
        self._tensors: list[onnx.TensorProto] = []

    def add(self, chain: Chain) -> None:
        """Draw layers behind what is there."""
        for layer in chain:
            self._add(layer)

    def node(
        self, kind: str, name: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any
    ) -> str:
        """Draw one node; its (first) output has its name."""
        names = [name, *(f"{name}.{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name, **attributes))
        self.value = name
        return name

    def constant(self, name: str, value: Array) -> str:
        """Keep an array as an initializer, once."""
        known = self.constants.setdefault(name, value)
        assert known is value or np.array_equal(known, value), name
        return name

    def rename(self, name: str) -> None:
        """Give what was computed last another name, as an output of the graph has."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if given == self.value else given for given in names]
        self.value = name

    def to_bytes(self, shape: tuple[int, int, int], outputs: Mapping[str, int | None]) -> bytes:
        """The file.

        Args:
            shape: (C, H, W) of an image.
            outputs: the width of each output (N, width); None for one of any shape.
        """
        images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *shape])
        given = [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, None if width is None else ["N", width]
            )
            for name, width in outputs.items()
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "olhar", [images], given, tensors + self._tensors)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="olhar",
        )
        return bytes(model.SerializeToString(deterministic=True))

    def _add(self, layer: Layer) -> None:
        match layer:
            case Conv():
                self._conv(layer)
            case Dense():
                self.node("Gemm", layer.name, [self.value, *self._weights(layer)], transB=1)
            case Affine():
                self._affine(layer)
            case Operator():
                constants = [self.constant(name, value) for name, value in layer.constants.items()]
                inputs = [self.value, *constants]
                if layer.constant_first:
                    inputs = [*constants, self.value]
                self.node(layer.kind, layer.name, inputs, **layer.attributes)
            case Branches():
                self._branches(layer)
            case Views():
                self._views(layer)
            case Mean():
                self._mean(layer)
            case Foreign():
                self._foreign(layer)

    def _weights(self, layer: Conv | Dense) -> list[str]:
        names = [self.constant(f"{layer.name}.weight", layer.weight)]
        if layer.bias is not None:
            names.append(self.constant(f"{layer.name}.bias", layer.bias))
        return names

    def _conv(self, layer: Conv) -> None:
        attributes: dict[str, Any] = {"kernel_shape": layer.weight.shape[2:]}
        if layer.stride != (1, 1):
            attributes["strides"] = layer.stride
        if any(layer.padding):
            attributes["pads"] = layer.padding
        if layer.groups != 1:
            attributes["group"] = layer.groups
        self.node("Conv", layer.name, [self.value, *self._weights(layer)], **attributes)

    def _affine(self, layer: Affine) -> None:
        name, taken = layer.name, self.value
        if layer.statistics:
            own = [self.constant(f"{name}.{key}", value) for key, value in layer.statistics.items()]
            self.node("BatchNormalization", name, [taken, *own], epsilon=layer.epsilon)
            return
        # x · scale + shift as (x - mean) · scale, which is how a person says it.
        mean, scale = (
            np.asarray(part, np.float32).reshape(-1, 1, 1)
            for part in (-layer.shift / layer.scale, layer.scale)
        )
        less = self.node("Sub", f"{name}.sub", [taken, self.constant(f"{name}.mean", mean)])
        self.node("Mul", name, [less, self.constant(f"{name}.scale", scale)])

    def _branches(self, layer: Branches) -> None:
        taken, ends = self.value, []
        for chain in layer.chains:
            self.value = taken
            self.add(chain)
            ends.append(self.value)
        self.node(layer.kind, layer.name, ends, **layer.attributes)

    def _views(self, layer: Views) -> None:
        side = layer.side
        if layer.views.endswith("shift"):
            taken = self.value
            self.node(
                "Pad",
                "views.pad",
                [taken, self._ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)],
                mode="reflect",
            )
            shifted = [
                self._slice(f"views.shift{1 + at // 2}", self.value, at, side) for at in (0, 2)
            ]
            self.node("Concat", "views.shifts", [taken, *shifted], axis=0)
        if layer.views.startswith("mirror"):
            taken = self.value
            limits = [
                self._ints(*part)
                for part in (("last", -1), ("before", -side - 1), ("axis", 3), ("back", -1))
            ]
            mirrored = self.node("Slice", "views.mirror", [taken, *limits])
            self.node("Concat", "views", [taken, mirrored], axis=0)

    def _slice(self, name: str, taken: str, start: int, side: int) -> str:
        limits = [
            self._ints(f"from{start}", start, start),
            self._ints(f"to{start + side}", start + side, start + side),
            self._ints("axes", 2, 3),
        ]
        node = helper.make_node("Slice", [taken, *limits], [name], name)
        self.nodes.append(node)
        return name

    def _ints(self, name: str, *values: int) -> str:
        return self.constant(f"views.{name}", np.array(values, np.int64))

    def _mean(self, layer: Mean) -> None:
        """The images themselves count twice where shifted ones stand beside them."""
        weights = [2, 1, 1] if layer.views.endswith("shift") else [1]
        weights = weights * 2 if layer.views.startswith("mirror") else weights
        name = "views.split"
        self.node("Split", name, [self.value], len(weights), axis=0, num_outputs=len(weights))
        parts = self.nodes[-1].output
        repeated = [
            part for part, weight in zip(parts, weights, strict=True) for _ in range(weight)
        ]
        self.node("Mean", "views.mean", repeated)

    def _foreign(self, layer: Foreign) -> None:
        taken, graph = self.value, layer.graph
        for node in graph.node:
            node.input[:] = [taken if name == graph.input[0].name else name for name in node.input]
            self.nodes.append(node)
        self._tensors += graph.initializer
        self.value = graph.output[0].name
