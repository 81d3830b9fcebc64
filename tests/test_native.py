"""A network read from `model.onnx`, and the C that computes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from olhar.classifier import open_session
from olhar.errors import ConfigError
from olhar.export import Deployed
from olhar.export.drawing import draw_deployed
from olhar.native.answers import mean_over_views, probabilities
from olhar.native.equalise import correct_biases, equalise
from olhar.native.graph import read_network
from olhar.native.integer_stepping import compute_integers, softmax_integers
from olhar.native.quantise import observe, quantise
from olhar.native.stepping import compute_values
from olhar.native.steps import TABLES, Network
from olhar.networks.backbones import with_taps
from olhar.networks.build import build_network
from olhar.networks.specs import LISTED, NetworkSpec, native_size, resolve_network
from olhar.preprocess import Preprocess
from olhar.training.recipe import VIEWS

PUBLISHED = ("mobilenet_v2", "squeezenet1_1", "resnet18", "efficientnet_lite0")


def drawn(
    name: str, size: int = 0, *, channels: int = 3, views: str = "none", features: bool = False
) -> bytes:
    """`model.onnx` of an untrained network whose batch norms are as a training might leave them."""
    canonical, values, _typed = resolve_network(name)
    # A head on a published network takes what its taps give, too.
    values = with_taps(canonical, values, taken=features)
    spec = NetworkSpec(canonical, values, size or native_size(canonical, 32), channels, 7)
    torch.manual_seed(0)
    network = build_network(spec)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, -1.5 if name == "olhar-small" else 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.Conv2d) and not module.weight.requires_grad:
            nn.init.normal_(module.weight, std=0.3)
    preprocess = Preprocess(
        spec.size, channels, (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    )
    deployed = Deployed(network, preprocess, views=views, temperature=0.7).eval()
    return draw_deployed(deployed, (channels, spec.size, spec.size), gives_features=features)


def pixels(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def check(content: bytes, views: str = "none", count: int = 2) -> None:
    """C gives the features and probabilities that ONNX Runtime gives."""
    network = read_network(content)
    height, width, channels = network.shape
    images = pixels(count, height, width, channels)
    expected = open_session(content).run(
        None, {"images": np.ascontiguousarray(images.transpose(0, 3, 1, 2))}
    )
    for row, image in enumerate(images):
        logits = mean_over_views(
            lambda view: compute_values(network, view)[network.logits], image, views
        )
        found = probabilities(logits, network)
        np.testing.assert_allclose(found, expected[0][row], atol=1e-5)
        if network.features:
            features = mean_over_views(
                lambda view: compute_values(network, view)[str(network.features)], image, views
            )
            most = max(1.0, float(np.abs(expected[1][row]).max()))
            np.testing.assert_allclose(features.ravel(), expected[1][row], atol=1e-4 * most)


@pytest.mark.parametrize("name", LISTED)
def test_networks_of_olhar(name: str) -> None:
    check(drawn(name, channels=1, size=28))
    check(drawn(name))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_with_their_features(name: str) -> None:
    check(drawn(name, 64, features=True), count=1)


def test_a_small_photo_is_enlarged_inside() -> None:
    check(drawn("mobilenet_v2", 32, features=True), count=1)


def check_integers(content: bytes, *, worst: float = 0.2) -> None:
    """In 8 bits every value is near what it is at fp32, by the share of the range that it has."""
    network = read_network(content)
    images = pixels(8, *network.shape)
    quantised = quantise(network, observe(network, images))
    floats, integers = compute_values(network, images[0]), compute_integers(quantised, images[0])
    for step in network.steps:
        found = quantised.scales[step.output].values(integers[step.output])
        exact = floats[step.output]
        if step.kind in TABLES or step.output == network.logits:
            span = float(np.ptp(exact)) or 1.0
            assert np.abs(found - exact).mean() < worst * span, step.name
    shares = softmax_integers(quantised, integers[network.logits]) / 32768
    assert shares.sum() == pytest.approx(1, abs=0.001)
    logits = quantised.scales[network.logits].values(integers[network.logits])
    np.testing.assert_allclose(shares, probabilities(logits, network), atol=2e-4)
    assert np.abs(shares - probabilities(floats[network.logits], network)).max() < worst


@pytest.mark.parametrize("name", [*LISTED, *PUBLISHED])
def test_networks_in_8_bits(name: str) -> None:
    check_integers(drawn(name, 64 if name in PUBLISHED else 0))


def test_channels_of_unequal_range_are_equalised() -> None:
    """The same function, one of whose channels is a thousand times as large between two layers."""
    network = read_network(drawn("cnn-32-64-64"))
    steps = {step.output: step for step in network.steps}
    first, second = (step for step in network.steps if step.name in {"conv1", "conv2"})
    share = np.ones(32, np.float32)
    share[0] = 1000
    assert first.weight is not None
    assert first.bias is not None
    assert second.weight is not None
    steps[first.output] = replace(first, weight=first.weight * share, bias=first.bias * share)
    steps[second.output] = replace(second, weight=second.weight / share[:, None])
    skewed = replace(network, steps=tuple(steps.values()))
    images = pixels(8, *network.shape)

    def error(one: Network) -> float:
        quantised = quantise(one, observe(one, images))
        logits = compute_integers(quantised, images[0])[one.logits]
        found = quantised.scales[one.logits].values(logits)
        return float(np.abs(found - compute_values(network, images[0])[one.logits]).mean())

    equal = equalise(skewed, observe(skewed, images))
    np.testing.assert_allclose(
        compute_values(equal, images[0])[network.logits],
        compute_values(network, images[0])[network.logits],
        atol=1e-3,
    )
    assert error(equal) < 0.3 * error(skewed)


def test_biases_make_up_for_rounded_weights() -> None:
    network = read_network(drawn("cnn-32-64-64"))
    images = pixels(8, *network.shape)
    seen = observe(network, images)
    quantised = quantise(network, seen)
    corrected = quantise(correct_biases(network, seen, quantised), seen)
    name = next(step.output for step in network.steps if step.name == "dense1")
    errors = []
    for one in (quantised, corrected):
        found = np.mean(
            [one.scales[name].values(compute_integers(one, image)[name]) for image in images],
            axis=0,
        )
        errors.append(float(np.abs(found - seen[name].mean).mean()))
    assert errors[1] < errors[0]


@pytest.mark.parametrize("views", VIEWS)
def test_views(views: str) -> None:
    check(drawn("olhar-small", views=views, features=True), views)


def test_an_operator_without_c_is_named_with_its_layer() -> None:
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 1, 4, 4])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], "pixels", to=1),
        helper.make_node("Erf", ["pixels"], ["x"], "block3.gelu"),
        helper.make_node("Softmax", ["x"], ["probabilities"], "probabilities"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "olhar", [images], [output]))
    with pytest.raises(ConfigError, match=r"block3\.gelu.*Erf"):
        read_network(model.SerializeToString())
    assert onnx.__version__
