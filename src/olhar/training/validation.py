"""How a training is judged after each epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from olhar.training.machine import Machine
from olhar.training.shards import Shards

Validate = Callable[[nn.Module], tuple[float, float]]


def build_validation(
    images: torch.Tensor,
    labels: torch.Tensor,
    indices: torch.Tensor,
    machine: Machine,
    normalise: nn.Module,
    *,
    batch_size: int = 512,
    shards: Shards | None = None,
) -> Validate:
    """A callable network → (mean cross-entropy, accuracy) on rows `indices` of the pool.

    Its batches are computed side by side by the threads of `shards`.
    """
    device = torch.device(machine.device)
    on_device = labels.to(device)

    def validate(network: nn.Module) -> tuple[float, float]:
        network.eval()

        @torch.inference_mode()
        def measure(members: torch.Tensor) -> tuple[float, int]:
            x, y = _batch(images, on_device, members)
            with machine.autocast():
                logits = network(normalise(x))
            loss = F.cross_entropy(logits.float(), y, reduction="sum").item()
            return loss, int((logits.argmax(1) == y).sum())

        batches = torch.split(indices, batch_size)
        found = list(shards.map(measure, batches) if shards else map(measure, batches))
        count = len(indices)
        return sum(loss for loss, _c in found) / count, sum(right for _l, right in found) / count

    return validate


def _batch(
    images: torch.Tensor, labels: torch.Tensor, members: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows `members` of the pool: (n, C, H, W) uint8 in channels-last order, and (n,) int64."""
    x = images[members.to(images.device)].permute(0, 3, 1, 2)
    return x.to(labels.device, non_blocking=True), labels[members.to(labels.device)]
