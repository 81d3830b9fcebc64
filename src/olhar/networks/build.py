"""From a network's table to a torch module."""

from __future__ import annotations

import torch
from torch import nn

from olhar.networks.specs import Layer, NetworkSpec, check_size, walk


def build_network(spec: NetworkSpec) -> nn.Module:
    """The network of `spec`: normalised images (N, C, size, size) float32 → logits (N, num_classes).

    Weights come from torch's global generator: Glorot uniform before tanh and sigmoid (Glorot and
    Bengio 2010, eq. 16), He normal before ReLU (He et al. 2015, eq. 10), zero biases.

    Raises:
        NetworkSizeError: the input is too small for the layers.
    """
    check_size(spec)
    modules = [_module(layer, inputs, side) for layer, inputs, side in walk(spec)]
    _initialise(modules)
    return nn.Sequential(*modules)


def _module(layer: Layer, inputs: int, side: int) -> nn.Module:
    match layer.kind:
        case "conv":
            return nn.Conv2d(inputs, layer.size, layer.kernel, padding=layer.padding)
        case "dense":
            return nn.Linear(inputs, layer.size)
        case "batch_norm":
            return nn.BatchNorm2d(inputs)
        case "max_pool":
            return nn.MaxPool2d(layer.kernel)
        case "avg_pool":
            return AvgPool(layer.kernel, side)
        case "dropout":
            return nn.Dropout(layer.rate)
        case "flatten":
            return nn.Flatten()
        case "relu":
            return nn.ReLU()
        case "tanh":
            return nn.Tanh()
        case _:
            return nn.Sigmoid()


def _initialise(modules: list[nn.Module]) -> None:
    for module, following in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Conv2d | nn.Linear):
            if isinstance(following, nn.ReLU):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


class AvgPool(nn.Module):
    """Average pooling as a product with a constant matrix.

    Five times as fast as torch's own on the CPU for the few channels of a LeNet-5, which spends a
    third of its time there otherwise (docs/experiments.md).
    """

    matrix: torch.Tensor

    def __init__(self, kernel: int, side: int) -> None:
        super().__init__()
        self.kernel, self.out = kernel, side // kernel
        columns = torch.eye(self.out).repeat_interleave(kernel, 0).repeat(kernel, 1)
        self.register_buffer("matrix", columns / kernel**2, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, side, side) → (N, C, side // kernel, side // kernel)."""
        covered = self.out * self.kernel
        strips = x[:, :, :covered, :covered].reshape(
            x.shape[0], x.shape[1], self.out, self.kernel * covered
        )
        return strips @ self.matrix


class Normalise(nn.Module):
    """uint8 images (N, C, H, W) → float32, scaled to 0..1, minus `mean`, over `std`, per channel.

    The one place where pixels become the network's numbers: training, validation and the exported
    graph all use it.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        scale = torch.tensor([1 / (255 * s) for s in std], dtype=torch.float32)
        shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)])
        self.register_buffer("scale", scale.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) uint8 → (N, C, H, W) float32."""
        return torch.addcmul(self.shift, images.to(torch.float32), self.scale)
