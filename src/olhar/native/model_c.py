"""A network as C: its weights, its arena, and one call for each step, in order."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olhar.native.arena import Arena, plan_arena
from olhar.native.integer_stepping import ADD_QUANT, QUANT
from olhar.native.quantise import Integers, Quantised
from olhar.native.stepping import FUNCTIONS, limits_of, matmul_sizes, window_of
from olhar.native.steps import PIXELS, Array, Network, Step

_LINE = 100
_TYPES = {
    "float32": "float",
    "int8": "int8_t",
    "int32": "int32_t",
    "uint16": "uint16_t",
    "uint8": "uint8_t",
}


@dataclass(frozen=True)
class ModelText:
    """The C of a model.

    Attributes:
        weights: what `model_weights.h` holds.
        run: the body of `run_network` in model.c, one call a step.
        arena: where the values lie.
        constant_bytes: of weights, tables and windows.
    """

    weights: str
    run: str
    arena: Arena
    constant_bytes: int


def write_steps(network: Network, quantised: Quantised | None) -> ModelText:
    """The parts of a model's C.

    Args:
        network: its steps.
        quantised: the same in 8 bits; None for fp32.
    """
    arena = plan_arena(network, 4 if quantised is None else 1)
    names = c_names(network)
    writer = _Writer(names, "f32" if quantised is None else "i8")
    for step in network.steps:
        writer.add(step, None if quantised is None else quantised.steps[step.output])
    if quantised is not None:
        writer.array("softmax_table", quantised.softmax)
    kind = "float" if quantised is None else "int8_t"
    places = [
        f"{'uint8_t' if name == PIXELS else kind} *const {names[name]} = "
        f"({'uint8_t' if name == PIXELS else kind} *)(void *)(arena.bytes + {offset});"
        for name, offset in arena.offsets.items()
        if name == PIXELS or any(step.output == name for step in network.steps)
    ]
    lines = [f"    {line}" if line else "" for line in (*places, "", *writer.calls)]
    return ModelText("\n".join(writer.constants), "\n".join(lines), arena, writer.bytes)


def c_names(network: Network) -> dict[str, str]:
    """A name in C for each value, after its layer."""
    names: dict[str, str] = {PIXELS: "pixels_in"}
    for step in network.steps:
        name = c_name(step.output)
        while name in names.values():
            name += "_"
        names[step.output] = name
    return names


_TAKEN = frozenset(
    ("int", "float", "char", "double", "short", "long", "if", "for", "while", "do", "return")
)


def c_name(text: str) -> str:
    """Letters, digits and underscores; no number first."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "value"
    return f"v{name}" if name[0].isdigit() or name in _TAKEN or name in {"arena", "w"} else name


