"""A loss that learns from another model's answers beside the labels.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531,
section 2. The answers are those for the images as they are, also where these are augmented.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from olhar.training.recipe import Recipe

_SHARE, _TEMPERATURE = (
    0.7,
    2.0,
)  # where the recipe says nothing; no setting of runs without a teacher


class Taught:
    """What a teacher says of training images, and how far answers are from it."""

    def __init__(
        self,
        soft: torch.Tensor,
        indices: torch.Tensor,
        count: int,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        """Soften once.

        Args:
            soft: (n, K) float32, probabilities of the training images.
            indices: (n,) int64, their rows of the pool.
            count: rows of the pool.
            recipe: its teacher_share and teacher_temperature.
            device: of the training.
        """
        self._share = _SHARE if recipe.teacher_share is None else recipe.teacher_share
        self._temperature = recipe.teacher_temperature or _TEMPERATURE
        powers = soft.clamp_min(1e-8) ** (1 / self._temperature)
        self._soft = torch.zeros(count, soft.shape[1])  # rows that do not train are never asked for
        self._soft[indices] = powers / powers.sum(1, keepdim=True)
        self._soft = self._soft.to(device)

    def mixed(
        self, loss: torch.Tensor, logits: torch.Tensor, members: torch.Tensor, count: int
    ) -> torch.Tensor:
        """The labels' loss and the teacher's, each with its share.

        The teacher's is the divergence of the softened answers, times the square of the temperature, which
        keeps the gradients of both alike in size.

        Args:
            loss: the labels', a mean over the batch; of one process's share of it, its part of that mean.
            logits: (m, K) of images.
            members: (m,) their rows of the pool.
            count: images of the whole batch.
        """
        ours = F.log_softmax(logits / self._temperature, 1)
        total = F.kl_div(ours, self._soft[members], reduction="sum")
        return (1 - self._share) * loss + self._share * total * self._temperature**2 / count
