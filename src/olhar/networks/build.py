"""From a network's table to a torch module."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from olhar.networks.backbone_modules import BasicBlock, build_backbone
from olhar.networks.backbones import BACKBONES, find_taps, split_adapter
from olhar.networks.depthwise import quicken_depthwise
from olhar.networks.dropout import Dropout
from olhar.networks.specs import (
    Layer,
    NetworkSpec,
    check_size,
    is_published,
    walk,
    whitening_filters,
)

_SIGNALS, _SIGMOID_GAIN = 20, 8.0


def build_network(spec: NetworkSpec) -> nn.Module:
    """The network of `spec`: normalised images (N, C, size, size) float32 → logits (N, num_classes).

    Weights come from torch's global generator: Glorot uniform (Glorot and Bengio 2010, eq. 16), He
    normal where a batch norm follows (He et al. 2015, eq. 10), zero biases; dense sigmoid layers as
    `_carry_signal` says. He before ReLU lets the signal grow at every max pooling, so that three
    blocks began with a loss of 10 to 15, and learnt less (docs/experiments.md).

    Raises:
        NetworkSizeError: the input is too small for the layers.
        MissingExtraError: the network belongs to a library that is not installed.
    """
    check_size(spec)
    if is_published(spec.name):
        return _published(spec)
    modules = [_module(layer, inputs, side) for layer, inputs, side in walk(spec)]
    _initialise(modules)
    return nn.Sequential(*_pool_first(modules))


def _published(spec: NetworkSpec) -> nn.Module:
    if spec.name in BACKBONES:
        taps = find_taps(spec.name, spec.settings)
        return build_backbone(spec.name, spec.size, spec.num_classes, taps)
    library, name = split_adapter(spec.name)
    if library == "timm":
        from olhar.networks.timm_adapter import build_timm

        network = build_timm(name, spec.size, spec.num_classes)
    else:
        from olhar.networks.transformers_adapter import build_transformers

        network = build_transformers(spec.settings["config"], spec.num_classes)
    quicken_depthwise(network)
    return network


def _module(layer: Layer, inputs: int, side: int) -> nn.Module:
    match layer.kind:
        case "conv":
            return nn.Conv2d(
                inputs, layer.size, layer.kernel, padding=layer.padding, bias=layer.bias
            )
        case "whiten":
            return Whiten(inputs, layer.kernel)
        case "silu":
            return nn.SiLU()
        case "global_max_pool":
            return nn.AdaptiveMaxPool2d(1)
        case "residual":
            return BasicBlock(inputs, layer.size, layer.stride)
        case "global_avg_pool":
            return nn.AdaptiveAvgPool2d(1)
        case "dense":
            return nn.Linear(inputs, layer.size)
        case "batch_norm":
            return nn.BatchNorm2d(inputs)
        case "max_pool":
            return nn.MaxPool2d(layer.kernel)
        case "avg_pool":
            return AvgPool(layer.kernel, side)
        case "dropout":
            return Dropout(layer.rate)
        case "flatten":
            return nn.Flatten()
        case "relu":
            return nn.ReLU(inplace=True)
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()
        case _:
            raise AssertionError(layer.kind)


def _initialise(modules: list[nn.Module]) -> None:
    for module in modules:
        if isinstance(module, nn.Conv2d | nn.Linear):
            if module.bias is None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
    _carry_signal([m for m in modules if isinstance(m, nn.Linear | nn.Sigmoid)])


@torch.no_grad()
def _carry_signal(layers: list[nn.Module]) -> None:
    """Start sigmoid layers so that a signal comes through them and the dropout between them.

    With independent weights the noise of dropout .5 buries a signal in two layers (variance ratio
    .001 at the logits of three) and nothing is learnt. Here all units of a layer carry the same few
    signals: a layer reads what the one before wrote, as gain · U Uᵀ of orthonormal columns, about an
    input of one half, a sigmoid's mean. Measured in docs/experiments.md.
    """
    written: torch.Tensor | None = None  # (units, signals) of the sigmoid layer before
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if not isinstance(layer, nn.Linear):
            continue
        units = len(layer.weight)
        read, written = written, None
        if isinstance(following, nn.Sigmoid):
            signals = min(_SIGNALS, units, _SIGNALS if read is None else read.shape[1])
            written, _r = torch.linalg.qr(torch.randn(units, signals))
            if read is None:
                layer.weight.copy_(written @ (written.T @ layer.weight) * (units / signals) ** 0.5)
            else:
                layer.weight.copy_(_SIGMOID_GAIN * written @ read[:, :signals].T)
        elif read is not None:
            spread = torch.randn(units, read.shape[1]) / read.shape[1] ** 0.5
            layer.weight.copy_(spread @ read.T)
        if read is not None:
            layer.bias.copy_(-0.5 * layer.weight.sum(1))


def _pool_first(modules: list[nn.Module]) -> list[nn.Module]:
    """Every ReLU behind the max pooling that follows it: the same numbers, a quarter of the work."""
    ordered = list(modules)
    for index, pair in enumerate(itertools.pairwise(modules)):
        if isinstance(pair[0], nn.ReLU) and isinstance(pair[1], nn.MaxPool2d):
            ordered[index : index + 2] = reversed(pair)
    return ordered


class Whiten(nn.Conv2d):
    """A convolution whose filters are the principal patches of the training images, each scaled to
    unit variance, and their negatives; only its bias is trained.

    Source: Page 2019, "How to Train Your ResNet 8: Bag of Tricks"; Jordan 2024, section 3.1.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, whitening_filters(channels, kernel), kernel)
        self.weight.requires_grad_(False)  # noqa: FBT003

    @torch.no_grad()
    def set_from(self, images: torch.Tensor, *, floor: float = 5e-4) -> None:
        """Set the filters from normalised images (N, C, H, W) float32."""
        side = self.kernel_size[0]
        patches = images.unfold(2, side, 1).unfold(3, side, 1).movedim(1, 3)
        patches = patches.reshape(-1, self.in_channels * side * side).double()
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        scaled = (vectors / (values + floor).sqrt()).T.flip(0).to(self.weight.dtype)
        filters = scaled.view(-1, self.in_channels, side, side)
        self.weight.copy_(torch.cat([filters, -filters]))


def has_whitening(network: nn.Module) -> bool:
    """Whether a network has layers that are set from the training images."""
    return any(isinstance(module, Whiten) for module in network.modules())


def set_whitening(network: nn.Module, images: torch.Tensor) -> None:
    """Set every whitening layer of a network from normalised images (N, C, H, W) float32."""
    for module in network.modules():
        if isinstance(module, Whiten):
            module.set_from(images)


class AvgPool(nn.Module):
    """Average pooling as a product with a constant matrix.

    Five times as fast as torch's own on the CPU for the few channels of a LeNet-5, which spends a
    third of its time there otherwise (docs/experiments.md). `model.onnx` has an AveragePool.
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
