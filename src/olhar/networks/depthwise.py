"""A convolution of each channel by itself, whose backward pass is quick on a processor with bf16.

Torch 2.13 computes three of its gradients in bf16 by loops that take 15 to 150 times as long as the forward
pass (docs/experiments.md): of the input where the stride is 2, which is computed in fp32 here, and of
weights of 5 x 5, which are put together of gradients of 3 x 3, for which there is quick code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

_QUICK = 3  # the side of weights whose gradient is quick


class DepthwiseConv2d(nn.Conv2d):
    """Filters each channel by itself."""

    def __init__(self, channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__(channels, channels, kernel, stride, padding, groups=channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C, H', W')."""
        return depthwise_conv2d(x, self.weight, self.stride[0], self.padding, self.bias)  # type: ignore[arg-type]


def quicken_depthwise(network: nn.Module) -> None:
    """Make the convolutions of another library's network that can be one a `DepthwiseConv2d`, in place."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_depthwise(module):
            module.__class__ = DepthwiseConv2d


def _is_depthwise(module: nn.Conv2d) -> bool:
    (height, width), (down, across) = module.kernel_size, module.stride
    by_itself = module.groups == module.in_channels == module.out_channels > 1
    is_square = height == width and height % 2 == 1 and down == across
    is_plain = module.dilation == (1, 1) and module.padding_mode == "zeros"
    return by_itself and is_square and is_plain and isinstance(module.padding, tuple)


def depthwise_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: int,
    padding: tuple[int, int],
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """As `F.conv2d` with as many groups as channels.

    Args:
        x: (N, C, H, W).
        weight: (C, 1, k, k), k odd.
        stride: down and across.
        padding: (at top and bottom, at both sides).
        bias: (C,).
    """
    if torch.is_grad_enabled() and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        if kind is torch.bfloat16 and (stride > 1 or weight.shape[2] > _QUICK):
            found: torch.Tensor = _Quick.apply(x.to(kind), weight.to(kind), stride, padding)  # type: ignore[no-untyped-call]
            return found if bias is None else found + bias.to(kind).view(-1, 1, 1)
    return F.conv2d(x, weight, bias, stride, padding, groups=len(weight))


class _Quick(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: int, padding: tuple[int, int]
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        step = _Step(gradient, x, weight, ctx.stride, ctx.padding)
        wanted = ctx.needs_input_grad
        of_input = step.of_input() if wanted[0] else None
        return of_input, step.of_weight() if wanted[1] else None, None, None


class _Step(NamedTuple):
    """What gradients follow from: that of the output, and what the output was computed from."""

    gradient: torch.Tensor
    x: torch.Tensor
    weight: torch.Tensor
    stride: int
    padding: tuple[int, int]

    def of_input(self) -> torch.Tensor:
        """The gradient of the input."""
        if self.stride == 1:
            return self._native(of_input=True)
        precise = self._replace(
            gradient=self.gradient.float(),
            x=torch.empty_like(self.x, dtype=torch.float32),  # its shape counts alone
            weight=self.weight.float(),
        )
        return precise._native(of_input=True).to(self.x.dtype)

    def of_weight(self) -> torch.Tensor:
        """Each 3 x 3 part of it is that of a smaller convolution, which begins further down and right."""
        side = self.weight.shape[2]
        if side <= _QUICK:
            return self._native(of_input=False)
        down, across = self.padding
        padded = F.pad(self.x, (across, across, down, down))
        height, width = ((n - 1) * self.stride + _QUICK for n in self.gradient.shape[2:])
        found = torch.empty_like(self.weight)
        for top in range(0, side - 2, 2):
            for left in range(0, side - 2, 2):
                seen = padded[:, :, top : top + height, left : left + width]
                seen = seen.contiguous(memory_format=torch.channels_last)
                part = found[:, :, top : top + _QUICK, left : left + _QUICK]
                smaller = self._replace(x=seen, weight=part.contiguous(), padding=(0, 0))
                part.copy_(smaller._native(of_input=False))
        return found

    def _native(self, *, of_input: bool) -> torch.Tensor:
        """Torch's own gradient, of the input or of the weights."""
        found: tuple[torch.Tensor, torch.Tensor, None] = torch.ops.aten.convolution_backward(
            self.gradient,
            self.x,
            self.weight,
            None,
            (self.stride, self.stride),
            self.padding,
            (1, 1),
            False,  # noqa: FBT003  transposed
            (0, 0),
            len(self.weight),
            (of_input, not of_input, False),
        )
        return found[0] if of_input else found[1]
