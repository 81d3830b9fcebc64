"""What optimisers have in common, and AdamW, SGD and RMSprop.

The arithmetic is that of `torch.optim`, by its functions. Its classes are not used: making the first
one loads torch's compiler, which no training of olhar needs and which takes longer than a small
training (docs/experiments.md). Weights and checkpoints are the same, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

Group = dict[str, Any]
Part = tuple[list[nn.Parameter], Group]  # weights of a group that are updated by one call
Run = Callable[[Callable[[Part], None], Iterable[Part]], Iterable[None]]


class Optimizer(ABC):
    """Weights in groups, what is remembered of each weight, and the update of all.

    Attributes:
        param_groups: each has params, lr, weight_decay and whatever else the maker put there.
        state: tensors by name, of each weight that was updated.
    """

    def __init__(self, groups: list[Group], *, lr: float, momentum: float = 0.0) -> None:
        """Of groups that have params and weight_decay."""
        self.momentum = momentum
        self.param_groups: list[Group] = [{**group, "lr": lr} for group in groups]
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = defaultdict(dict)

    def step(self, run: Run = map) -> None:
        """Update every weight that has a gradient.

        Args:
            run: calls a function for each of some parts, in any order, perhaps side by side.
        """
        parts = []
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            parts += [(part, group) for part in self.divide(weights) if part]
        for _done in run(self._update_part, parts):
            pass

    def divide(self, weights: list[nn.Parameter]) -> list[list[nn.Parameter]]:
        """Weights of a group in parts, each of which is updated by one call."""
        return [weights]

    @torch.no_grad()
    def _update_part(self, part: Part) -> None:
        weights, group = part
        self.update(weights, [weight.grad for weight in weights if weight.grad is not None], group)

    @abstractmethod
    def update(
        self, weights: list[nn.Parameter], gradients: list[torch.Tensor], group: Group
    ) -> None:
        """Update those of the weights of a group that have gradients."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Copies of the state, by "parameter.name"; parameters are counted over all groups."""
        return {
            f"{index}.{name}": value.detach().clone()
            for index, weight in enumerate(self._weights())
            for name, value in self.state.get(weight, {}).items()
        }

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Put back what `tensors` gave."""
        weights = self._weights()
        self.state.clear()
        for key, value in tensors.items():
            index, _dot, name = key.partition(".")
            weight = weights[int(index)]
            # In the weight's memory format: torch's fused updates walk memory flat.
            same = value.shape == weight.shape
            empty = torch.empty_like(weight) if same else value.new_empty((), device=weight.device)
            self.state[weight][name] = empty.detach().copy_(value)

    def _weights(self) -> list[nn.Parameter]:
        return [weight for group in self.param_groups for weight in group["params"]]


class AdamW(Optimizer):
    """Loshchilov and Hutter 2019, "Decoupled weight decay regularization", with torch's defaults."""

    def update(
        self, weights: list[nn.Parameter], gradients: list[torch.Tensor], group: Group
    ) -> None:
        """One update, of all weights in one call."""
        states = [self._state(weight) for weight in weights]
        adamw(
            list(weights),
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )

    def _state(self, weight: nn.Parameter) -> dict[str, torch.Tensor]:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), device=weight.device)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        return state


class SGD(Optimizer):
    """Gradient descent with Nesterov momentum, as Sutskever et al. 2013, section 2."""

    def update(
        self, weights: list[nn.Parameter], gradients: list[torch.Tensor], group: Group
    ) -> None:
        """One update, of all weights in one call."""
        # The first call puts the buffers into this list.
        buffers: list[torch.Tensor | None] = [
            self.state[weight].get("momentum_buffer") if self.momentum else None
            for weight in weights
        ]
        sgd(
            list(weights),
            gradients,
            buffers,
            fused=True,
            weight_decay=group["weight_decay"],
            momentum=self.momentum,
            lr=group["lr"],
            dampening=0.0,
            nesterov=self.momentum > 0,
            maximize=False,
        )
        for weight, buffer in zip(weights, buffers, strict=True):
            if buffer is not None:
                self.state[weight]["momentum_buffer"] = buffer


class RMSprop(Optimizer):
    """Tieleman and Hinton 2012, lecture 6.5, with momentum and torch's defaults."""

    def update(
        self, weights: list[nn.Parameter], gradients: list[torch.Tensor], group: Group
    ) -> None:
        """One update."""
        states = [self._state(weight) for weight in weights]
        rmsprop(
            list(weights),
            gradients,
            [state["square_avg"] for state in states],
            [],
            [state["momentum_buffer"] for state in states if self.momentum],
            [state["step"] for state in states],
            lr=group["lr"],
            alpha=0.99,
            eps=1e-8,
            weight_decay=group["weight_decay"],
            momentum=self.momentum,
            centered=False,
        )

    def _state(self, weight: nn.Parameter) -> dict[str, torch.Tensor]:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), device=weight.device)
            state["square_avg"] = torch.zeros_like(weight)
            if self.momentum:
                state["momentum_buffer"] = torch.zeros_like(weight)
        return state
