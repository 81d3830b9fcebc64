"""A network in 8 bits: scales from what it gives for some images, weights, and multipliers.

A number q stands for scale · (q - zero). Weights are symmetric, with one scale for each output channel;
values have one scale for each tensor. Sources: Jacob et al. 2018, arXiv 1712.05877, sections 2 and 3;
Krishnamoorthi 2018, arXiv 1806.08342, section 3; TensorFlow Lite's 8-bit quantization specification.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from olhar.native.stepping import compute_values
from olhar.native.steps import Array, Network, Step

LOW, HIGH = -128, 127
_WEIGHT = 127
_ADD_BITS = 20
# Beyond these a table gives the same 8-bit number for all.
_SATURATED = {"tanh": (-4.0, 4.0), "sigmoid": (-8.0, 8.0), "silu": (-8.0, math.inf)}

Range = tuple[float, float]
Ranges = dict[str, Range]


@dataclass(frozen=True)
class Scale:
    """What the 8-bit numbers of a value stand for: scale · (q - zero)."""

    scale: float
    zero: int

    def quantise(self, x: Array) -> NDArray[np.int8]:
        """The nearest 8-bit numbers."""
        rounded = np.clip(np.rint(x / self.scale) + self.zero, LOW, HIGH)
        return np.asarray(rounded, np.int8)

    def values(self, q: Array) -> NDArray[np.float64]:
        """What 8-bit numbers stand for."""
        return self.scale * (np.asarray(q, np.float64) - self.zero)


@dataclass(frozen=True, eq=False)
class Integers:
    """What C needs of one step: arrays and single numbers, by the names of `olhar_nn.h`."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Quantised:
    """A network in 8 bits.

    Attributes:
        network: the steps.
        scales: of each value by its name.
        steps: of each step, by its output.
        softmax: (256,) uint16, see `nn_softmax_i8`.
    """

    network: Network
    scales: Mapping[str, Scale]
    steps: Mapping[str, Integers]
    softmax: NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a value was over some images.

    Attributes:
        low: least number of each channel, (C,), at most 0.
        high: greatest, at least 0.
        mean: (H, W, C).
    """

    low: Array
    high: Array
    mean: Array


def observe(network: Network, images: Iterable[NDArray[np.uint8]]) -> dict[str, Seen]:
    """What each value of a network is over images (H, W, C) uint8."""
    seen: dict[str, Seen] = {}
    for count, image in enumerate(images):
        for name, value in compute_values(network, image).items():
            low, high = value.min((0, 1)), value.max((0, 1))
            before = seen.get(
                name, Seen(np.zeros_like(low), np.zeros_like(high), np.zeros(value.shape))
            )
            seen[name] = Seen(
                np.minimum(before.low, low),
                np.maximum(before.high, high),
                before.mean + (value - before.mean) / (count + 1),
            )
    return seen


def quantise(network: Network, seen: Mapping[str, Seen]) -> Quantised:
    """A network, and what its values were → the network in 8 bits."""
    ranges = {name: (float(one.low.min()), float(one.high.max())) for name, one in seen.items()}
    scales = _choose_scales(network, ranges)
    steps = {step.output: _integers(step, scales) for step in network.steps}
    below = -np.arange(256) * scales[network.logits].scale / network.temperature
    softmax = np.rint(65535 * np.exp(below)).astype(np.uint16)
    return Quantised(network, scales, steps, softmax)


def _choose_scales(network: Network, ranges: Ranges) -> dict[str, Scale]:
    """One for each value; what is only passed on keeps the scale it has."""
    leader = {step.output: step.output for step in network.steps}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    wanted = dict(ranges)
    for step in network.steps:
        if step.kind == "pixels":  # all that a pixel may be, whatever the images were
            assert step.weight is not None
            assert step.bias is not None
            ends = np.stack([(end - step.bias) * step.weight for end in (0.0, 255.0)])
            wanted[step.output] = float(min(0.0, ends.min())), float(max(0.0, ends.max()))
        if step.kind in _SATURATED:
            least, most = _SATURATED[step.kind]
            low, high = wanted[step.inputs[0]]
            wanted[step.inputs[0]] = max(low, least), min(high, most)
        if step.kind in {"max_pool", "concat"}:
            for name in step.inputs:
                leader[find(name)] = find(step.output)
    together: Ranges = {}
    for name, (low, high) in wanted.items():
        own = together.get(find(name), (0.0, 0.0))
        together[find(name)] = min(own[0], low), max(own[1], high)
    scales = {name: _scale(*together[find(name)]) for name in leader}
    for step in network.steps:
        if step.kind == "tanh" and find(step.output) == step.output:
            scales[step.output] = Scale(1 / HIGH, 0)
    return scales | {name: scales[find(name)] for name in leader}


def _scale(low: float, high: float) -> Scale:
    """The 8-bit numbers that reach from `low` to `high`; 0 is one of them exactly."""
    scale = (high - low) / (HIGH - LOW) or 1.0
    return Scale(scale, int(np.clip(round(LOW - low / scale), LOW, HIGH)))


def as_multiplier(value: Array) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Positive numbers → their multipliers in Q31 and shifts: value = multiplier / 2³¹ · 2^shift."""
    mantissa, exponent = np.frexp(np.asarray(value, np.float64))
    multiplier = np.rint(mantissa * 2**31).astype(np.int64)
    exponent = exponent + (multiplier == 2**31)
    multiplier = np.where(multiplier == 2**31, 2**30, multiplier)
    tiny = exponent < -31  # of a channel whose weights are all but 0
    exponent, multiplier = np.where(tiny, 0, exponent), np.where(tiny, 0, multiplier)
    assert (exponent <= 30).all()
    return multiplier.astype(np.int32), exponent.astype(np.int8)


