"""Optimisers and learning-rate schedules, from a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from olhar.training.muon import Muon
from olhar.training.recipe import Recipe
from olhar.training.updates import SGD, AdamW, Group, Optimizer, RMSprop

Optimizers = list[Optimizer]


def build_optimizers(
    network: nn.Module, recipe: Recipe, shares: Mapping[int, float] | None = None
) -> Optimizers:
    """The recipe's optimisers; biases and batch norms (one-dimensional) are not decayed.

    muon is for hidden weights; the output layer, biases and batch norms go to an AdamW beside it.

    Args:
        network: its parameters that take gradients.
        recipe: what to do.
        shares: of the learning rate that a parameter gets, by its id; 1 for all others.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() > 1]
    vectors = [p for p in trained if p.dim() <= 1]
    decay = recipe.weight_decay
    shares = shares or {}
    groups = _groups(shares, (matrices, decay), (vectors, 0.0))
    match recipe.optimizer:
        case "muon":
            rest = _groups(shares, (matrices[-1:], decay), (vectors, 0.0))
            hidden = _groups(shares, (matrices[:-1], decay))
            muon = [Muon(hidden, lr=recipe.lr, momentum=recipe.momentum)] if hidden else []
            return [*muon, AdamW(rest, lr=recipe.lr)]
        case "adamw":
            return [AdamW(groups, lr=recipe.lr)]
        case "sgd":
            return [SGD(groups, lr=recipe.lr, momentum=recipe.momentum)]
        case _:
            return [RMSprop(groups, lr=recipe.lr, momentum=recipe.momentum)]


def _groups(shares: Mapping[int, float], *members: tuple[list[nn.Parameter], float]) -> list[Group]:
    """Parameter groups with their weight decay and share of the learning rate; none is empty."""
    groups: dict[tuple[int, float], Group] = {}
    for number, (params, weight_decay) in enumerate(members):
        for param in params:
            share = shares.get(id(param), 1.0)
            new = {"params": [], "weight_decay": weight_decay, "lr_share": share}
            groups.setdefault((number, share), new)["params"].append(param)
    return list(groups.values())


def lr_at(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step 0 ≤ `step` < `steps`; a function of the share done alone.

    one_cycle: Smith and Topin 2019; cosine: Loshchilov and Hutter 2017, eq. 5, without restarts.
    """
    done = (step + 0.5) / steps
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "one_cycle" and done < recipe.warmup:
        return recipe.lr * done / recipe.warmup
    if recipe.schedule == "one_cycle":
        done = (done - recipe.warmup) / (1 - recipe.warmup)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_tensors(optimizers: Optimizers) -> dict[str, torch.Tensor]:
    """Copies of the optimisers' tensors, by "optimiser.parameter.name"."""
    return {
        f"{number}.{key}": value
        for number, optimizer in enumerate(optimizers)
        for key, value in optimizer.tensors().items()
    }


def restore_optimizers(optimizers: Optimizers, tensors: dict[str, torch.Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    for number, optimizer in enumerate(optimizers):
        own = f"{number}."
        optimizer.restore(
            {key.removeprefix(own): t for key, t in tensors.items() if key.startswith(own)}
        )
