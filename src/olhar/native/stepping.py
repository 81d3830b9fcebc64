"""A network computed step by step at fp32 by olhar_nn, so that each value can be looked at."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.native.host import SOURCES, load_library
from olhar.native.steps import PIXELS, Array, Network, Step

_MOST = float(np.finfo(np.float32).max)

Values = dict[str, NDArray[np.float32]]


class Window(ctypes.Structure):
    """`nn_window` of olhar_nn.h."""

    _fields_ = [
        (name, ctypes.c_int)
        for name in (
            "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w", "stride_h",
            "stride_w", "pad_top", "pad_left",
        )
    ]  # fmt: skip


def window_of(step: Step) -> tuple[int, ...]:
    """The numbers of a step's `nn_window`, in order."""
    top, left = step.pads[:2]
    return (*step.in_shapes[0], *step.out_shape, *step.kernel, *step.stride, top, left)


def limits_of(step: Step) -> tuple[float, float]:
    """Least and greatest number of what a step gives, as C has them."""
    return max(step.low, -_MOST), min(step.high, _MOST)


def matmul_sizes(step: Step) -> tuple[int, int, int, int]:
    """`times`, m, k and n of a step of rows or columns."""
    assert step.weight is not None
    height, width, channels = step.in_shapes[0]
    m, k = step.weight.shape
    return (1, m, k, width * channels) if step.kind == "rows" else (height, m, k, channels)


@cache
def operators() -> ctypes.CDLL:
    """olhar_nn, compiled on this machine."""
    return load_library([SOURCES / "olhar_nn.c"], exact=True)


def compute_values(network: Network, pixels: NDArray[np.uint8]) -> Values:
    """Pixels (H, W, C) uint8 → every value of the network by its name, (H, W, C) float32.

    Raises:
        MissingExtraError: there is no C compiler.
    """
    library = operators()
    values: Values = {}
    given: dict[str, Array] = {PIXELS: np.ascontiguousarray(pixels)}
    for step in network.steps:
        out = np.empty(step.out_shape, np.float32)
        _run(library, step, [given[name] for name in step.inputs], out)
        given[step.output] = values[step.output] = out
    return values


def pointer_to(array: Array | None) -> Any:
    """Where an array lies."""
    assert array is not None
    return array.ctypes.data_as(ctypes.c_void_p)


def _run(library: ctypes.CDLL, step: Step, inputs: list[Array], out: Array) -> None:
    low, high = (ctypes.c_float(one) for one in limits_of(step))
    first, given = pointer_to(inputs[0]), pointer_to(out)
    channels = step.in_shapes[0][2]
    places, count = math.prod(step.in_shapes[0][:2]), math.prod(step.in_shapes[0])
    function = getattr(library, f"nn_{FUNCTIONS.get(step.kind, step.kind)}_f32")
    function.restype = None
    match step.kind:
        case "pixels":
            function(first, places, channels, pointer_to(step.bias), pointer_to(step.weight), given)
        case "conv" | "depthwise":
            window = ctypes.byref(Window(*window_of(step)))
            function(
                window, first, pointer_to(step.weight), pointer_to(step.bias), low, high, given
            )
        case "dense":
            function(
                first,
                count,
                out.size,
                pointer_to(step.weight),
                pointer_to(step.bias),
                low,
                high,
                given,
            )
        case "max_pool" | "avg_pool":
            function(ctypes.byref(Window(*window_of(step))), first, given)
        case "add":
            function(first, pointer_to(inputs[1]), count, low, high, given)
        case "concat":
            join(function, inputs, out)
        case "rows" | "columns":
            function(first, *matmul_sizes(step), pointer_to(step.weight), given)
        case "clip":
            function(first, count, low, high, given)
        case _:
            function(first, count, given)


def join(function: Any, inputs: Sequence[Array], out: Array) -> None:
    """Lay the channels of several values beside each other, by an `nn_concat` of olhar_nn."""
    at, places = 0, math.prod(out.shape[:2])
    for one in inputs:
        function(pointer_to(one), places, one.shape[2], pointer_to(out), out.shape[2], at)
        at += one.shape[2]


FUNCTIONS: Mapping[str, str] = {"rows": "matmul", "columns": "matmul"}
