"""Transfer learning as a user does it: backbones, their weights, the three modes, and what goes wrong."""

from __future__ import annotations

import contextlib
import copy
import csv
import hashlib
import http.server
import importlib.util
import os
import pickle
import shlex
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import olhar as package
from conftest import DATA, needs_data, olhar
from olhar.classifier import load_classifier
from olhar.cli import main
from olhar.data_settings import DataSettings
from olhar.datasets import open_source
from olhar.datasets.dataset import Dataset
from olhar.datasets.fetch import fetch_sha256
from olhar.datasets.prepare import frame_lazily
from olhar.errors import ChecksumError, ConfigError, MissingFileError, ModelError, OlharError
from olhar.evaluation.compare import compare_runs
from olhar.networks import backbones
from olhar.networks.backbones import BACKBONES, with_taps
from olhar.networks.build import build_network
from olhar.networks.specs import NetworkSpec, count_parameters, native_size, resolve_network
from olhar.networks.weights import find_head, hash_body, load_body, read_weights
from olhar.pipeline.backbone import Transfer, default_mode, open_backbone
from olhar.pipeline.fitting import fit_job
from olhar.pipeline.jobs import load_job
from olhar.pipeline.rebuilding import network_probs, read_golden
from olhar.preprocess import Framing, Preprocess
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.training.fit import Training
from olhar.training.head import apply_head, fit_head, log_loss
from olhar.training.machine import Machine
from olhar.training.modes import MANY_IMAGES, MODES, Mode
from olhar.training.recipe import Recipe
from olhar.training.trackers import Trackers
from olhar.training.unfreezing import Stages

SQUEEZENET = f"{DATA}/weights/squeezenet1_0_imagenet.pth"
PHOTOS = f"{DATA}/hymenoptera_data"
EACH = {"train": 14, "val": 8}  # photos of a class


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some real photos of ants and bees."""
    root = tmp_path_factory.mktemp("photos")
    for split, count in EACH.items():
        for name in ("ants", "bees"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for photo in sorted(Path(PHOTOS, split, name).iterdir())[:count]:
                shutil.copy(photo, folder)
    return root


@pytest.fixture(scope="module")
def head_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command line with a fitted head."""
    run = tmp_path_factory.mktemp("runs") / "head"
    words = ["--data", photos, "--backbone", "squeezenet1_0", "--weights", SQUEEZENET]
    done = olhar("train", *words, "--size", 96, "--run", run, "--json")
    assert done.status == 0, done.err
    assert done.json["accuracy"] >= 0.6
    return run


# Networks and their tables


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("taken", [False, True])
def test_a_backbone_is_what_its_table_says(name: str, size: int, *, taken: bool) -> None:
    settings = with_taps(name, {}, taken=taken)
    assert with_taps(name, settings, taken=False) == {}
    spec = NetworkSpec(name, settings, size, 3, 5)
    with torch.device("meta"):  # shapes alone: a VGG-16 has half a gigabyte of weights
        network = build_network(spec).eval()
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 5)
    state = network.state_dict()
    stored = sum(value.numel() for value in state.values() if value.dim() > 0)
    trainable = sum(p.numel() for p in network.parameters())
    assert count_parameters(spec) == (stored, trainable)
    assert find_head(network) == BACKBONES[name].head
    known = BACKBONES[name]
    beside = sum(tap.channels for tap in known.taps.values()) if taken else 0
    assert state[known.head + ".weight"].shape == (5, beside + known.features)


@needs_data
@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_0"])
def test_published_weights_fit_and_know_imagenet(name: str) -> None:
    weights = read_weights(Path(DATA, "weights", f"{name}_imagenet.pth"))
    network = build_network(NetworkSpec(name, {}, 224, 3, 1000)).eval()
    load_body(network, weights, name)
    head = network.get_submodule(find_head(network))
    with torch.no_grad():  # its own thousand classes, to see that the features are right
        head.weight.copy_(weights["classifier.1.weight"].flatten(1))
        head.bias.copy_(weights["classifier.1.bias"])
    preprocess = Preprocess(224, 3, backbones.IMAGENET_MEAN, backbones.IMAGENET_STD)
    from olhar.networks.build import Normalise

    files = sorted(Path(PHOTOS, "val", "bees").iterdir())[:8]
    images = torch.from_numpy(np.stack([preprocess.read(file) for file in files]))
    with torch.inference_mode():
        top = network(Normalise(preprocess.mean, preprocess.std)(images)).topk(5).indices
    assert (top == 309).any(1).sum() >= 5  # "bee" is the 310th of the classes


