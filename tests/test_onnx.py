"""`model.onnx` as a person would draw it: few standard operators, named after the layers, and proved."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from olhar.classifier import load_classifier, open_session
from olhar.export import Deployed, export_network, open_features, open_module
from olhar.export.deployed import ViewFeatures
from olhar.networks.backbone_modules import BasicBlock
from olhar.networks.backbones import BACKBONES, with_taps
from olhar.networks.build import AvgPool, Normalise, build_network
from olhar.networks.dropout import Dropout
from olhar.networks.specs import LISTED, NetworkSpec, native_size, resolve_network
from olhar.networks.weights import find_head
from olhar.pipeline.exporting import export_model
from olhar.pipeline.rebuilding import network_probs, read_golden
from olhar.preprocess import Preprocess
from olhar.training.recipe import VIEWS
from olhar.verify import verify_model

OLD = Path(__file__).parent / "data" / "models_0_1"
OPERATORS = {
    *("Cast", "Sub", "Mul", "Div", "Conv", "Gemm", "Flatten", "Relu", "Tanh", "Sigmoid", "Clip"),
    *("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "BatchNormalization"),
    *("Add", "Concat", "MatMul", "Slice", "Pad", "Split", "Mean", "Softmax"),
}


def shake(network: nn.Module, *, negative: bool = False) -> nn.Module:
    """Numbers that a training might leave in batch norms, and filters in the layer that training sets."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, -1.5 if negative else 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.Conv2d) and not module.weight.requires_grad:
            nn.init.normal_(module.weight, std=0.3)
    return network.eval()


def make_network(
    name: str, size: int = 0, *, channels: int = 3, taps: bool = False
) -> tuple[nn.Module, Preprocess]:
    canonical, values, _typed = resolve_network(name)
    values = with_taps(canonical, values, taken=taps)
    spec = NetworkSpec(canonical, values, size or native_size(canonical, 32), channels, 7)
    torch.manual_seed(0)
    means, stds = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    return shake(build_network(spec)), Preprocess(spec.size, channels, means, stds)


def pixels(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def drawn(name: str, size: int = 0, *, channels: int = 3, **options: Any) -> onnx.ModelProto:
    network, preprocess = make_network(name, size, channels=channels)
    samples = pixels(16, channels, preprocess.size, preprocess.size)
    return onnx.load_from_string(export_network(network, preprocess, samples, **options)[0])


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


# What is drawn.


def test_lenet5_is_drawn_as_in_a_book() -> None:
    graph = drawn("lenet5", 28, channels=1, temperature=0.5).graph
    assert [(node.op_type, node.name) for node in graph.node] == [
        *(("Cast", "pixels"), ("Sub", "normalise.sub"), ("Mul", "normalise")),
        *(("Conv", "conv1"), ("Tanh", "tanh1"), ("AveragePool", "pool1")),
        *(("Conv", "conv2"), ("Tanh", "tanh2"), ("AveragePool", "pool2"), ("Flatten", "flatten1")),
        *(("Gemm", "dense1"), ("Tanh", "tanh3"), ("Gemm", "dense2"), ("Tanh", "tanh4")),
        *(("Gemm", "dense3"), ("Div", "temperature"), ("Softmax", "probabilities")),
    ]
    assert [tensor.name for tensor in graph.initializer] == [
        *("normalise.mean", "normalise.scale"),
        *(f"{name}.{part}" for name in ("conv1", "conv2") for part in ("weight", "bias")),
        *(f"dense{number}.{part}" for number in (1, 2, 3) for part in ("weight", "bias")),
        "temperature.value",
    ]


def test_resnet8_is_drawn_with_its_ways_around() -> None:
    graph = drawn("resnet8", 32).graph
    blocks = [
        (kind, f"block{number}.{name}")
        for number in (1, 2, 3)
        for kind, name in (
            *(("Conv", "conv1"), ("Relu", "relu1"), ("Conv", "conv2"), ("Conv", "downsample.0")),
            *(("Add", "add"), ("Relu", "relu2")),
        )
        if number > 1 or name != "downsample.0"
    ]
    assert [(node.op_type, node.name) for node in graph.node] == [
        *(("Cast", "pixels"), ("Sub", "normalise.sub"), ("Mul", "normalise")),
        *(("Conv", "conv1"), ("Relu", "relu1"), *blocks),
        *(("GlobalAveragePool", "pool1"), ("Flatten", "flatten1"), ("Gemm", "dense1")),
        *(("Softmax", "probabilities"),),
    ]
    sizes = [
        int(np.prod(tensor.dims))
        for tensor in graph.initializer
        if tensor.name.endswith(("weight", "bias"))
    ]
    # As many as are left of MLPerf Tiny's once its batch norms are folded, for 7 classes.
    assert sum(sizes) == 77_706 - 3 * 65


def test_mobilenet_has_one_node_a_layer() -> None:
    model = drawn("mobilenet_v2", 64, views="mirror", temperature=0.5)
    found = kinds(model)
    assert len(model.graph.node) <= 120
    assert (found["Conv"], found["Clip"], found["Add"], found["Cast"]) == (52, 35, 10, 1)
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"features.0.0.weight", "features.17.conv.1.0.bias", "classifier.1.weight"} <= names


