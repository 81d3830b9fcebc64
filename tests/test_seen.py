"""What a model has seen in training is known by its pixels, said, and left out of a measurement."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import olhar as package
from conftest import DATA, needs_data, olhar
from olhar.classifier import SEEN, load_classifier
from olhar.errors import ChecksumError
from olhar.seen import Seen, remember

PHOTOS = 14  # of a class


def photo(number: int, label: str, size: int = 64) -> Image.Image:
    """A picture of large patches, the class in its colour; another number is another picture."""
    patches = np.random.default_rng([number, label == "b"]).integers(0, 120, (6, 6, 3))
    patches[..., 0 if label == "a" else 2] += 120
    image = Image.fromarray(patches.astype(np.uint8))
    return image.resize((size, size), Image.Resampling.BICUBIC)


def fill(folder: Path, numbers: range) -> None:
    """Photos of two classes."""
    for label in "ab":
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            photo(number, label).save(folder / label / f"{number}.png")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 28 photos; tests copy its folder of photos."""
    folder = tmp_path_factory.mktemp("seen")
    fill(folder / "pets", range(PHOTOS))
    package.train(str(folder / "pets"), "lenet5", epochs=1, run=folder / "run")
    return folder / "run"


@pytest.fixture
def grown(run: Path, tmp_path: Path) -> Path:
    """The photos that were trained on under other names and in another form, and as many new ones."""
    fill(tmp_path / "grown", range(PHOTOS, 2 * PHOTOS))
    for old in (run.parent / "pets").rglob("*.png"):
        Image.open(old).save(tmp_path / "grown" / old.parent.name / f"again {old.stem}.bmp")
    return tmp_path / "grown"


def test_photos_that_were_trained_on_are_left_out_by_default(run: Path, grown: Path) -> None:
    done = olhar("evaluate", run, "--data", grown, "--split", "all", "--json")
    sizes = package.load_run(run).config["data"]["sizes"]
    expected = {"trained": sizes["train"], "validated": sizes["val"], "near": 0}
    expected["left_out"] = sum(expected.values())
    assert done.json["seen"] == expected
    assert done.json["n"] == 4 * PHOTOS - expected["left_out"]
    shown = olhar("evaluate", run, "--data", grown)
    assert "left out, since the model has seen them" in shown.out
    kept = olhar("evaluate", run, "--data", grown, "--split", "all", "--keep-seen")
    assert f"{sizes['train']} that it was trained on" in kept.out
    assert "figures flatter" in kept.out
    assert f"on {4 * PHOTOS} images" in kept.out


def test_a_folder_that_has_grown_is_known_by_its_photos(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(run.parent / "pets", tmp_path / "pets")
    fill(tmp_path / "pets", range(50, 60))
    report = package.evaluate(tmp_path / "run", str(tmp_path / "pets"))
    assert report.seen["trained"] > 0
    assert report.seen["left_out"] == report.seen["trained"] + report.seen["validated"]
    assert str(report.reservations()[0]).startswith("left out")
    flattering = package.evaluate(tmp_path / "run", str(tmp_path / "pets"), keep_seen=True)
    assert flattering.n == report.n + report.seen["left_out"]


def test_its_own_splits_are_measured_as_they_are(run: Path) -> None:
    own = package.load_run(run)
    assert package.evaluate(run).to_dict() == own.report.to_dict()
    assert not any(own.report.seen.values())
    assert package.evaluate(run, split="train").n == own.config["data"]["sizes"]["train"]
    assert package.evaluate(run, split="val").n == own.config["data"]["sizes"]["val"]
    everything = package.evaluate(run, split="all")
    assert everything.n == own.config["data"]["sizes"]["test"]


def test_nothing_but_what_it_has_seen_is_refused_in_words(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run.parent / "pets", tmp_path / "pets")
    for name in {one.item for one in package.load_run(run).answers}:
        (tmp_path / "pets" / name).unlink()
    done = olhar("evaluate", run, "--data", tmp_path / "pets", "--split", "all")
    assert done.status == 2
    assert "--keep-seen" in done.err


def test_the_model_alone_remembers_and_a_damaged_memory_is_refused(
    run: Path, grown: Path, tmp_path: Path
) -> None:
    shutil.copytree(run / "model", tmp_path / "model")
    assert package.evaluate(tmp_path / "model", str(grown), split="all").seen["trained"] > 0
    memory = tmp_path / "model" / SEEN
    content = bytearray(memory.read_bytes())
    content[-1] ^= 1
    memory.write_bytes(content)
    with pytest.raises(ChecksumError, match=SEEN):
        load_classifier(tmp_path / "model")


def test_a_run_that_begins_with_another_knows_what_that_has_seen(run: Path, grown: Path) -> None:
    second = package.train(
        str(grown), backbone=str(run), mode="finetune", epochs=1, run=grown.parent / "second"
    )
    assert second.report.seen["trained"] > 0
    assert "has seen images of these before" in second.report.summary()
    assert "has seen images of these before" in (second.path / "README.md").read_text()


@needs_data
def test_a_photo_that_was_saved_again_is_nearly_the_same(tmp_path: Path) -> None:
    found = sorted(Path(DATA, "hymenoptera_data", "train", "ants").glob("*.jpg"))[:40]
    pixels = [Image.open(path).convert("RGB") for path in found]

    def framed(images: list[Image.Image]) -> np.ndarray:
        return np.stack([np.asarray(image.resize((96, 96))) for image in images])

    def again(image: Image.Image) -> Image.Image:
        content = io.BytesIO()
        image.resize((image.width * 2 // 3, image.height * 2 // 3)).save(
            content, "JPEG", quality=60
        )
        return Image.open(content)

    rows = np.arange(20)
    seen = remember(framed(pixels), rows[:15], rows[15:], 200)
    copies = seen.find(framed([again(image) for image in pixels]), np.arange(40), 200)
    assert copies.near[:20].sum() >= 18
    assert not copies.any[20:].any()
    assert not seen.find(framed([again(image) for image in pixels]), np.arange(40), 28).any.any()


@given(seed=st.integers(0, 999), count=st.integers(2, 12), side=st.sampled_from([8, 28, 40]))
@settings(max_examples=20, deadline=None)
def test_what_was_seen_is_found_whatever_its_place(seed: int, count: int, side: int) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (2 * count, side, side, 1), np.uint8)
    order = random.permutation(2 * count)
    seen = remember(images, order[: count // 2], order[count // 2 : count], side)
    again = Seen.from_arrays(dict(seen.arrays()))
    found = again.find(images, np.arange(2 * count), side)
    assert set(np.flatnonzero(found.trained)) == set(order[: count // 2])
    assert set(np.flatnonzero(found.validated)) == set(order[count // 2 : count])
    assert not found.near.any()