def test_names_and_sizes_of_backbones() -> None:
    assert resolve_network("MobileNet_V2") == ("mobilenet_v2", {}, None)
    assert [native_size("resnet18", side) for side in (32, 95, 96, 500)] == [128, 128, 224, 224]
    for name in ("mobilenet_v2", "resnet18"):  # as a later version may have recorded them
        with pytest.raises(ConfigError, match=r"features\.99"):
            build_network(NetworkSpec(name, {"taps": ["features.99"]}, 64, 3, 2))
    with pytest.raises(ConfigError, match="--backbone timm:resnet18"):
        resolve_network("timm:resnet18")


# Weights that do not fit


def small_weights() -> dict[str, torch.Tensor]:
    return dict(build_network(NetworkSpec("squeezenet1_1", {}, 64, 3, 7)).state_dict())


@given(
    dropped=st.sets(st.integers(0, 49), max_size=3),
    reshaped=st.sets(st.integers(0, 49), max_size=3),
    added=st.sets(st.text("abc.", min_size=1, max_size=8), max_size=2),
)
@settings(max_examples=20)
def test_weights_are_loaded_strictly(
    dropped: set[int], reshaped: set[int], added: set[str]
) -> None:
    weights = small_weights()
    body = [name for name in weights if not name.startswith("classifier.1.")]
    for index in reshaped:
        weights[body[index]] = torch.zeros(3)
    for index in dropped:
        del weights[body[index]]
    weights |= {name: torch.zeros(1) for name in added}
    network = build_network(NetworkSpec("squeezenet1_1", {}, 64, 3, 2))
    before = hash_body(network)
    if not (dropped or reshaped or added):
        load_body(network, weights, "w.pth")
        assert hash_body(network) != before
        return
    with pytest.raises(ModelError, match=r"'w\.pth' do not fit") as caught:
        load_body(network, weights, "w.pth")
    for index in dropped:
        assert len(dropped) > 4 or body[index] in str(caught.value)
    assert hash_body(network) == before


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trapped",)


def test_files_that_are_no_weights_are_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = {
        "code.pth": pickle.dumps(_Trap()),
        "text.pth": b"hello",
        "empty.pth": b"",
        "text.safetensors": b"hello, this is no header",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read as weights"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "trapped").exists()
    torch.save({"epoch": 3, "state": {}}, tmp_path / "checkpoint.pth")
    with pytest.raises(ModelError, match="other things than named tensors"):
        read_weights(tmp_path / "checkpoint.pth")
    with pytest.raises(MissingFileError):
        read_weights(tmp_path / "none.pth")
    save_file({"a": torch.ones(2)}, tmp_path / "good.safetensors")
    assert set(read_weights(tmp_path / "good.safetensors")) == {"a"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"backbone": "mobilenet_v3"}, "did you mean mobilenet_v2"),
        ({"backbone": "runs/none"}, "or give a run folder"),
        ({"backbone": "resnet18"}, r"resnet18-f37072fd\.pth"),
        ({"backbone": "resnet18", "weights": "none.pth"}, "no file of weights"),
        ({"backbone": "resnet18", "mode": "heads"}, "did you mean head"),
        ({"backbone": "resnet18", "weights": "x", "mode": "scratch"}, "leave --weights out"),
        ({"backbone": "timm:resnet18"}, "say which weights"),
        ({"weights": "x.pth"}, "add --backbone"),
        ({"backbone": "vgg16", "mode": "top"}, "vgg16 cannot be divided"),
        ({"backbone": "squeezenet1_0", "mode": "top", "minutes": 3}, "no meaning with --mode top"),
        ({"backbone": "resnet18", "mode": "scratch", "network": "lenet5"}, "give one of them"),
        ({"backbone": "squeezenet1_0", "epochs": 3}, "no meaning with --mode head"),
        ({"backbone": "squeezenet1_0", "minutes": 3}, "no meaning with --mode head"),
        ({"backbone": "squeezenet1_0", "width": 3}, "width"),
        ({"backbone": "squeezenet1_0", "channels": 1}, "takes 3"),
        ({"backbone": "squeezenet1_0", "size": 20}, "the smallest is 32x32"),
    ],
)
@needs_data
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    words: dict[str, object], says: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OlharError, match=says):
        package.train("digits", run=tmp_path / "run", **words)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@needs_data
