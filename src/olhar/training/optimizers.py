"""Optimisers and learning-rate schedules, from a recipe."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from olhar.training.muon import Muon
from olhar.training.recipe import Recipe


def build_optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The recipe's optimisers; biases and batch norms (one-dimensional) are not decayed.

    muon is for hidden weights; the output layer, biases and batch norms go to an AdamW beside it.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() > 1]
    vectors = [p for p in trained if p.dim() <= 1]
    decay = recipe.weight_decay
    groups = _groups((matrices, decay), (vectors, 0.0))
    match recipe.optimizer:
        case "muon":
            rest = _groups((matrices[-1:], decay), (vectors, 0.0))
            hidden = _groups((matrices[:-1], decay))
            adamw = torch.optim.AdamW(rest, lr=recipe.lr, fused=True)
            return [
                *([Muon(hidden, lr=recipe.lr, momentum=recipe.momentum)] if hidden else []),
                adamw,
            ]
        case "adamw":
            return [torch.optim.AdamW(groups, lr=recipe.lr, fused=True)]
        case "sgd":
            nesterov = recipe.momentum > 0
            return [
                torch.optim.SGD(
                    groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=True
                )
            ]
        case _:
            return [torch.optim.RMSprop(groups, lr=recipe.lr, momentum=recipe.momentum)]


def _groups(*members: tuple[list[nn.Parameter], float]) -> list[dict[str, Any]]:
    """Parameter groups with their weight decay; empty ones are left out."""
    return [
        {"params": params, "weight_decay": weight_decay}
        for params, weight_decay in members
        if params
    ]


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
