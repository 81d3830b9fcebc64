"""Batch norms and the normalisation put into the layers beside them, where that is exact.

    conv → norm                            into the convolution before
    norm → average pooling → conv or dense into the layer behind, if that does not pad
    norm, max pooling                      as well, where no scale turns the greatest into the least

What cannot be put anywhere stays a layer of its own. Sources: Jacob et al. 2018, arXiv 1712.05877,
section 3.2, for the layer before; the layer behind is the same arithmetic from its other side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from olhar.export.layers import Affine, Array, Branches, Chain, Conv, Dense, Layer, Operator, Views

# An affine map of each channel may be done before or behind these: of any scale, of positive ones.
_MEANS = frozenset({"AveragePool", "GlobalAveragePool", "Flatten"})
_GREATEST = frozenset({"MaxPool", "GlobalMaxPool"})


def fold(chain: Iterable[Layer]) -> Chain:
    """The same function in as few layers as can be."""
    layers = _activate_first([_fold_branches(layer) for layer in chain])
    for affine in [layer for layer in layers if isinstance(layer, Affine)]:
        at = layers.index(affine)
        before = _reach(layers, range(at - 1, -1, -1), affine)
        behind = _reach(layers, range(at + 1, len(layers)), affine)
        if before is not None:
            layers[before] = _put_behind(layers[before], affine)
        elif behind is not None and not _pads(layers[behind]):
            layers[behind] = _put_before(layers[behind], affine)
        else:
            continue
        del layers[at]
    return tuple(layers)


def _fold_branches(layer: Layer) -> Layer:
    if not isinstance(layer, Branches):
        return layer
    return dataclasses.replace(layer, chains=tuple(fold(chain) for chain in layer.chains))


def _activate_first(layers: list[Layer]) -> list[Layer]:
    """A ReLU before the max pooling that training has before it: ONNX Runtime makes one step of a
    convolution and its ReLU."""
    for at in range(len(layers) - 1):
        if _is(layers[at], {"MaxPool"}) and _is(layers[at + 1], {"Relu"}):
            layers[at : at + 2] = reversed(layers[at : at + 2])
    return layers


def _is(layer: Layer, kinds: Iterable[str]) -> bool:
    return isinstance(layer, Operator) and layer.kind in kinds


def _reach(layers: list[Layer], places: Iterable[int], affine: Affine) -> int | None:
    """The first layer with weights among `places`, if the affine map may be moved up to it."""
    for at in places:
        layer = layers[at]
        if isinstance(layer, Conv | Dense):
            return at
        moves = _is(layer, _MEANS) or isinstance(layer, Views)
        if not moves and not (_is(layer, _GREATEST) and bool((affine.scale > 0).all())):
            return None
    return None


def _pads(layer: Layer) -> bool:
    return isinstance(layer, Conv) and any(layer.padding)


def _put_behind(layer: Layer, affine: Affine) -> Layer:
    """A layer that does what it did, then the affine map of its outputs."""
    assert isinstance(layer, Conv | Dense)
    weight = layer.weight.astype(np.float64)
    outer = affine.scale.reshape(-1, *[1] * (weight.ndim - 1))
    bias = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    return _with(layer, weight * outer, bias * affine.scale + affine.shift)


def _put_before(layer: Layer, affine: Affine) -> Layer:
    """A layer that does the affine map of its inputs, then what it did."""
    assert isinstance(layer, Conv | Dense)
    weight = layer.weight.astype(np.float64)
    groups = layer.groups if isinstance(layer, Conv) else 1
    inputs = weight.shape[1] * groups
    # Behind a flattening each channel stands for all of its places.
    scale, shift = (np.repeat(part, inputs // len(part)) for part in (affine.scale, affine.shift))
    by_group = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    added = np.einsum("goip,gi->go", by_group, shift.reshape(groups, -1)).ravel()
    scaled = by_group * scale.reshape(groups, 1, -1, 1)
    bias = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    return _with(layer, scaled.reshape(weight.shape), bias + added)


def _with(layer: Conv | Dense, weight: Array, bias: Array) -> Layer:
    return dataclasses.replace(
        layer, weight=weight.astype(np.float32), bias=bias.astype(np.float32)
    )