def test_weights_of_another_network_are_refused_before_the_run_folder(
    photos: Path, tmp_path: Path
) -> None:
    words = {"backbone": "mobilenet_v2", "weights": SQUEEZENET, "size": 32}
    with pytest.raises(ModelError, match=r"are missing \(features"):
        package.train(str(photos), run=tmp_path / "run", **words)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


# Downloads


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "served"), **kwargs)  # type: ignore[arg-type]

        def log_message(self, *_args: object) -> None: ...

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_is_checked_by_the_digits_in_its_name(
    address: str, tmp_path: Path, monkeypatch
) -> None:
    content = os.urandom(100_000)
    digits = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / "served" / "w.pth").write_bytes(content)
    assert fetch_sha256(f"{address}/w.pth", tmp_path / "w.pth", digits).read_bytes() == content
    monkeypatch.setattr(backbones, "_ADDRESS", address)
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
    file = BACKBONES["resnet18"].file
    (tmp_path / "served" / file).write_bytes(content)
    with pytest.raises(ChecksumError, match="sha256"):
        open_backbone("resnet18", "pretrained", None, Progress())
    assert [path.name for path in (tmp_path / "cache" / "weights").iterdir()] == [f"{file}.lock"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingFileError, match=f"{address}/{file}"):
        open_backbone("resnet18", "pretrained", None, Progress())


# The head


@given(
    classes=st.integers(2, 4),
    features=st.integers(1, 20),
    each=st.integers(1, 12),
    seed=st.integers(0, 9),
    absent=st.booleans(),
)
@settings(max_examples=8)
def test_a_head_is_fitted_to_any_features(
    classes: int, features: int, each: int, seed: int, absent: bool
) -> None:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    x = (3 * random.normal(size=(classes, features))[labels] + 5).astype(np.float32)
    x += random.normal(size=x.shape).astype(np.float32)
    x[:, 0] = 4.0  # one without contrast
    head = fit_head(x, labels, classes + absent, seed=seed)
    logits = apply_head(head, x)
    assert logits.shape == (len(x), classes + absent)
    assert np.isfinite(logits).all()
    assert logits.argmax(1).max() < classes
    if features > 1:
        assert log_loss(logits, labels) <= np.log(classes) + 1e-3
    again = fit_head(x, labels, classes + absent, seed=seed)
    assert np.array_equal(head.weight, again.weight)


def test_a_photo_far_on_the_wrong_side_costs_much_and_warns_of_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    labels = np.arange(40) % 2
    x += 3 * labels[:, None]
    x[0] += 10_000  # its probability is 0 in any floating point
    losses = [one.log_loss for one in fit_head(x, labels, 2, seed=0).candidates]
    assert np.isfinite(losses).all()


# Unfreezing