@pytest.mark.parametrize("name", ["ivannet", "gmnet", "olhar-small", "resnet18"])
def test_no_batch_norm_is_left_where_all_can_be_folded(name: str) -> None:
    assert "BatchNormalization" not in kinds(drawn(name, 32))


def test_the_normalisation_goes_into_a_first_convolution_that_does_not_pad() -> None:
    model = drawn("cnn-32-64-64")
    assert not {"Sub", "Mul"} & set(kinds(model))
    assert model.graph.node[1].name == "conv1"
    assert kinds(drawn("3cnn+512"))["Sub"] == kinds(drawn("3cnn+512"))["Mul"] == 1


def check_form(content: bytes, shape: tuple[int, ...], widths: dict[str, int]) -> None:
    """One file that every reader takes: checked strictly, and N its only free number."""
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(
        model, check_type=True, strict_mode=True, data_prop=True
    )
    assert set(kinds(model)) <= OPERATORS
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    used = Counter(name for node in model.graph.node for name in node.input)
    assert all(used[tensor.name] for tensor in model.graph.initializer)
    described = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info)
    }
    assert described["images"] == ["N", *shape]
    for name, width in widths.items():
        assert described[name] == ["N", width]
    for dims in described.values():
        assert all(isinstance(dim, int) and dim > 0 for dim in dims[1:]), described


CASES = [
    *((name, 0) for name in LISTED),
    *((name, 32) for name in BACKBONES if name != "vgg16"),
    pytest.param("vgg16", 32, marks=pytest.mark.soak),  # half a gigabyte a file
]


@pytest.mark.parametrize(("name", "size"), CASES)
def test_every_network_is_proved_with_every_view_and_with_features(name: str, size: int) -> None:
    prove_every_view(*make_network(name, size))


@pytest.mark.parametrize("name", [name for name, known in BACKBONES.items() if known.taps])
def test_a_head_on_several_layers_is_proved_with_every_view(name: str) -> None:
    network, preprocess = make_network(name, 32, taps=True)
    prove_every_view(network, preprocess)
    content, _golden = export_network(network, preprocess, pixels(16, 3, 32, 32))
    model = onnx.load_from_string(content)
    places = {node.name: at for at, node in enumerate(model.graph.node)}
    for tap in BACKBONES[name].taps:  # a mean is taken where its map is, which then is let go
        following = [
            at for part, at in places.items() if part.startswith(tap) and at < places[f"{tap}.pool"]
        ]
        assert places[f"{tap}.pool"] == max(following) + 1


def prove_every_view(network: nn.Module, preprocess: Preprocess) -> None:
    shape = (3, preprocess.size, preprocess.size)
    samples, others = pixels(16, *shape), pixels(3, *shape)
    for views in VIEWS:
        body = copy.deepcopy(network)
        head = body.get_submodule(find_head(body))
        body.set_submodule(find_head(body), nn.Identity())
        with torch.inference_mode():
            features = (
                ViewFeatures(body, preprocess, views).eval()(torch.from_numpy(others)).numpy()
            )
            expected = Deployed(network, preprocess, views=views, temperature=0.5).eval()(
                torch.from_numpy(others)
            )
        for gives in (False, True):
            content, _golden = export_network(
                network, preprocess, samples, views=views, temperature=0.5, gives_features=gives
            )
            widths = {"probabilities": 7, **({"features": head.in_features} if gives else {})}
            if gives:
                check_form(content, shape, widths)
            session = open_session(content)
            found = session.run(None, {"images": others})
            np.testing.assert_allclose(found[0], expected, atol=1e-4)
            if gives:
                scale = np.abs(features).max()
                np.testing.assert_allclose(found[1] / scale, features / scale, atol=1e-4)
                (one, _one) = session.run(None, {"images": others[:1]})
                np.testing.assert_allclose(one, found[0][:1], atol=1e-5)


