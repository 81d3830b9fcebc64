"""Muon: momentum whose update is made orthogonal, for weight matrices and convolutions.

Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (the
Newton–Schulz iteration and its coefficients); Liu et al. 2025, "Muon is Scalable for LLM Training",
section 2.2 (the scale that makes a learning rate mean what it means for AdamW). torch's own Muon
takes two-dimensional weights only, so no convolutions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
_RMS_OF_ADAMW = 0.2


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay."""

    def __init__(
        self, params: Iterable[dict[str, Any]], *, lr: float, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update. Weights of one shape are made orthogonal in one batch."""
        del closure
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                self._update(weights, group)

    def _update(self, weights: list[torch.Tensor], group: dict[str, Any]) -> None:
        updates = []
        for weight in weights:
            gradient = weight.grad
            assert gradient is not None
            state = self.state[weight]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            updates.append(gradient.lerp(state["momentum"], group["momentum"]).flatten(1))
        matrices = orthogonalise(torch.stack(updates))  # (n, rows, columns)
        scale = _RMS_OF_ADAMW * max(matrices.shape[1:]) ** 0.5
        for weight, matrix in zip(weights, matrices, strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(matrix.view(weight.shape), alpha=-group["lr"] * scale)


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (n, rows, columns) → near U·Vᵀ of their singular value decompositions.

    Five Newton–Schulz steps bring every singular value to between about 0.7 and 1.2. All steps are
    taken on the Gram matrix of the shorter side: each step of X is a polynomial of X·Xᵀ times X, so
    their product is found first and meets X once. The same result to rounding, in a third of the
    time for a convolution's long rows (docs/experiments.md).
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    gram = torch.bmm(x, x.mT)  # (n, rows, rows)
    square = gram.diagonal(dim1=1, dim2=2).sum(1).view(-1, 1, 1) + 1e-14  # of the Frobenius norm
    gram = gram / square
    product = None
    for left in reversed(range(_STEPS)):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)  # a + b·gram + c·gram²
        product = factor if product is None else torch.bmm(product, factor)
        if left:
            gram = torch.bmm(torch.bmm(gram, factor), factor)
    assert product is not None
    x = torch.bmm(product / square.sqrt(), x)
    return x.mT if tall else x