def _one_multiplier(value: float) -> tuple[int, int]:
    multiplier, shift = as_multiplier(np.array([value]))
    return int(multiplier[0]), int(shift[0])


def _integers(step: Step, scales: Mapping[str, Scale]) -> Integers:
    out = scales[step.output]
    if step.kind == "pixels":
        return _pixels(step, out)
    own = scales[step.inputs[0]]
    zeros = {"in_zero": own.zero, "out_zero": out.zero, "low": LOW, "high": HIGH}
    zeros |= _limits(step, out)
    match step.kind:
        case "conv" | "dense" | "depthwise":
            return _weighted(step, own, out, zeros)
        case "rows" | "columns":
            return _matrix(step, own, out, zeros)
        case "avg_pool":
            places = step.kernel[0] * step.kernel[1]
            multiplier, shift = _one_multiplier(own.scale / (out.scale * places))
            return Integers(numbers=zeros | {"multiplier": multiplier, "shift": shift})
        case "add":
            return _add(step, scales, zeros)
        case "clip" | "tanh" | "sigmoid" | "silu":
            return _table(step, own, out)
        case _:
            return Integers()


def _limits(step: Step, out: Scale) -> dict[str, int]:
    limits = {}
    for name, value in (("low", step.low), ("high", step.high)):
        if math.isfinite(value):
            limits[name] = int(out.quantise(np.array(value)))
    return limits


def _pixels(step: Step, out: Scale) -> Integers:
    """For each channel a table of the 256 pixels."""
    assert step.weight is not None
    assert step.bias is not None
    scaled = (np.arange(256) - step.bias[:, None].astype(np.float64)) * step.weight[:, None]
    return Integers({"table": out.quantise(scaled)})


def round_weights(step: Step, own: Scale) -> tuple[Array, Array]:
    """The 8-bit weights (…, O) of a step that takes numbers of a scale, and their scales (O,)."""
    assert step.weight is not None
    assert step.bias is not None
    flat = step.weight.astype(np.float64).reshape(-1, step.out_shape[2])  # (…, O)
    scale = np.abs(flat).max(0) / _WEIGHT
    # A bias has to fit into 30 bits: where the weights are all but 0, their scale has to be coarser.
    scale = np.maximum(scale, np.abs(step.bias.astype(np.float64)) / (own.scale * 2**30))
    scale = np.where(scale == 0, 1.0, scale)
    return np.rint(flat / scale).astype(np.int8), scale


def _weighted(step: Step, own: Scale, out: Scale, zeros: dict[str, int]) -> Integers:
    assert step.bias is not None
    weight, scale = round_weights(step, own)
    bias = step.bias.astype(np.float64)
    if step.kind != "depthwise":
        weight = np.ascontiguousarray(weight.T)  # (O, kh · kw · I)
    multiplier, shift = as_multiplier(own.scale * scale / out.scale)
    arrays = {
        "weight": weight.ravel(),
        "bias": np.rint(bias / (own.scale * scale)).astype(np.int32),
        "multiplier": multiplier,
        "shift": shift,
    }
    return Integers(arrays, zeros)


def _matrix(step: Step, own: Scale, out: Scale, zeros: dict[str, int]) -> Integers:
    assert step.weight is not None
    scale = np.abs(step.weight).max(1).astype(np.float64) / _WEIGHT
    multiplier, shift = as_multiplier(own.scale * scale / out.scale)
    weight = np.rint(step.weight / scale[:, None]).astype(np.int8)
    return Integers({"weight": weight, "multiplier": multiplier, "shift": shift}, zeros)


def _add(step: Step, scales: Mapping[str, Scale], zeros: dict[str, int]) -> Integers:
    one, two = (scales[name] for name in step.inputs)
    out = scales[step.output]
    common = 2 * max(one.scale, two.scale)
    numbers = {"a_zero": one.zero, "b_zero": two.zero}
    numbers |= {key: zeros[key] for key in ("out_zero", "low", "high")}
    shares = {
        "a": one.scale / common,
        "b": two.scale / common,
        "out": common / (out.scale * 2**_ADD_BITS),
    }
    pairs = {name: _one_multiplier(share) for name, share in shares.items()}
    numbers |= {f"{name}_multiplier": pair[0] for name, pair in pairs.items()}
    numbers |= {f"{name}_shift": pair[1] for name, pair in pairs.items()}
    return Integers(numbers=numbers)


def _table(step: Step, own: Scale, out: Scale) -> Integers:
    x = own.values(np.arange(LOW, HIGH + 1))
    functions: dict[str, Callable[[], Array]] = {
        "clip": lambda: np.clip(x, step.low, step.high),
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: 1 / (1 + np.exp(-x)),
        "silu": lambda: x / (1 + np.exp(-x)),
    }
    return Integers({"table": out.quantise(functions[step.kind]())})
