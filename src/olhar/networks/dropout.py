"""Dropout, as every network of olhar has it."""

from __future__ import annotations

import torch
from torch import nn


class Dropout(nn.Dropout):
    """Dropout whose mask, on the CPU, takes a byte of randomness a number, so the rate is rounded to
    256ths: torch's own takes a tenth of a step of a small network (docs/experiments.md).

    Source: Srivastava et al. 2014, scaled while training.

    Attributes:
        generator: that masks are drawn from on the CPU; None is torch's own.
    """

    generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Numbers of any shape → the same shape, a share of them 0 while training."""
        kept = round(256 * (1 - self.p))
        if not self.training or x.device.type != "cpu" or kept in {0, 256}:
            return super().forward(x)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        mask = (words.view(torch.uint8) < kept).to(x.dtype).mul_(256 / kept)
        return x * mask.as_strided(x.shape, torch.empty_like(x, device="meta").stride())
