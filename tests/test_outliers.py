"""The warning of images that show none of a model's classes: the same on every path, absent in others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import olhar as package
from conftest import DATA, needs_data, olhar
from olhar.classifier import CONFIG, NEIGHBOURS, load_classifier
from olhar.errors import ChecksumError
from olhar.outliers import FEWEST, KEPT, Neighbours, area, choose_neighbours, tells_apart
from olhar.verify import verify_model
from serving_process import serving

RAW = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ants and bees by a backbone, whose head takes earlier layers too; 16 photos of a class to train."""
    folder = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 16), ("val", 4)):
        for name in ("ants", "bees"):
            (folder / split / name).mkdir(parents=True)
            for photo in sorted(Path(DATA, "hymenoptera_data", split, name).iterdir())[:count]:
                shutil.copy(photo, folder / split / name)
    path = tmp_path_factory.mktemp("runs") / "ants"
    package.train(str(folder), backbone="mobilenet_v2", size=160, run=path, views="none")
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bee, and noise."""
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    bee = sorted(Path(DATA, "hymenoptera_data", "train", "bees").iterdir())[0]
    return {"bee": bee, "noise": folder / "noise.png"}


@given(
    rows=st.integers(5, 30),
    columns=st.integers(2, 8),
    before=st.integers(0, 3),
    seed=st.integers(0, 999),
)
@settings(max_examples=30)
def test_distances_are_those_to_the_nearest(
    rows: int, columns: int, before: int, seed: int
) -> None:
    train, others = np.random.default_rng(seed).normal(size=(2, rows, columns)).astype(np.float32)
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    earlier = np.ones((rows, before), np.float32)  # layers that do not count
    found = Neighbours(unit, 5, 0.0).distances(np.concatenate([earlier, others], axis=1))
    for row, distance in zip(others, found, strict=True):
        cosines = sorted((float(row @ one / np.linalg.norm(row)) for one in unit), reverse=True)
        assert distance == pytest.approx(1 - cosines[4], abs=1e-5)


def test_the_threshold_keeps_what_it_says_and_needs_enough_images() -> None:
    random = np.random.default_rng(0)
    train, val = random.normal(1, 1, (300, 20)), random.normal(1, 1, (400, 20))
    train, val = train.astype(np.float32), val.astype(np.float32)
    for frozen in (False, True):
        chosen = choose_neighbours(train, val, frozen=frozen)
        assert chosen is not None
        assert (chosen.distances(val) <= chosen.threshold).mean() == pytest.approx(KEPT, abs=0.02)
    assert choose_neighbours(train, val[: FEWEST - 1], frozen=False) is None
    assert choose_neighbours(train, val[: FEWEST - 1], frozen=True) is not None
    assert choose_neighbours(train[:10], val[:1], frozen=True) is None


@given(seed=st.integers(0, 999), usual=st.integers(1, 30), strange=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_the_area_is_that_of_scikit_learn(seed: int, usual: int, strange: int) -> None:
    from sklearn.metrics import roc_auc_score

    values = np.random.default_rng(seed).integers(0, 9, usual + strange).astype(np.float32)
    expected = roc_auc_score(np.arange(usual + strange) >= usual, values)
    assert area(values[:usual], values[usual:]) == pytest.approx(expected)


def test_a_measure_that_does_not_tell_what_shows_nothing_is_not_used() -> None:
    random = np.random.default_rng(0)
    train, val, far = random.normal(3, 1, (3, 200, 20)).astype(np.float32)
    far = random.normal(0, 1, (200, 20)).astype(np.float32)
    chosen = choose_neighbours(train, val, frozen=False)
    assert chosen is not None
    assert tells_apart(chosen, val, [far, -far])
    assert not tells_apart(chosen, val, [far, val])


def test_a_grey_network_without_a_backbone_warns_where_the_measure_is_good(
    digits_run: Path, tmp_path: Path
) -> None:
    run = package.train("digits", "olhar-small", epochs=6, run=tmp_path / "run")
    classifier = run.classifier
    assert classifier.config.outlier is not None
    digits = package.load_dataset("digits").images[::9]
    warned = np.mean([classifier.predict(image).outlier for image in digits])
    assert warned < 0.15
    noise = np.random.default_rng(1).integers(0, 256, (30, 28, 28), np.uint8)
    assert np.mean([classifier.predict(image).outlier for image in noise]) > 0.9
    assert "It warns of images that may show none" in (run.path / "README.md").read_text()
    # Where it is not, nothing is warned of, and the card says so.
    assert package.load(digits_run).config.outlier is None
    assert "It does not tell images that show none" in (digits_run / "README.md").read_text()


@needs_data
def test_every_path_gives_the_same_warning(run: Path, pictures: dict[str, Path]) -> None:
    classifier = load_classifier(run)
    assert classifier.config.outlier is not None
    expected = {name: classifier.predict(path).to_dict() for name, path in pictures.items()}
    assert (expected["bee"]["outlier"], expected["noise"]["outlier"]) == (False, True)
    done = olhar("predict", run, *pictures.values(), "--json")
    assert [answer["outlier"] for answer in done.json] == [False, True]
    assert "perhaps none of its classes" in olhar("predict", run, pictures["noise"]).out
    with serving(run) as server:
        for name, path in pictures.items():
            answer = server.post("predict", content=path.read_bytes(), headers=RAW).json()[0]
            assert answer["outlier"] == expected[name]["outlier"]
            assert answer["probability"] == pytest.approx(expected[name]["probability"], abs=1e-5)
    assert verify_model(run).ok
    assert "none of its classes" in (run / "README.md").read_text(encoding="utf-8")


@needs_data
def test_most_photos_of_its_classes_pass_and_digits_do_not(run: Path) -> None:
    from sklearn.datasets import load_digits

    classifier = load_classifier(run)
    photos = sorted(Path(DATA, "hymenoptera_data", "val").glob("*/*"))[::4]
    assert np.mean([bool(classifier.predict(photo).outlier) for photo in photos]) < 0.3
    digits = (load_digits().images[:20] / 16 * 255).astype(np.uint8)
    assert np.mean([bool(classifier.predict(digit).outlier) for digit in digits]) > 0.9


@needs_data
def test_a_model_without_it_says_nothing(digits_run: Path, pictures: dict[str, Path]) -> None:
    classifier = load_classifier(digits_run)
    assert "outlier" not in json.loads((digits_run / "model" / CONFIG).read_bytes())
    assert classifier.predict(pictures["noise"]).outlier is None
    assert "outlier" not in classifier.predict(pictures["noise"]).to_dict()


@needs_data
def test_a_damaged_file_is_named(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run / "model", tmp_path / "model")
    content = bytearray((copy / NEIGHBOURS).read_bytes())
    content[-1] ^= 1
    (copy / NEIGHBOURS).write_bytes(content)
    with pytest.raises(ChecksumError, match=NEIGHBOURS):
        load_classifier(copy)