@pytest.mark.parametrize("views", VIEWS)
def test_the_features_of_a_body_are_what_torch_gives(views: str) -> None:
    network, preprocess = make_network("mobilenet_v2", 64)
    network.set_submodule(find_head(network), nn.Identity())
    images = pixels(5, 3, 64, 64)
    found = open_features(network, preprocess, views, "cpu", 1)(images)
    with torch.inference_mode():
        expected = ViewFeatures(network, preprocess, views).eval()(torch.from_numpy(images)).numpy()
    assert found.shape == (5, 1280)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, known in BACKBONES.items() if known.front])
def test_the_two_parts_of_a_backbone_are_what_torch_gives(name: str) -> None:
    """As `pipeline.top` takes it apart: the front on pixels, the rest on 8-bit codes."""
    network, preprocess = make_network(name, 64)
    normalise = Normalise(preprocess.mean, preprocess.std)
    front = nn.Sequential(normalise, *(network.get_submodule(n) for n in BACKBONES[name].front))
    images = pixels(3, 3, 64, 64)
    found = open_module(front, (3, 64, 64), "cpu", 1)(images)
    with torch.inference_mode():
        expected = front.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for part in (*BACKBONES[name].front, find_head(network)):
        network.set_submodule(part, nn.Identity())
    low, high = found.min((0, 2, 3)), found.max((0, 2, 3)) + 1e-3
    scale = 1 / (high - low)
    rest = nn.Sequential(Normalise(tuple(-low * scale), tuple(scale)), network)
    codes = pixels(3, *found.shape[1:])
    found = open_module(rest, codes.shape[1:], "cpu", 1)(codes)
    with torch.inference_mode():
        expected = rest.eval()(torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


# Folding.


def check_folding(*modules: nn.Module, side: int, channels: int = 3) -> Counter[str]:
    """Drawn and computed: the numbers that torch gives. Which operators it took is given back."""
    network = nn.Sequential(*modules).eval()
    preprocess = Preprocess(side, channels, (0.5,) * channels, (0.25,) * channels)
    samples = pixels(16, channels, side, side)
    content, golden = export_network(network, preprocess, samples, gives_features=True)
    plain, _golden = export_network(network, preprocess, samples)
    (probs,) = open_session(plain).run(None, {"images": samples})
    np.testing.assert_allclose(probs, golden["probabilities"], atol=1e-5)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    return kinds(onnx.load_from_string(plain))


def norm(channels: int, *, negative: bool) -> nn.Module:
    (module,) = shake(nn.Sequential(nn.BatchNorm2d(channels)))
    with torch.no_grad():
        module.weight[0] = -0.7 if negative else 0.7
    return module


@pytest.mark.parametrize("negative", [False, True])
def test_a_norm_goes_where_the_arithmetic_allows(negative: bool) -> None:
    torch.manual_seed(0)
    conv, behind, padded = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.Conv2d(4, 5, 3, padding=1)
    scales = norm(4, negative=negative)
    end = (nn.Flatten(), nn.Linear(5, 7))
    kept = "BatchNormalization"
    # Directly behind a convolution: always. Across the greatest: where no scale is negative.
    for layers, left in (
        ((conv, scales, nn.ReLU(), nn.MaxPool2d(2), behind), 0),
        ((conv, nn.MaxPool2d(2), scales, nn.Tanh(), behind), int(negative)),
        ((conv, nn.Tanh(), scales, AvgPool(2, 6), behind), 0),
        ((conv, nn.Tanh(), scales, nn.MaxPool2d(2), Dropout(0.5), behind), int(negative)),
        ((conv, nn.Tanh(), scales, AvgPool(2, 6), padded, nn.AdaptiveMaxPool2d(1)), 1),
    ):
        side = nn.AdaptiveMaxPool2d(1)
        found = check_folding(*(copy.deepcopy(m) for m in (*layers, side, *end)), side=8)
        assert found[kept] == left, layers
    # Behind a flattening, a channel is as many inputs as it has places.
    dense = (conv, nn.Tanh(), scales, nn.Flatten(), nn.Linear(4 * 36, 7))
    assert check_folding(*map(copy.deepcopy, dense), side=8)[kept] == 0


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[nn.Module], int]:
    """Layers of olhar's in an order that fits, and the side of the images that they take."""
    side = start = draw(st.integers(8, 14))
    channels, modules = 3, []
    for kind in draw(st.lists(st.sampled_from("ccnnamgdr"), min_size=1, max_size=9)):
        if kind == "c":
            kernel, padding = draw(st.integers(1, 3)), draw(st.integers(0, 1))
            if side + 2 * padding < kernel:
                continue
            width = draw(st.integers(1, 5))
            bias = draw(st.booleans())
            modules.append(nn.Conv2d(channels, width, kernel, padding=padding, bias=bias))
            channels, side = width, side + 2 * padding - kernel + 1
        elif kind == "n":
            modules.append(nn.BatchNorm2d(channels))
        elif kind == "a":
            modules.append(draw(st.sampled_from((nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU)))())
        elif kind == "d":
            modules.append(Dropout(0.3))
        elif kind == "r":
            width, stride = draw(st.sampled_from((channels, 5))), draw(st.integers(1, 2))
            modules.append(BasicBlock(channels, width, stride))
            channels, side = width, -(-side // stride)
        elif side >= 2:
            modules.append(nn.MaxPool2d(2) if kind == "m" else AvgPool(2, side))
            side //= 2
    if draw(st.booleans()):
        modules.append(draw(st.sampled_from((nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)))(1))
        side = 1
    return [*modules, nn.Flatten(), nn.Linear(channels * side * side, 4)], start


@settings(max_examples=60, deadline=None)
@given(chains(), st.booleans(), st.integers(0, 99))
def test_any_chain_of_layers_is_folded_without_a_change(
    chain: tuple[list[nn.Module], int], negative: bool, seed: int
) -> None:
    modules, side = chain
    torch.manual_seed(seed)
    shake(nn.Sequential(*modules), negative=negative)
    check_folding(*modules, side=side)


# Equal weights are equal files, without torch's exporter.

ALONE = """
import hashlib, sys
import numpy as np, torch
sys.path.insert(0, {tests!r})
from test_onnx import make_network, pixels
from olhar.export import export_network
for name, size in (("lenet5", 28), ("olhar-small", 32), ("mobilenet_v2", 32)):
    network, preprocess = make_network(name, size)
    content, _ = export_network(
        network, preprocess, pixels(16, 3, size, size), views="mirror_shift", gives_features=True
    )
    print(hashlib.sha256(content).hexdigest())
heavy = ("torch.onnx", "torch._dynamo", "torch._inductor", "onnxscript", "onnxslim")
print(sorted(name for name in sys.modules if name.startswith(heavy)))
"""


def test_equal_weights_are_equal_files_and_torchs_exporter_is_not_imported(tmp_path: Path) -> None:
    said = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", ALONE.format(tests=str(Path(__file__).parent))],
            env={**os.environ, "PYTHONHASHSEED": seed, "HOSTNAME": f"machine-{seed}"},
            cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines())
    assert said[0] == said[1]
    assert said[0][-1] == "[]"
    assert len(set(said[0])) == 4


