"""Networks: published parameter counts, the grammar of names, sizes, and their refusal."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from olhar.errors import ConfigError, NetworkSizeError, UnknownNameError
from olhar.networks import cnn_names
from olhar.networks.build import AvgPool, Normalise, Whiten, build_network
from olhar.networks.dropout import Dropout
from olhar.networks.specs import (
    LISTED,
    NetworkSpec,
    count_parameters,
    native_size,
    resolve_network,
)


def spec(name: str, size: int, channels: int, classes: int = 10, **settings: object) -> NetworkSpec:
    canonical, values, _typed = resolve_network(name, settings)
    return NetworkSpec(canonical, values, size, channels, classes)


@pytest.mark.parametrize(
    ("name", "channels", "size", "parameters"),
    [
        ("lenet5", 1, 28, 61_706),
        ("lenet5", 1, 32, 61_706),
        ("lenet5", 3, 32, 62_006),
        ("cnn-32-64-64", 3, 32, 122_570),
        ("ivannet", 1, 28, 61_794),
        ("gmnet", 1, 28, 109_230),
        ("2cnn+256+256_20dropout", 3, 32, 724_010),
        ("2cnn+512_0dropout", 3, 32, 1_250_858),
        ("2cnn+512_10dropout", 3, 32, 1_250_858),
        ("2cnn+512_20dropout", 3, 32, 1_250_858),
        ("2cnn+512+256_50dropout", 3, 32, 1_379_626),
        ("2cnn+1024_50dropout", 3, 32, 2_436_138),
        ("2cnn+1204_50dropout", 3, 32, 2_852_838),
        ("3cnn+512_50dropout", 3, 32, 554_794),
        # MLPerf Tiny's has 78,666: 336 less for biases before batch norms and in the ways around,
        # and 384 more for two batch norms there, which are folded away (test_onnx.py).
        ("resnet8", 3, 32, 78_714),
        ("resnet8", 1, 28, 78_426),
        ("3cnn+128+128+128_50dropout_sigmoid", 3, 32, 386_986),
    ],
)
def test_published_parameter_counts(name: str, channels: int, size: int, parameters: int) -> None:
    assert count_parameters(spec(name, size, channels))[0] == parameters


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("channels", [1, 3])
def test_counts_are_those_of_the_built_network(name: str, channels: int) -> None:
    wanted = spec(name, 32, channels)
    network = build_network(wanted)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    stored = sum(value.numel() for value in network.state_dict().values() if value.dim())
    assert count_parameters(wanted) == (stored, trainable)


def test_whitened_patches_are_white() -> None:
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.avg_pool2d(images, 3, 1, 1)  # neighbours are alike now
    layer = Whiten(3, 2)
    layer.set_from(images, floor=0.0)
    with torch.inference_mode():
        outputs = torch.nn.functional.conv2d(images, layer.weight)[:, :12]
    flat = outputs.movedim(1, 0).flatten(1)
    torch.testing.assert_close(flat @ flat.T / flat.shape[1], torch.eye(12), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("width", "parameters"), [(120, 66_510), (240, 159_150), (300, 216_270)])
def test_gmnet_width(width: int, parameters: int) -> None:
    assert count_parameters(spec("gmnet", 28, 1, width=width))[0] == parameters


def test_trainable_parameters_leave_out_running_statistics() -> None:
    assert count_parameters(spec("ivannet", 28, 1)) == (61_794, 61_794 - 2 * (6 + 16))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2cnn+51+2562_50dropout", "2cnn+512+256_50dropout"),
        ("2cnn+256+256_dropout", "2cnn+256+256_20dropout"),
        ("3cnn-128-128-128-50dropout-sigmoid", "3cnn+128+128+128_50dropout_sigmoid"),
        ("3cnn+512", "3cnn+512_50dropout"),
        ("2cnn", "2cnn+512_0dropout"),
    ],
)
def test_other_spellings_are_understood_and_said(typed: str, meant: str) -> None:
    canonical, _settings, said = resolve_network(typed)
    assert (canonical, said) == (meant, typed)


def test_published_block_dropout() -> None:
    assert resolve_network("3cnn+512_50dropout")[1]["block_dropout"] == 0.25
    assert resolve_network("2cnn+512_20dropout")[1]["block_dropout"] == 0.25
    assert resolve_network("2cnn+1204_50dropout")[1]["block_dropout"] == 0.0
    assert resolve_network("2cnn+256+256_20dropout")[1]["block_dropout"] == 0.0


@given(
    blocks=st.integers(1, 8),
    dense=st.lists(st.integers(1, 4096), min_size=1, max_size=4),
    percent=st.integers(0, 95),
    activation=st.sampled_from(["relu", "tanh", "sigmoid"]),
)
def test_names_and_settings_are_one_to_one(
    blocks: int, dense: list[int], percent: int, activation: str
) -> None:
    settings = {
        "blocks": blocks,
        "dense": tuple(dense),
        "dropout": percent / 100,
        "activation": activation,
    }
    name = cnn_names.derive(settings)
    if name.replace("_", "+") in cnn_names.MISSPELT:
        return
    parsed = cnn_names.parse(name)
    assert parsed is not None
    assert {key: parsed[key] for key in settings} == settings
    dashed = cnn_names.parse(name.replace("+", "-").replace("_", "-"))
    assert dashed == parsed


def test_a_setting_changes_the_name() -> None:
    canonical, settings, _typed = resolve_network("2cnn+512_20dropout", {"dropout": "0.5"})
    assert canonical == "2cnn+512_50dropout"
    assert settings["dropout"] == 0.5


@pytest.mark.parametrize("name", ["lenet", "resnet9000", "", "0cnn+512", "cnn"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        resolve_network(name)


def test_unknown_settings_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="width"):
        resolve_network("gmnet", {"widht": 3})


@pytest.mark.parametrize("value", [-1, 2, "much", float("nan")])
def test_settings_out_of_range_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="dropout"):
        resolve_network("gmnet", {"dropout": value})


@given(name=st.sampled_from(LISTED), size=st.integers(1, 48), channels=st.sampled_from([1, 3]))
def test_any_size_works_or_names_the_smallest(name: str, size: int, channels: int) -> None:
    wanted = spec(name, size, channels, classes=3)
    try:
        network = build_network(wanted).eval()
    except NetworkSizeError as error:
        smallest = int(str(error).split("the smallest is ")[1].split("x")[0])
        assert smallest > size
        network = build_network(spec(name, smallest, channels, classes=3)).eval()
        size = smallest
    with torch.inference_mode():
        assert network(torch.zeros(2, channels, size, size)).shape == (2, 3)


@pytest.mark.parametrize(("image", "native"), [(8, 28), (28, 28), (30, 32), (32, 32), (256, 32)])
def test_native_size(image: int, native: int) -> None:
    assert native_size("lenet5", image) == native


@given(side=st.integers(2, 15), kernel=st.integers(2, 3), channels=st.integers(1, 4))
def test_average_pooling_is_torchs(side: int, kernel: int, channels: int) -> None:
    if side < kernel:
        return
    images = torch.rand(2, channels, side, side)
    expected = torch.nn.functional.avg_pool2d(images, kernel)
    torch.testing.assert_close(AvgPool(kernel, side)(images), expected)


def test_dropout_drops_its_share_and_keeps_the_mean_and_the_memory_format() -> None:
    torch.manual_seed(0)
    for rate in (0.1, 0.25, 0.5):
        ones = torch.ones(64, 8, 15, 15).contiguous(memory_format=torch.channels_last)
        ones.requires_grad_()
        out = Dropout(rate).train()(ones)
        dropped = (out == 0).float()
        assert abs(dropped.mean().item() - rate) < 0.004  # of 115,200: three sigma, and 256ths
        assert (
            dropped.mean(dim=(1, 2, 3)).std().item() < 0.02
        )  # independent: sqrt(.25 / 1800) = .012
        assert abs(out.mean().item() - 1) < 0.01
        assert out.stride() == ones.stride()
        out.sum().backward()
        assert torch.equal(ones.grad, out)
        assert Dropout(rate).eval()(ones) is ones


def test_dropout_follows_the_seed_and_takes_any_layout() -> None:
    for x in (torch.ones(7, 5).t(), torch.ones(1, 5).expand(6, 5), torch.ones(3)):
        drawn = []
        for _again in range(2):
            torch.manual_seed(3)
            drawn.append(Dropout(0.5).train()(x))
        assert torch.equal(*drawn)
        assert drawn[0].shape == x.shape
        assert set(drawn[0].unique().tolist()) <= {0.0, 2.0}


def test_pooling_before_a_relu_is_the_same_network() -> None:
    torch.manual_seed(0)
    network = build_network(spec("3cnn+512_50dropout", 32, 3)).eval()
    kinds = [type(module).__name__ for module in network]
    as_published = list(network)
    for index, pair in enumerate(itertools.pairwise(kinds)):
        if pair == ("MaxPool2d", "ReLU"):
            as_published[index : index + 2] = reversed(as_published[index : index + 2])
    assert kinds.count("MaxPool2d") == 3
    assert [type(m).__name__ for m in as_published] != kinds
    images = torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(torch.nn.Sequential(*as_published)(images), network(images))


def test_normalise_is_what_it_says() -> None:
    images = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    expected = (images / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(Normalise(mean, std)(images), expected, atol=1e-5, rtol=1e-5)


@given(dense=st.lists(st.integers(1, 96), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_sigmoid_layers_of_any_widths_start_with_finite_outputs(dense: list[int]) -> None:
    name = f"1cnn+{'+'.join(map(str, dense))}_50dropout_sigmoid"
    with torch.inference_mode():
        logits = build_network(spec(name, 28, 1, 3))(torch.randn(2, 1, 28, 28))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    "name", [name for name in LISTED if "cnn" in name and "sigmoid" not in name]
)
def test_convolutional_networks_begin_without_an_opinion(name: str) -> None:
    # With He's weights before ReLU and max pooling after it, three blocks began at a loss of 10.
    smooth = torch.nn.functional.interpolate(torch.randn(200, 3, 4, 4), (32, 32), mode="bilinear")
    network = build_network(spec(name, 32, 3)).train()
    with torch.inference_mode():
        logits = network(smooth / smooth.std())
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(200) % 10).item()
    assert abs(loss - math.log(10)) < 0.3


def test_a_signal_comes_through_sigmoid_layers_and_their_dropout() -> None:
    ratios = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = build_network(spec("3cnn+128+128+128_50dropout_sigmoid", 32, 3)).train()
        x = 2 * torch.randn(100, 3, 1, 1) + torch.randn(100, 3, 32, 32)
        with torch.inference_mode():
            outputs = torch.stack([network(x) for _round in range(32)])  # (32, 100, 10)
        noise = outputs.var(0).mean()
        ratios.append(float((outputs.mean(0).var(0).mean() - noise / 32) / noise))
    assert sum(ratios) / 3 > 0.002  # below .0005 with independent weights: nothing was learnt
