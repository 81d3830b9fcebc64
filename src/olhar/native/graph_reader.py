"""The steps of a network while the nodes of its `model.onnx` are read, one by one.

Does not know: any operator.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from olhar.errors import ConfigError, ModelError
from olhar.i18n import _
from olhar.native.steps import CLIPPING, PIXELS, Array, Network, Shape, Step


@dataclass
class Reader:
    """What was read.

    Attributes:
        graph: of `model.onnx`.
        known: the operators that there is C for.
        steps: those so far.
        constants: values that are in the file, by name.
        shapes: (H, W, C) of each value.
        alias: which value a name stands for that no step computes.
        flat: values that were flattened; each number stands where it stood.
        taken: how many nodes take a value.
        temperature: that divides the logits.
    """

    graph: Any
    known: Collection[str]
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
        """The value that a name stands for."""
        while name in self.alias:
            name = self.alias[name]
        return name

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
                known=", ".join(sorted(self.known)),
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
