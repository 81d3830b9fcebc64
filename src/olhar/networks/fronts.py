"""Where a network may be divided: its first modules, a chain, and the rest, which takes what they give.

Does not know: what is done with either part. The networks of `backbones` have their fronts in their
tables; this finds one in any other network, and proves that both parts in turn are the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from olhar.networks.backbones import BACKBONES

# What is left to train, of all products of an image: as much as MobileNetV2 has behind its front.
_REST, _LEAST_REST, _MOST_REST = 0.3, 0.1, 0.6
_TOLERANCE = 1e-4


@dataclass(eq=False)
class _Part:
    """A module as it was run: with what, to what, and how many products it took."""

    name: str
    given: torch.Tensor
    made: torch.Tensor
    products: int


def find_front(network: nn.Module, name: str, shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Names of the first modules of a network, a chain, that make up about two thirds of its work.

    Args:
        network: on the CPU; its weights stay as they are.
        name: of `networks.backbones`, whose tables have it, or any other.
        shape: (C, H, W) of an image.

    Returns:
        () where it cannot be divided so: the rest takes more than what the front gives, or the front
        is no chain that gives maps (N, C, H, W).
    """
    if name in BACKBONES:
        return BACKBONES[name].front
    was_training = network.training
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, *shape, generator=generator)
    try:
        with torch.inference_mode():
            parts, answer = _run(network.eval(), images)
            return _divide(network, parts, images, answer)
    finally:
        network.train(was_training)


def _units(network: nn.Module) -> Iterator[str]:
    """The modules that a front may consist of: the network's own, and those of its sequences."""
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential):
            yield from (f"{name}.{inner}" for inner in _units(child))
        else:
            yield name


def _run(network: nn.Module, images: torch.Tensor) -> tuple[list[_Part], torch.Tensor]:
    """The parts of a network in the order in which they are run, and its answer."""
    parts: list[_Part] = []
    count = [0]
    hooks = [
        module.register_forward_hook(lambda m, _i, made: count.append(_products(m, made)))
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]

    def note(name: str) -> Any:
        def hook(_module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if len(given) == 1 and isinstance(made, torch.Tensor):
                parts.append(_Part(name, given[0], made, sum(count)))

        return hook

    hooks += [
        network.get_submodule(name).register_forward_hook(note(name)) for name in _units(network)
    ]
    try:
        answer = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return parts, answer


def _products(module: nn.Module, made: torch.Tensor) -> int:
    """Multiplications of a convolution or a dense layer that made this."""
    assert isinstance(module.weight, torch.Tensor)
    return made.numel() * math.prod(module.weight.shape[1:])


def _divide(
    network: nn.Module, parts: list[_Part], images: torch.Tensor, answer: torch.Tensor
) -> tuple[str, ...]:
    """The chain from the first part on whose rest is nearest to what is wanted, and can stand alone."""
    total = parts[-1].products if parts else 0
    given, front, ends = images, [], []
    for part in parts:
        if part.given is not given or part.name in front:
            break
        front.append(part.name)
        given = part.made
        rest = 1 - part.products / max(1, total)
        if given.dim() == 4 and _LEAST_REST <= rest <= _MOST_REST:
            ends.append((abs(rest - _REST), len(front), given))
    for _distance, length, made in sorted(ends, key=lambda end: end[:2]):
        if _is_whole(network, front[:length], made, answer):
            return tuple(front[:length])
    return ()


def _is_whole(
    network: nn.Module, front: list[str], given: torch.Tensor, answer: torch.Tensor
) -> bool:
    """Whether the rest of the network makes the same answer of what its front gives."""
    kept = {name: network.get_submodule(name) for name in front}
    try:
        for name in front:
            network.set_submodule(name, nn.Identity())
        return torch.allclose(network(given), answer, atol=_TOLERANCE, rtol=_TOLERANCE)
    finally:
        for name, module in kept.items():
            network.set_submodule(name, module)
