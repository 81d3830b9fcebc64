"""A network → the bytes that olhar_run.c computes: what a page carries.

Words of 32 bits, little-endian: a header, a record for each step, one for each array of 8-bit weights,
numbers that stay as they are, weights.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.native.arena import plan_arena
from olhar.native.stepping import limits_of, matmul_sizes, window_of
from olhar.native.steps import PIXELS, Array, Network, Step

BITS = {"fp16": 16, "fp32": 32, "int8": 8}  # of a weight
_MAGIC, _VERSION = 0x72686C6F, 1  # "olhr"
HEADER = "<14i"
_LEVELS = 127
_HALF_MOST = float(np.finfo(np.float16).max)
_BYTES = 4  # of a number of the arena
_KINDS = {
    "pixels": 0, "conv": 1, "depthwise": 2, "dense": 3, "max_pool": 4, "avg_pool": 5, "add": 6,
    "concat": 7, "rows": 8, "columns": 8, "clip": 9, "tanh": 10, "sigmoid": 11, "silu": 12,
}  # fmt: skip


@dataclass
class _Numbers:
    """Arrays one behind the other."""

    arrays: list[Array] = field(default_factory=list)
    count: int = 0

    def add(self, array: Array | None) -> int:
        """Where it begins; 0 for none."""
        if array is None:
            return 0
        at, self.count = self.count, self.count + array.size
        self.arrays.append(array)
        return at

    def to_bytes(self, kind: type[np.generic] = np.float32) -> bytes:
        """All of them, as numbers of one type."""
        parts = [array.ravel().astype(kind) for array in self.arrays]
        return np.concatenate(parts).tobytes() if parts else b""


def pack_network(network: Network, precision: str = "fp16") -> bytes:
    """A network → its bytes.

    Args:
        network: to pack.
        precision: of its weights: fp16, fp32, or int8 with a scale for each output. It computes at fp32
            whatever they are, and its biases are fp32.

    Raises:
        ConfigError: a weight is too large for fp16.
    """
    places, size = plan_values(network)
    weights, exact = _Numbers(), _Numbers()
    rows = [row for step in network.steps for row in _records(step, places, weights, exact)]
    table: list[bytes] = []
    if precision == "fp16":
        _check_halves(network.steps)
        stored = weights.to_bytes(np.float16)
    elif precision == "int8":
        stored = b"".join(_in_8_bits(array, exact, table) for array in weights.arrays)
    else:
        stored = weights.to_bytes()
    features = -1 if network.features is None else places[network.features]
    width = 0 if network.features is None else math.prod(_shapes(network)[network.features])
    side, _width, channels = network.shape
    header = (
        *(_MAGIC, _VERSION, BITS[precision], len(rows), side, channels, size),
        *(places[network.logits], network.classes, features, width),
        *(exact.count, weights.count, len(table)),
    )
    return struct.pack(HEADER, *header) + b"".join([*rows, *table]) + exact.to_bytes() + stored


def _in_8_bits(array: Array, exact: _Numbers, table: list[bytes]) -> bytes:
    """Weights as 8-bit numbers, symmetric; the scales of the outputs, the last axis, are noted."""
    flat = array.reshape(-1, array.shape[-1])
    most = np.abs(flat).max(axis=0)
    scales = np.where(most > 0, most / _LEVELS, 1.0).astype(np.float32)
    table.append(struct.pack("<3i", flat.size, flat.shape[1], exact.add(scales)))
    return np.rint(flat / scales).astype(np.int8).tobytes()


def _check_halves(steps: Sequence[Step]) -> None:
    for step in steps:
        if step.weight is not None and float(np.abs(step.weight).max()) > _HALF_MOST:
            raise ConfigError(
                _(
                    "layer {layer} has a weight of {value}, and fp16 reaches {most}; give "
                    "--precision fp32",
                    layer=step.name,
                    value=f"{float(np.abs(step.weight).max()):.3g}",
                    most=f"{_HALF_MOST:.0f}",
                )
            )


def _records(
    step: Step, places: Mapping[str, int], weights: _Numbers, exact: _Numbers
) -> Iterator[bytes]:
    """The records of a step: one, or of a concatenation one for each part."""
    kind = _KINDS[step.kind]
    low, high = limits_of(step)
    pool = exact if step.kind == "pixels" else weights
    numbers = [pool.add(step.weight), exact.add(step.bias)]
    inputs = [0 if name == PIXELS else places[name] for name in step.inputs]
    out, channel = places[step.output], 0
    for part in range(len(inputs) if step.kind == "concat" else 1):
        too = inputs[1] if step.kind == "add" else 0
        window = list(window_of(step))
        more = (0, 0, 0, 0)
        if step.kind == "concat":
            window[:3] = step.in_shapes[part]
            more = (step.out_shape[2], channel, 0, 0)
            channel += step.in_shapes[part][2]
        elif step.kind in {"rows", "columns"}:
            more = matmul_sizes(step)
        count = math.prod(step.in_shapes[part])
        words = [kind, inputs[part], too, out, count, *window, *numbers]
        yield struct.pack("<19i2f4i", *words, low, high, *more)


def _shapes(network: Network) -> dict[str, tuple[int, int, int]]:
    return {step.output: step.out_shape for step in network.steps}


def plan_values(network: Network) -> tuple[dict[str, int], int]:
    """Where each value lies, in numbers from the beginning of the arena, and how many numbers it has."""
    kept = () if network.features is None else (network.features,)
    arena = plan_arena(network, _BYTES, kept)
    return {name: at // _BYTES for name, at in arena.offsets.items()}, -(-arena.size // _BYTES)
