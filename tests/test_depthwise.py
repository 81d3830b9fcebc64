"""A convolution of each channel by itself gives what torch's own gives, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from olhar.networks.depthwise import DepthwiseConv2d, depthwise_conv2d


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    side=st.integers(7, 12),
    channels=st.integers(2, 20),
    seed=st.integers(0, 2**31),
)
def test_its_gradients_are_those_of_torch(
    precision: str,
    kernel: int,
    stride: int,
    padding: tuple[int, int],
    side: int,
    channels: int,
    seed: int,
) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(3, channels, side, side + 1, generator=draw)
    weight = torch.randn(channels, 1, kernel, kernel, generator=draw)
    x = x.to(memory_format=torch.channels_last)

    def gradients(*, quick: bool) -> tuple[torch.Tensor, ...]:
        inputs = [one.clone().requires_grad_() for one in (x, weight)]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            if quick:
                y = depthwise_conv2d(*inputs, stride, padding)
            else:
                y = F.conv2d(*inputs, None, stride, padding, groups=channels)
        places = torch.arange(y.numel()).reshape(y.shape) % 7 - 3.0  # whole numbers: exact in bf16
        return y, *torch.autograd.grad((y * places).sum(), inputs)

    found, expected = gradients(quick=True), gradients(quick=False)
    assert found[0].dtype == expected[0].dtype
    assert torch.equal(found[0], expected[0])
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02 * float(other.abs().max()))


def test_its_weights_alone_may_learn() -> None:
    layer = DepthwiseConv2d(4, 5, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(2, 4, 9, 9)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().max() > 0
