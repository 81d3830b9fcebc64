"""What a model file computes, as torch modules: the reference that every graph is proved against."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from olhar.networks.build import Normalise
from olhar.preprocess import Preprocess


class Deployed(nn.Module):
    """uint8 images (N, C, H, W) → probabilities (N, K): normalise, views, network, temperature, softmax.

    The logits of an image are a mean over its views: itself, its mirror image, and both shifted by
    one pixel to the upper left and lower right, these at half the weight.

    Sources: Guo et al. 2017, section 4.2 (temperature); Jordan 2024, arXiv 2404.00498, section 3.5
    (views).
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        *,
        views: str = "none",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess.mean, preprocess.std)
        self.network = network
        self.temperature = temperature
        self.views = views

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) uint8 → (N, K) float32."""
        logits = _mean_over_views(self.network, self.normalise(images), self.views)
        return torch.softmax(logits / self.temperature, 1)


class ViewFeatures(nn.Module):
    """uint8 images (N, C, H, W) → what a network without its head gives, as a mean over views: (N, F).

    A dense layer on them gives the logits of the deployed network with these views.
    """

    def __init__(self, body: nn.Module, preprocess: Preprocess, views: str) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess.mean, preprocess.std)
        self.body = body
        self.views = views

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) uint8 → (N, F) float32."""
        return _mean_over_views(self.body, self.normalise(images), self.views)


def _mean_over_views(network: nn.Module, x: torch.Tensor, views: str) -> torch.Tensor:
    """Normalised images (N, C, H, W) → the weighted mean (N, D) of what a network gives for their views."""
    shown = _views(x, views)
    given = torch.cat(shown) if len(shown) > 1 else x
    outputs: torch.Tensor = network(given).float()  # (V·N, D)
    if len(shown) == 1:
        return outputs
    weights = torch.tensor([0.5, 0.25, 0.25] if views.endswith("shift") else [1.0])
    if views.startswith("mirror"):
        weights = torch.cat([weights, weights]) / 2
    return torch.einsum(
        "v,vnd->nd", weights.to(outputs.device), outputs.reshape(len(shown), -1, outputs.shape[1])
    )


def _views(x: torch.Tensor, views: str) -> list[torch.Tensor]:
    """Normalised images (N, C, H, W) → their views, each of that shape."""
    shown = [x]
    if views.endswith("shift"):
        height, width = x.shape[2:]
        padded = F.pad(x, (1, 1, 1, 1), "reflect")
        shown += [padded[:, :, :height, :width], padded[:, :, 2:, 2:]]
    if views.startswith("mirror"):
        shown += [view.flip(3) for view in shown]
    return shown


def network_weights(network: nn.Module) -> dict[str, NDArray[np.generic]]:
    """The network's weights and running statistics as fp32 arrays, by name."""
    return {
        name: np.ascontiguousarray(value.detach().cpu().float().numpy())
        for name, value in network.state_dict().items()
        if value.dim() > 0
    }