# Networks of other libraries, and models of before.


class Stranger(nn.Module):
    """A network that olhar did not build."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.nn.functional.gelu(self.bn(self.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("gives", [False, True])
def test_a_network_of_another_library_goes_through_torchs_exporter(gives: bool) -> None:
    torch.manual_seed(0)
    network, preprocess = shake(Stranger()), Preprocess(16, 3, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    samples = pixels(16, 3, 16, 16)
    options = {"views": "mirror", "temperature": 0.5, "gives_features": gives}
    content, golden = export_network(network, preprocess, samples, **options)
    assert content == export_network(network, preprocess, samples, **options)[0]
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert not {"BatchNormalization", "Identity", "Constant", "CastLike"} & set(kinds(model))
    assert str(Path(__file__).parent).encode() not in content
    found = open_session(content).run(None, {"images": samples})
    np.testing.assert_allclose(found[0], golden["probabilities"], atol=1e-5)
    assert isinstance(network.fc, nn.Linear)  # the network is as it was
    if gives:
        body = copy.deepcopy(network)
        body.fc = nn.Identity()
        with torch.inference_mode():
            expected = ViewFeatures(body, preprocess, "mirror")(torch.from_numpy(samples)).numpy()
        np.testing.assert_allclose(found[1], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["gmnet", "olhar-small"])
def test_a_model_exported_before_is_used_as_ever(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OLD / name, tmp_path / name))
    classifier = load_classifier(folder)
    images, stored = read_golden(classifier)
    np.testing.assert_allclose(classifier.predict_probs(images), stored, atol=1e-5)
    np.testing.assert_allclose(network_probs(classifier, images), stored, atol=1e-5)
    assert export_model(folder, tmp_path / "a.onnx").largest_difference < 1e-5
    made = export_model(folder, tmp_path / "int8", precision="int8", max_drop=0.05)
    assert made.size_bytes > 0
    found = verify_model(folder)
    assert found.ok, found.to_dict()