class _Writer:
    """Constants and calls of the steps."""

    def __init__(self, names: Mapping[str, str], ending: str) -> None:
        self.names = names
        self.ending = ending
        self.constants: list[str] = []
        self.calls: list[str] = []
        self.bytes = 0

    def array(self, name: str, values: Array) -> str:
        """An array among the constants; its name."""
        self.constants.append(array_text(_TYPES[values.dtype.name], name, values))
        self.bytes += values.nbytes
        return name

    def struct(self, kind: str, name: str, values: Sequence[int]) -> str:
        self.constants.append(f"static const {kind} {name} = {{{', '.join(map(str, values))}}};\n")
        self.bytes += 4 * len(values)
        return f"&{name}"

    def add(self, step: Step, integers: Integers | None) -> None:
        """The constants and the call of one step."""
        out = self.names[step.output]
        (height, width, channels), (out_h, out_w, out_c) = step.in_shapes[0], step.out_shape
        self.calls.append(
            f"/* {_comment(step.name)}: {height}x{width}x{channels} -> {out_h}x{out_w}x{out_c} */"
        )
        inputs = [self.names[name] for name in step.inputs]
        if integers is None:
            arguments = self._float_arguments(step, out, inputs)
        else:
            arguments = self._integer_arguments(step, out, inputs, integers)
        function = f"nn_{self._function(step, integers)}_{self.ending}"
        for given in arguments:
            self.calls.append(_wrap(f"{function}({', '.join(given)});"))

    def _function(self, step: Step, integers: Integers | None) -> str:
        if integers is not None and set(integers.arrays) == {"table"} and step.kind != "pixels":
            return "table"
        return FUNCTIONS.get(step.kind, step.kind)

    def _window(self, step: Step) -> str:
        return self.struct("nn_window", f"{self.names[step.output]}_window", window_of(step))

    def _float_arguments(self, step: Step, out: str, inputs: list[str]) -> Iterator[list[str]]:
        places, count = math.prod(step.in_shapes[0][:2]), math.prod(step.in_shapes[0])
        limits = [_limit(one) for one in limits_of(step)]
        arrays = {"weight": step.weight, "bias": step.bias}
        if step.kind == "pixels":
            arrays = {"mean": step.bias, "scale": step.weight}
        own = [
            self.array(f"{out}_{part}", np.ascontiguousarray(value, np.float32).ravel())
            for part, value in arrays.items()
            if value is not None
        ]
        match step.kind:
            case "pixels":
                yield [inputs[0], str(places), str(step.out_shape[2]), *own, out]
            case "conv" | "depthwise":
                yield [self._window(step), inputs[0], *own, *limits, out]
            case "dense":
                yield [inputs[0], str(count), str(step.out_shape[2]), *own, *limits, out]
            case "max_pool" | "avg_pool":
                yield [self._window(step), inputs[0], out]
            case "add":
                yield [*inputs, str(count), *limits, out]
            case "concat":
                yield from _concat(step, out, inputs)
            case "rows" | "columns":
                yield [inputs[0], *map(str, matmul_sizes(step)), *own, out]
            case "clip":
                yield [inputs[0], str(count), *limits, out]
            case _:
                yield [inputs[0], str(count), out]

    def _integer_arguments(
        self, step: Step, out: str, inputs: list[str], integers: Integers
    ) -> Iterator[list[str]]:
        places, count = math.prod(step.in_shapes[0][:2]), math.prod(step.in_shapes[0])
        own = [
            self.array(f"{out}_{part}", np.ascontiguousarray(value).ravel())
            for part, value in integers.arrays.items()
        ]
        numbers = integers.numbers
        quant = ""
        if step.kind == "add":
            quant = self.struct("nn_add_quant", f"{out}_q", [numbers[key] for key in ADD_QUANT])
        elif numbers:
            quant = self.struct("nn_quant", f"{out}_q", [numbers[key] for key in QUANT])
        match step.kind:
            case "pixels":
                yield [inputs[0], str(places), str(step.out_shape[2]), *own, out]
            case "conv" | "depthwise":
                yield [self._window(step), quant, inputs[0], *own, out]
            case "dense":
                yield [quant, inputs[0], str(count), str(step.out_shape[2]), *own, out]
            case "max_pool":
                yield [self._window(step), inputs[0], out]
            case "avg_pool":
                factors = str(numbers["multiplier"]), str(numbers["shift"])
                yield [self._window(step), quant, inputs[0], *factors, out]
            case "add":
                yield [quant, *inputs, str(count), out]
            case "concat":
                yield from _concat(step, out, inputs)
            case "rows" | "columns":
                yield [quant, inputs[0], *map(str, matmul_sizes(step)), *own, out]
            case _:
                yield [inputs[0], str(count), *own, out]


def _concat(step: Step, out: str, inputs: list[str]) -> Iterator[list[str]]:
    at = 0
    for name, shape in zip(inputs, step.in_shapes, strict=True):
        places = math.prod(shape[:2])
        yield [name, str(places), str(shape[2]), out, str(step.out_shape[2]), str(at)]
        at += shape[2]


def _comment(text: str) -> str:
    """A layer's name where it cannot end a comment."""
    return re.sub(r"[^A-Za-z0-9_.:+-]", "_", text)


def _limit(value: float) -> str:
    return ("-" if value < 0 else "") + "NN_MAX" if abs(value) > 3e38 else _float(value)


def _float(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"


def array_text(kind: str, name: str, values: Array) -> str:
    """A constant array of C."""
    lines = "\n".join(_lines(values))
    return f"static const {kind} {name}[{values.size}] = {{\n{lines}\n}};\n"


def _lines(values: Array) -> Iterator[str]:
    words = (
        map(_float, values.tolist()) if values.dtype == np.float32 else map(str, values.tolist())
    )
    line: list[str] = []
    length = 0
    for word in words:
        if length + len(word) + 1 > _LINE:
            yield f"    {''.join(line)}"
            line, length = [], 0
        line.append(f"{word},")
        length += len(word) + 1
    if line:
        yield f"    {''.join(line)}"


def _wrap(call: str) -> str:
    """A call over lines of at most 100 characters."""
    if len(call) <= _LINE:
        return call
    opening = call.index("(") + 1
    lines, line = [], call[:opening]
    for argument in call[opening:].split(", "):
        if len(line) + len(argument) + 2 > _LINE:
            lines.append(line.rstrip())
            line = " " * 8
        line += f"{argument}, "
    return "\n    ".join([*lines, line.removesuffix(", ")])
