"""A dark digit on paper, where a model learnt bright ones on black, is read inverted, and that is said."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import olhar as package
from conftest import olhar
from olhar.errors import UnknownNameError
from olhar.preprocess import Preprocess, border_brightness, border_range
from serving_process import serving

RAW = {"content-type": "application/octet-stream"}


def seven(*, paper: int, ink: int) -> Image.Image:
    """A seven."""
    image = Image.new("L", (300, 300), paper)
    ImageDraw.Draw(image).line([(90, 60), (210, 60), (130, 240)], fill=ink, width=24)
    return image


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sevens")
    papers = {"white": (255, 0), "grey": (170, 30), "black": (0, 255)}
    for name, (paper, ink) in papers.items():
        seven(paper=paper, ink=ink).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in papers}


def test_a_dark_digit_on_paper_is_read_inverted_and_that_is_said(
    digits_run: Path, photos: dict[str, Path]
) -> None:
    done = olhar("predict", digits_run, *photos.values())
    lines = done.out.splitlines()
    assert [": 7 " in line for line in (lines[0], lines[2])] == [True, True]
    assert ["read inverted" in line for line in lines] == [True, True, False]
    answers = olhar("predict", digits_run, *photos.values(), "--json").json
    assert [one.get("inverted", False) for one in answers] == [True, True, False]
    plain = olhar("predict", digits_run, photos["white"], "--invert", "no", "--json").json[0]
    assert "inverted" not in plain
    forced = olhar("predict", digits_run, photos["black"], "--invert", "yes", "--json").json[0]
    assert forced["inverted"]
    wrong = olhar("predict", digits_run, photos["black"], "--invert", "maybe")
    assert wrong.status == 2
    assert "did you mean yes" in wrong.err


def test_python_says_it_too(digits_run: Path, photos: dict[str, Path]) -> None:
    classifier = package.load(digits_run)
    assert classifier.predict(photos["white"]).inverted
    white, black = (np.asarray(seven(paper=a, ink=b)) for a, b in ((255, 0), (0, 255)))
    assert classifier.predict(white).to_dict() == {
        **classifier.predict(black).to_dict(),
        "inverted": True,
    }
    assert not classifier.reading("no").predict(white).inverted
    assert "read inverted" in classifier.predict(white)._repr_html_()
    with pytest.raises(UnknownNameError):
        classifier.reading("maybe")


def test_the_server_and_its_page_answer_alike(digits_run: Path, photos: dict[str, Path]) -> None:
    content = photos["white"].read_bytes()
    expected = package.load(digits_run).predict(content).to_dict()
    with serving(digits_run) as client:
        found = client.post("predict", content=content, headers=RAW).json()[0]
        assert found == expected
        plain = client.post("predict?invert=no", content=content, headers=RAW).json()[0]
        assert "inverted" not in plain
        assert plain["label"] != "7" or plain["probability"] != found["probability"]
        assert client.post("predict?invert=x", content=content, headers=RAW).status_code == 422
        seen = client.post("page/seen", content=content, headers=RAW).content
        as_is = client.post("page/seen?invert=no", content=content, headers=RAW).content
        pixels = [np.asarray(Image.open(io.BytesIO(one))).astype(int) for one in (seen, as_is)]
        assert (pixels[0] + pixels[1] == 255).all()
        for words in ("", "?invert=no", "?invert=yes"):
            looked = client.post(f"explain{words}", content=content, headers=RAW).json()
            asked = client.post(f"predict{words}", content=content, headers=RAW).json()[0]
            assert looked["label"] == asked["label"]
            assert looked["probability"] == pytest.approx(asked["probability"], abs=1e-4)
        assert client.get("page/models").json()["models"][0]["grey"]
    with serving(digits_run, "--invert", "no") as client:
        found = client.post("predict", content=content, headers=RAW).json()[0]
        assert found == plain


def test_evaluate_reads_inverted_photos_rightly_and_counts_them(
    digits_run: Path, tmp_path: Path
) -> None:
    digits = package.load_dataset("digits")
    for place in range(0, 300, 3):
        folder = tmp_path / "paper" / digits.class_names[digits.labels[place]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - digits.images[place][..., 0]).save(folder / f"{place}.png")
    words = ("evaluate", digits_run, "--data", tmp_path / "paper", "--split", "all", "--json")
    done = olhar(*words)
    assert done.json["accuracy"] > 0.95
    assert "of 100 images were read inverted" in done.err
    assert olhar(*words, "--invert", "no").json["accuracy"] < 0.6


def test_a_training_records_what_it_has_learnt_and_changes_no_training_image(
    digits_run: Path,
) -> None:
    preprocess = package.load(digits_run).preprocess
    assert preprocess.border is not None
    assert preprocess.border[1] < 0.45
    config = json.loads((digits_run / "model" / "config.json").read_text())
    assert config["preprocess"]["border"] == list(preprocess.border)
    assert Preprocess.from_dict(config["preprocess"]) == preprocess
    digits = package.load_dataset("digits")
    framed = np.stack([preprocess.read_pixels(image) for image in digits.images[:300]])
    assert not preprocess.inverts(framed).any()


@given(seed=st.integers(0, 999), size=st.integers(1, 40), dark=st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_was_learnt_is_never_inverted_and_its_negative_always(
    seed: int, size: int, dark: bool
) -> None:
    images = np.random.default_rng(seed).integers(0, 115, (9, size, size, 1), np.uint8)
    images = images if dark else 255 - images
    border = border_range(images, np.arange(9))
    if border is None:  # the mean of so few pixels is near the middle
        return
    assert border[0] <= border_brightness(images).mean() <= border[1] + 1e-4
    preprocess = Preprocess(size, 1, (0.5,), (0.5,), border=border)
    assert not preprocess.inverts(images).any()
    assert (preprocess.turned(images) == images).all()
    if (np.abs(border_brightness(images) - 0.5) > 0.06).all():
        assert (preprocess.turned(255 - images) == images).all()
    assert preprocess.reading("yes").inverts(images).all()
    assert not preprocess.reading("no").inverts(255 - images).any()


def test_colour_and_mixed_borders_have_no_polarity() -> None:
    grey = np.zeros((4, 8, 8, 1), np.uint8)
    assert border_range(grey, np.arange(4)) == (0.0, 0.0)
    assert border_range(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)) is None
    grey[1] = 255
    assert border_range(grey, np.arange(4)) is None
