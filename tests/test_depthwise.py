"""A convolution of each channel by itself gives what torch's own gives, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from olhar.networks.depthwise import (
    DepthwiseConv2d,
    depthwise_conv2d,
    quicken_depthwise,
)
from olhar.networks.timm_adapter import build_timm


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    side=st.integers(7, 12),
    channels=st.integers(2, 20),
    biased=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_its_gradients_are_those_of_torch(
    precision: str,
    kernel: int,
    stride: int,
    padding: tuple[int, int],
    side: int,
    channels: int,
    biased: bool,
    seed: int,
) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(3, channels, side, side + 1, generator=draw)
    weight = torch.randn(channels, 1, kernel, kernel, generator=draw)
    x = x.to(memory_format=torch.channels_last)
    given = (x, weight, torch.randn(channels, generator=draw)) if biased else (x, weight)

    def gradients(*, quick: bool) -> tuple[torch.Tensor, ...]:
        inputs = [one.clone().requires_grad_() for one in given]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            if quick:
                y = depthwise_conv2d(*inputs[:2], stride, padding, *inputs[2:])
            else:
                bias = inputs[2] if biased else None
                y = F.conv2d(*inputs[:2], bias, stride, padding, groups=channels)
        places = torch.arange(y.numel()).reshape(y.shape) % 7 - 3.0  # whole numbers: exact in bf16
        return y, *torch.autograd.grad((y * places).sum(), inputs)

    found, expected = gradients(quick=True), gradients(quick=False)
    assert found[0].dtype == expected[0].dtype
    if biased:  # in bf16 the bias is added to what was rounded already
        torch.testing.assert_close(found[0], expected[0], rtol=2**-7, atol=2**-7)
    else:
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


def test_a_network_of_another_library_gets_it_where_it_fits() -> None:
    torch.manual_seed(0)
    network = build_timm("mobilenetv3_small_050", 64, 3).eval()
    x = torch.randn(2, 3, 64, 64)
    before = network(x)
    quicken_depthwise(network)
    kinds = {name for name, one in network.named_modules() if isinstance(one, DepthwiseConv2d)}
    assert kinds == {
        name
        for name, one in network.named_modules()
        if isinstance(one, torch.nn.Conv2d) and one.groups > 1
    }
    assert len(kinds) == 11
    assert torch.equal(network(x), before)
    grouped = torch.nn.Sequential(
        torch.nn.Conv2d(8, 8, 3, groups=2), torch.nn.Conv2d(8, 8, 3, groups=8, dilation=2)
    )
    quicken_depthwise(grouped)
    assert {type(one) for one in grouped} == {torch.nn.Conv2d}