def test_parts_thaw_one_by_one_and_batch_norms_keep_their_statistics() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec("mobilenet_v2", {}, 32, 3, 2))
    stages = Stages(network)
    images = torch.randint(0, 256, (16, 32, 32, 3), dtype=torch.uint8)
    labels = torch.arange(16) % 2
    recipe = Recipe(epochs=5, batch_size=8, lr=0.01, balance="none")
    machine = Machine("cpu", "fp32", channels_last=True, threads=1)
    normalise = torch.nn.Identity()
    training = Training(
        network, images, labels, torch.arange(16), recipe, machine, _Scale(normalise), None, stages
    )
    shares = [group["lr_share"] for group in training.optimizers[0].param_groups]
    assert max(shares) == 1.0
    assert min(shares) == pytest.approx(2.6**-4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for epoch, parts in ((1, 1), (2, 2), (5, 5)):
        for name, value in network.state_dict().items():
            before[name] = value.clone()
        training.run_epoch(epoch, lambda *_: None)
        changed = [
            any(not torch.equal(p, before[names[id(p)]]) for p in stages.parameters(part))
            for names in [{id(p): name for name, p in network.named_parameters()}]
            for part in range(len(stages.parts))
        ]
        assert changed == [False] * (5 - parts) + [True] * parts
        for name, value in network.state_dict().items():
            if "running" in name or "num_batches" in name:
                assert torch.equal(value, before[name])


class _Scale(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.float() / 255)


# Images


@given(size=st.integers(1, 12), rows=st.lists(st.integers(0, 4), max_size=6))
@settings(max_examples=25)
def test_lazily_framed_images_are_those_of_the_framing(size: int, rows: list[int]) -> None:
    images = np.random.default_rng(size).integers(0, 256, (5, 7, 9, 3), np.uint8)
    framing = Framing(size, 3)
    resized = frame_lazily(Dataset("", images, np.zeros(5, np.int64), ("a",), ""), framing)
    whole = np.stack([framing.frame(image) for image in images])
    assert resized.shape == whole.shape
    assert len(resized) == 5
    assert np.array_equal(resized[np.array(rows, int)], whole[np.array(rows, int)])
    assert np.array_equal(resized[1:3], whole[1:3])
    assert np.array_equal(resized[4], whole[4])


# Runs


@needs_data
def test_a_head_is_a_run_like_any_other(head_run: Path, photos: Path, tmp_path: Path) -> None:
    config = RunFolder(head_run).read_config()
    assert config["transfer"]["mode"] == "head"
    assert config["network"]["name"] == "squeezenet1_0"
    assert config["preprocess"]["mean"] == list(backbones.IMAGENET_MEAN)
    rows = RunFolder(head_run).read_history()
    assert [row["epoch"] for row in rows] == [1]
    assert (head_run / "head.csv").read_text().startswith("strength,shrinkage,factor,log_loss")
    classifier = load_classifier(head_run)
    inputs, stored = read_golden(classifier)
    assert np.abs(network_probs(classifier, inputs) - stored).max() < 1e-4
    assert np.abs(classifier.predict_probs(inputs) - stored).max() < 1e-4
    photo = next((photos / "val" / "ants").iterdir())
    assert classifier.predict(photo).label in {"ants", "bees"}
    card = (head_run / "README.md").read_text(encoding="utf-8")
    assert "squeezenet1_0_imagenet.pth" in card
    assert config["transfer"]["sha256"][:16] in card
    original = read_weights(Path(SQUEEZENET))
    for name, value in load_file(head_run / "model" / "model.safetensors").items():
        assert name.startswith("classifier.1.") or torch.equal(value, original[name])
    words = shlex.split(config["command"])[1:]
    words[words.index("--run") + 1] = str(tmp_path / "again")
    assert main(words) == 0
    assert weights_of(tmp_path / "again") == weights_of(head_run)


def weights_of(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


class _StopAfter(Progress):
    def __init__(self, epoch: int) -> None:
        self._last = epoch

    def epoch(self, row, epochs) -> None:
        if row["epoch"] == self._last:
            raise KeyboardInterrupt


@needs_data
def test_finetuning_from_an_own_run_goes_on_after_a_stop(
    head_run: Path, photos: Path, tmp_path: Path
) -> None:
    words = {"backbone": str(head_run), "mode": "finetune", "size": 64, "epochs": 3, "val": 4}
    whole = package.train(str(photos), run=tmp_path / "whole", **words)  # type: ignore[arg-type]
    assert len(whole.history) == 3
    cut = tmp_path / "cut"
    with contextlib.suppress(KeyboardInterrupt):
        package.train(str(photos), run=cut, progress=_StopAfter(2), **words)  # type: ignore[arg-type]
    assert not (cut / "model").exists()
    job, state = load_job(RunFolder(cut), Progress())
    state = fit_job(job, state, Progress(), Trackers([], lambda _text: None))
    trained = load_file(whole.path / "model" / "model.safetensors")
    assert all(torch.equal(value, trained[name]) for name, value in state.best.items())
    compared = compare_runs([head_run, whole.path]) if whole.report.n == 16 else None
    assert compared is not None
    assert "transfer.mode" in compared.settings
    assert compared.pairs[0].n == 16


TOP = {"backbone": "squeezenet1_0", "mode": "top", "size": 64, "epochs": 3, "lr": 3e-4, "val": 4}


@needs_data
def test_the_last_blocks_are_trained_on_what_the_first_give(photos: Path, tmp_path: Path) -> None:
    whole = package.train(str(photos), run=tmp_path / "whole", **TOP)  # type: ignore[arg-type]
    assert len(whole.history) == 3
    assert whole.history[-1]["train_loss"] < whole.history[1]["train_loss"]
    ways = csv.DictReader((whole.path / "head.csv").read_text().splitlines())
    assert not any(float(way["shrinkage"]) for way in ways)  # it begins from a regression
    classifier = load_classifier(whole.path)
    inputs, stored = read_golden(classifier)
    assert np.abs(network_probs(classifier, inputs) - stored).max() < 1e-4
    cut = tmp_path / "cut"
    with contextlib.suppress(KeyboardInterrupt):
        package.train(str(photos), run=cut, progress=_StopAfter(2), **TOP)  # type: ignore[arg-type]
    job, state = load_job(RunFolder(cut), Progress())
    state = fit_job(job, state, Progress(), Trackers([], lambda _text: None))
    assert state.epoch == 3
    original = read_weights(Path(SQUEEZENET))
    kept = load_file(whole.path / "model" / "model.safetensors")
    front = tuple(f"{name}." for name in BACKBONES["squeezenet1_0"].front)
    for name, value in state.network.items():
        assert torch.equal(state.best[name], kept[name]), name
        if not name.startswith("classifier.1."):
            assert torch.equal(value, original[name]) == name.startswith(front), name


@needs_data
@pytest.mark.parametrize(
    ("backbone", "data", "mode"),
    [
        ("mobilenet_v2", "cifar10", "top"),
        ("mobilenet_v2", "digits", "head"),
        ("mobilenet_v2", "small", "head"),
        ("mobilenet_v2", "large", "top"),
        ("vgg16", "cifar10", "head"),
        ("runs/mine", "cifar10", "head"),
    ],
)
def test_many_images_train_the_last_blocks(
    backbone: str, data: str, mode: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = next(Path(PHOTOS, "val", "ants").iterdir())
    images = {"small": MANY_IMAGES - 2, "large": MANY_IMAGES}.get(data, 0)
    for name in ("ants", "bees") if images else ():
        (tmp_path / data / name).mkdir(parents=True)
        first = shutil.copy(photo, tmp_path / data / name / "0.jpg")
        for row in range(1, images // 2):
            os.link(first, tmp_path / data / name / f"{row}.jpg")
    assert default_mode(backbone, DataSettings(data), open_source) == mode


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_many_images_have_one_view(mode: Mode) -> None:
    recipe = Recipe(**{"views": "mirror", **(mode.recipe or {})})
    assert mode.suited_recipe(recipe, {}, MANY_IMAGES - 1) == recipe
    assert mode.suited_recipe(recipe, {"views"}, MANY_IMAGES).views == recipe.views
    views = mode.suited_recipe(recipe, {}, MANY_IMAGES).views
    assert views == ("none" if mode.uses_weights and not mode.continues else "mirror")


def test_a_mode_stands_in_a_run_by_its_name() -> None:
    values = {"backbone": "mobilenet_v2", "mode": "top", "weights": "w.pth", "sha256": "00"}
    transfer = Transfer.from_dict(values)
    assert transfer.mode is MODES["top"]
    assert transfer.to_dict() == values
    with pytest.raises(KeyError):
        Transfer.from_dict({**values, "mode": "bottom"})


class _Notes(Progress):
    def __init__(self) -> None:
        self.heard = ""

    def note(self, text) -> None:
        self.heard += f"{text}\n"


@needs_data
def test_a_head_takes_earlier_layers_too(photos: Path, tmp_path: Path) -> None:
    """A run that names none, as those of before do, is what it was, and a backbone."""
    options: dict[str, Any] = {"size": 64, "val": 4}
    taps = list(BACKBONES["mobilenet_v2"].taps)
    expected = {"head": taps, "top": [], "finetune": [], "scratch": [], "continue": taps}
    head = package.train(
        str(photos), backbone="mobilenet_v2", mode="head", run=tmp_path / "head", **options
    )
    assert head.path == tmp_path / "head"
    before = package.train(  # its one epoch is the head's
        str(photos),
        backbone="mobilenet_v2",
        mode="finetune",
        epochs=1,
        run=tmp_path / "b",
        **options,
    )
    for run, found in ((head, expected), (before, {**expected, "continue": []})):
        classifier = load_classifier(run.path)
        assert classifier.config.network["settings"].get("taps", []) == found["continue"]
        inputs, stored = read_golden(classifier)
        assert np.abs(network_probs(classifier, inputs) - stored).max() < 1e-4
        for mode, names in found.items():
            origin = open_backbone(str(run.path), None, mode, Progress())
            assert list(origin.settings.get("taps", [])) == names, mode
        again = package.train(
            str(photos), backbone=str(run.path), mode="head", run=run.path / "again", **options
        )
        assert load_classifier(again.path).config.network["settings"] == {"taps": taps}
    weights = load_file(head.path / "model" / "model.safetensors")["classifier.1.weight"]
    old = load_file(before.path / "model" / "model.safetensors")["classifier.1.weight"]
    assert (weights.shape[1], old.shape[1]) == (1600, 1280)


# Other libraries

_FOREIGN = ("hgnetv2_b0", "mobilenetv4_conv_small", "mobilenetv3_small_050", "resnet50")
_DIVIDED = [name for name, known in BACKBONES.items() if known.front]


@pytest.mark.parametrize("name", [*_DIVIDED, *(f"timm:{name}" for name in _FOREIGN)])
def test_a_front_and_the_rest_are_the_whole_network(name: str) -> None:
    from olhar.networks.fronts import find_front

    if name in BACKBONES:
        network = build_network(NetworkSpec(name, {}, 64, 3, 5))
        fronts = [BACKBONES[name].front, find_front(network, "a network", (3, 64, 64))]
    elif importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    else:
        from olhar.networks.timm_adapter import build_timm

        network = build_timm(name.removeprefix("timm:"), 64, 5)
        fronts = [find_front(network, name, (3, 64, 64))]
    images = torch.rand(2, 3, 64, 64)
    for front in fronts:
        assert len(front) > 2
        rest = copy.deepcopy(network).eval()
        with torch.inference_mode():
            whole, given = rest(images), images
            for part in front:
                given = rest.get_submodule(part)(given)
                rest.set_submodule(part, torch.nn.Identity())
            torch.testing.assert_close(rest(given), whole)


def test_a_network_of_attention_has_no_front_of_maps() -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    from olhar.networks.fronts import find_front
    from olhar.networks.timm_adapter import build_timm

    assert find_front(build_timm("vit_tiny_patch16_224", 32, 3), "timm:vit", (3, 32, 32)) == ()


@needs_data
@pytest.mark.parametrize(
    "mode",
    ["top", *(pytest.param(mode, marks=pytest.mark.soak) for mode in ("finetune", "scratch"))],
)
def test_a_network_of_timm_is_trained_in_each_mode_and_predicts_without_timm(
    mode: str, photos: Path, tmp_path: Path
) -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    from olhar.networks.timm_adapter import build_timm

    words = ["--backbone", "timm:mobilenetv4_conv_small", "--mode", mode, "--epochs", 2]
    if mode != "scratch":
        torch.manual_seed(0)
        torch.save(build_timm("mobilenetv4_conv_small", 64, 9).state_dict(), tmp_path / "w.pth")
        words += ["--weights", tmp_path / "w.pth"]
    done = olhar("train", "--data", photos, *words, "--size", 64, "--run", tmp_path / "run")
    assert done.status == 0, done.err
    classifier = load_classifier(tmp_path / "run")
    inputs, stored = read_golden(classifier)
    assert np.abs(network_probs(classifier, inputs) - stored).max() < 1e-4
    (tmp_path / "timm.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    photo = next((photos / "val" / "ants").iterdir())
    done = olhar("predict", tmp_path / "run", photo, PYTHONPATH=str(tmp_path))
    assert done.status == 0, done.err


@needs_data
def test_an_unknown_network_of_timm_is_told_with_what_is_like_it(
    photos: Path, tmp_path: Path
) -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    (tmp_path / "w.pth").write_bytes(b"never read")
    unknown = ["--backbone", "timm:mobilenetv3_smal_050", "--weights", tmp_path / "w.pth"]
    done = olhar("train", "--data", photos, *unknown, "--run", tmp_path / "other")
    assert done.status == 2
    assert "mobilenetv3_small_050" in done.err


@needs_data
def test_a_transformers_folder_is_a_backbone(photos: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    from olhar.networks.transformers_adapter import import_transformers

    transformers = import_transformers()
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    folder = tmp_path / "resnet"
    transformers.ResNetForImageClassification(config).save_pretrained(folder)
    words = ["--backbone", f"transformers:{folder}", "--size", 64, "--run", tmp_path / "run"]
    done = olhar("train", "--data", photos, *words)
    assert done.status == 0, done.err
    shutil.rmtree(folder)  # the configuration is in the model
    classifier = load_classifier(tmp_path / "run")
    inputs, stored = read_golden(classifier)
    assert np.abs(network_probs(classifier, inputs) - stored).max() < 1e-4


@pytest.mark.parametrize("library", ["timm", "transformers"])
def test_a_library_that_is_missing_is_named(library: str, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_args: None)
    with pytest.raises(ImportError, match=rf"olhar\[{library}\]"):
        open_backbone(f"{library}:resnet18", "pretrained", None, Progress())
