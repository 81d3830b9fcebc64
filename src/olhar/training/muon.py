"""Muon: momentum whose update is made orthogonal, for weight matrices and convolutions.

Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (the
Newton–Schulz iteration and its coefficients); Liu et al. 2025, "Muon is Scalable for LLM Training",
section 2.2 (the scale that makes a learning rate mean what it means for AdamW). torch's own Muon
takes two-dimensional weights only, so no convolutions.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import nn

from olhar.training.updates import Group, Optimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
_BLOCK = 128
_RMS_OF_ADAMW = 0.2


class Muon(Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay."""

    def __init__(self, groups: list[Group], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(groups, lr=lr)
        self.momentum = momentum

    def divide(self, weights: list[nn.Parameter]) -> list[list[nn.Parameter]]:
        """Weights of one shape are made orthogonal in one batch; the largest come first."""
        alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for weight in weights:
            alike[weight.shape].append(weight)
        return sorted(alike.values(), key=lambda part: -len(part) * part[0].numel())

    def update(
        self, weights: list[nn.Parameter], gradients: list[torch.Tensor], group: Group
    ) -> None:
        """One update of weights of one shape."""
        updates = []
        for weight, gradient in zip(weights, gradients, strict=True):
            state = self.state[weight]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
            state["momentum"].lerp_(gradient, 1 - self.momentum)
            updates.append(gradient.lerp(state["momentum"], self.momentum).flatten(1))
        matrices = orthogonalise_blocks(torch.stack(updates))  # (n, rows, columns)
        scale = _RMS_OF_ADAMW * max(matrices.shape[1:]) ** 0.5
        for weight, matrix in zip(weights, matrices, strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(matrix.view(weight.shape), alpha=-group["lr"] * scale)


def orthogonalise_blocks(matrices: torch.Tensor) -> torch.Tensor:
    """`orthogonalise`, of a large matrix in blocks of at most 128 of its shorter side."""
    count, rows, columns = matrices.shape
    if rows > columns:
        return orthogonalise_blocks(matrices.mT).mT
    blocks = -(-rows // _BLOCK)
    if rows % blocks:
        return orthogonalise(matrices)
    return orthogonalise(matrices.reshape(count * blocks, rows // blocks, columns)).view(
        matrices.shape
    )


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
