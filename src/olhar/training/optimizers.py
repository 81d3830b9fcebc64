"""Optimisers and learning-rate schedules, from a recipe."""

from __future__ import annotations

import math

import torch
from torch import nn

from olhar.training.recipe import Recipe


def build_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; biases and batch norms (one-dimensional) are not decayed."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    vectors = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    match recipe.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)
        case "sgd":
            return torch.optim.SGD(
                groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0,
                fused=True,
            )  # fmt: skip
        case _:
            return torch.optim.RMSprop(groups, lr=recipe.lr, momentum=recipe.momentum)


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
