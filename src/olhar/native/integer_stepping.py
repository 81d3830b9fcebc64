"""A network computed step by step in 8 bits by olhar_nn, so that each value can be looked at."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.native.quantise import Integers, Quantised
from olhar.native.stepping import FUNCTIONS, join, matmul_sizes, operators, pointer_to, window_of
from olhar.native.steps import PIXELS, Array, Step

QUANT = ("in_zero", "out_zero", "low", "high")
ADD_QUANT = (
    "a_zero", "b_zero", "out_zero", "low", "high", "a_multiplier", "b_multiplier", "out_multiplier",
    "a_shift", "b_shift", "out_shift",
)  # fmt: skip


def compute_integers(
    quantised: Quantised, pixels: NDArray[np.uint8]
) -> dict[str, NDArray[np.int8]]:
    """Pixels (H, W, C) uint8 → every value of the network by its name, (H, W, C) int8.

    Raises:
        MissingExtraError: there is no C compiler.
    """
    library = operators()
    values: dict[str, NDArray[np.int8]] = {}
    given: dict[str, Array] = {PIXELS: np.ascontiguousarray(pixels)}
    for step in quantised.network.steps:
        out = np.empty(step.out_shape, np.int8)
        inputs = [given[name] for name in step.inputs]
        _run(library, step, quantised.steps[step.output], inputs, out)
        given[step.output] = values[step.output] = out
    return values


def softmax_integers(quantised: Quantised, logits: NDArray[np.int8]) -> NDArray[np.uint16]:
    """Logits (K,) int8 → probabilities (K,) in units of 1/32768."""
    flat = np.ascontiguousarray(logits.ravel())
    out = np.empty(flat.size, np.uint16)
    operators().nn_softmax_i8(
        pointer_to(flat), flat.size, pointer_to(quantised.softmax), pointer_to(out)
    )
    return out


def _run(
    library: ctypes.CDLL, step: Step, integers: Integers, inputs: list[Array], out: Array
) -> None:
    first, given = pointer_to(inputs[0]), pointer_to(out)
    places, count = math.prod(step.in_shapes[0][:2]), math.prod(step.in_shapes[0])
    numbers = integers.numbers
    own = [np.ascontiguousarray(one) for one in integers.arrays.values()]
    arrays = [pointer_to(one) for one in own]
    window = np.array(window_of(step), np.intc)
    keys = ADD_QUANT if step.kind == "add" else QUANT
    struct = np.array([numbers[key] for key in keys] if numbers else [0], np.intc)
    frame, quant = pointer_to(window), pointer_to(struct)
    is_table = set(integers.arrays) == {"table"} and step.kind != "pixels"
    kind = "table" if is_table else FUNCTIONS.get(step.kind, step.kind)
    function: Any = getattr(library, f"nn_{kind}_i8")
    match step.kind:
        case "pixels":
            function(first, places, step.out_shape[2], *arrays, given)
        case "conv" | "depthwise":
            function(frame, quant, first, *arrays, given)
        case "dense":
            function(quant, first, count, step.out_shape[2], *arrays, given)
        case "max_pool":
            function(frame, first, given)
        case "avg_pool":
            function(frame, quant, first, numbers["multiplier"], numbers["shift"], given)
        case "add":
            function(quant, first, pointer_to(inputs[1]), count, given)
        case "concat":
            join(function, inputs, out)
        case "rows" | "columns":
            function(quant, first, *matmul_sizes(step), *arrays, given)
        case _:
            function(first, count, *arrays, given)
