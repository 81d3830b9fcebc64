"""What makes a network better in 8 bits without training: channels of equal range, biases that make up.

Source: Nagel et al. 2019, arXiv 1906.04721, sections 4.1 (cross-layer equalisation) and 4.2 (bias
correction).
Weights have a scale for each channel here, so that it is the ranges of the values that are made equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from olhar.native.quantise import Quantised, Seen, round_weights
from olhar.native.steps import Array, Network, Step

_WEIGHTED = frozenset({"conv", "depthwise", "dense"})
_PASSING = frozenset({"max_pool", "avg_pool"})  # a positive factor of a channel passes through


def equalise(network: Network, seen: Mapping[str, Seen]) -> Network:
    """The same function, with the channels between two layers scaled so that their ranges are alike."""
    steps = {step.output: step for step in network.steps}
    for first in list(network.steps):
        second = _partner(network, first)
        if second is None:
            continue
        one, two = steps[first.output], steps[second.output]
        share = _shares(seen[first.output], two, first.out_shape[2])
        steps[first.output] = _divide_outputs(one, share)
        steps[second.output] = _multiply_inputs(two, share)
    return replace(network, steps=tuple(steps[step.output] for step in network.steps))


def correct_biases(network: Network, seen: Mapping[str, Seen], quantised: Quantised) -> Network:
    """Each bias less what the rounding of the weights adds to its channel on average."""
    return replace(
        network,
        steps=tuple(
            _correct(step, seen, quantised) if step.kind in _WEIGHTED else step
            for step in network.steps
        ),
    )


def _correct(step: Step, seen: Mapping[str, Seen], quantised: Quantised) -> Step:
    assert step.weight is not None
    assert step.bias is not None
    if step.inputs[0] not in seen:
        return step
    rounded, scale = round_weights(step, quantised.scales[step.inputs[0]])
    error = rounded * scale - step.weight.reshape(rounded.shape)  # (…, O)
    mean = seen[step.inputs[0]].mean
    channels = mean.mean((0, 1))
    if step.kind == "dense":
        added = mean.ravel() @ error
    elif step.kind == "depthwise":
        added = channels * error.sum(0)
    else:
        added = channels @ error.reshape(-1, len(channels), error.shape[1]).sum(0)
    return replace(step, bias=(step.bias - added).astype(np.float32))


def _partner(network: Network, first: Step) -> Step | None:
    """The layer with weights that alone takes what `first` gives, if factors pass through between."""
    if (
        first.kind not in _WEIGHTED
        or math.isfinite(first.high)
        or first.low not in {0.0, -math.inf}
    ):
        return None
    name = first.output
    while True:
        takers = [step for step in network.steps if name in step.inputs]
        if len(takers) != 1 or name in {network.logits, network.features}:
            return None
        if takers[0].kind in _WEIGHTED:
            return takers[0]
        if takers[0].kind not in _PASSING:
            return None
        name = takers[0].output


def _shares(seen: Seen, second: Step, channels: int) -> Array:
    """By what each channel is divided, (C,): so that its values and the next weights are as great."""
    values = np.maximum(-seen.low, seen.high).astype(np.float64)
    assert second.weight is not None
    weights = np.abs(_by_input(second, channels)).max((0, 2)).astype(np.float64)
    usable = (values > 0) & (weights > 0)
    share = np.sqrt(np.where(usable, values, 1) / np.where(usable, weights, 1))
    share = np.where(usable, share, 1.0)
    # Only what the channels differ by matters.
    equal: Array = share / np.exp(np.log(share).mean())
    return equal


def _by_input(step: Step, channels: int) -> Array:
    """Weights as (places, inputs, outputs)."""
    assert step.weight is not None
    if step.kind == "depthwise":
        return step.weight.reshape(-1, channels, 1)
    return step.weight.reshape(-1, channels, step.out_shape[2])


def _divide_outputs(step: Step, share: Array) -> Step:
    assert step.weight is not None
    assert step.bias is not None
    weight, bias = step.weight / share, step.bias / share
    return replace(step, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def _multiply_inputs(step: Step, share: Array) -> Step:
    assert step.weight is not None
    scaled = _by_input(step, len(share)) * share.reshape(1, -1, 1)
    return replace(step, weight=scaled.reshape(step.weight.shape).astype(np.float32))
