"""Where each value of a network lies in one block of memory.

Values that are needed at the same time do not overlap; an operator whose output may take the place of its
input writes there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from olhar.native.steps import PIXELS, TABLES, Network, Step

ALIGNMENT = 4
_POOLS = frozenset({"max_pool", "avg_pool"})


@dataclass(frozen=True)
class Arena:
    """Offsets in bytes by the values' names, and how many bytes there are."""

    offsets: dict[str, int]
    size: int


@dataclass
class _Block:
    """Values that share one place: its bytes, and the first and last step that need it."""

    names: list[str]
    size: int
    first: int
    last: int


def plan_arena(network: Network, bytes_each: int, kept: Collection[str] = ()) -> Arena:
    """Places for all values, the image first; it is one byte a number, the others `bytes_each`.

    Args:
        network: the network.
        bytes_each: 4 at fp32, 1 in 8 bits.
        kept: names of values that are needed to the end, beside the logits.
    """
    # A pooling in place holds more than it needs for as long as its output is needed: it has to pay.
    in_place: frozenset[str] = frozenset()
    best = _place(_blocks(network, bytes_each, in_place, kept))
    for step in network.steps:
        if step.kind in _POOLS:
            tried = in_place | {step.output}
            other = _place(_blocks(network, bytes_each, tried, kept))
            if other.size < best.size:
                in_place, best = tried, other
    return best


def _blocks(
    network: Network, bytes_each: int, in_place: frozenset[str], kept: Collection[str]
) -> list[_Block]:
    steps, end = network.steps, len(network.steps)
    last_use = {PIXELS: 0} | {step.output: at for at, step in enumerate(steps)}
    for at, step in enumerate(steps):
        for name in step.inputs:
            last_use[name] = max(last_use[name], at)
    last_use |= dict.fromkeys((network.logits, *kept), end)
    blocks = {PIXELS: _Block([PIXELS], math.prod(network.shape), 0, last_use[PIXELS])}
    for at, step in enumerate(steps):
        free = [name for name in step.inputs if last_use[name] == at and blocks[name].last == at]
        if free and _may_replace(step, bytes_each, in_place):
            taken = blocks[free[0]]
            taken.names.append(step.output)
            taken.last = last_use[step.output]
            blocks[step.output] = taken
        else:
            size = math.prod(step.out_shape) * bytes_each
            blocks[step.output] = _Block([step.output], size, at, last_use[step.output])
    return list({id(block): block for block in blocks.values()}.values())


def _may_replace(step: Step, bytes_each: int, in_place: frozenset[str]) -> bool:
    """Whether the output may take the place of an input that nothing else needs."""
    if step.kind in _POOLS:
        # One that does not pad reads no number behind the place that it has written.
        return step.output in in_place and not any(step.pads)
    return step.kind in TABLES | {"clip", "add"} or (step.kind == "pixels" and bytes_each == 1)


def _place(blocks: Sequence[_Block]) -> Arena:
    """Greatest first, each at the lowest offset that is free while it is needed."""
    placed: list[tuple[int, _Block]] = []
    for block in sorted(blocks, key=lambda one: (-one.size, one.first)):
        size = _aligned(block.size)
        together = sorted(
            (
                (at, other)
                for at, other in placed
                if other.first <= block.last and block.first <= other.last
            ),
            key=lambda one: one[0],
        )
        offset = 0
        for at, other in together:
            if offset + size <= at:
                break
            offset = max(offset, at + _aligned(other.size))
        placed.append((offset, block))
    offsets = {name: at for at, block in placed for name in block.names}
    return Arena(offsets, max(at + _aligned(block.size) for at, block in placed))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
