"""A planted cue lights up; the command says where it is, and never overwrites a picture."""

import argparse
import io
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

import olhar
from olhar.cli import explain as explain_command
from olhar.errors import ConfigError, ImageError
from olhar.evaluation import plots
from olhar.evaluation.explain import explain

SIDE, CUE = 32, 8
COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def photo(colour, rng):
    """Grey noise with one coloured square; and the square's left and top."""
    pixels = rng.normal(128, 25, (SIDE, SIDE, 1)).clip(0, 255).repeat(3, axis=2).astype(np.uint8)
    left, top = rng.integers(0, SIDE - CUE + 1, 2)
    pixels[top : top + CUE, left : left + CUE] = COLOURS[colour]
    return pixels, int(left), int(top)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """Trained to tell photos by the colour of a square that may be anywhere."""
    folder = tmp_path_factory.mktemp("cues")
    rng = np.random.default_rng(0)
    for colour in COLOURS:
        (folder / "photos" / colour).mkdir(parents=True)
        for number in range(120):
            pixels, _left, _top = photo(colour, rng)
            Image.fromarray(pixels).save(folder / "photos" / colour / f"{number}.png")
    run = olhar.train(
        str(folder / "photos"), "cnn-32-64-64", size=SIDE, epochs=8, run=folder / "run"
    )
    assert run.report.accuracy > 0.95
    return run.classifier


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory):
    pixels, left, top = photo("red", np.random.default_rng(5))
    path = tmp_path_factory.mktemp("photo") / "one.png"
    Image.fromarray(pixels).save(path)
    return path, left, top


def test_a_planted_cue_lights_up(classifier):
    rng = np.random.default_rng(1)
    found = boxes = 0
    for number in range(20):
        pixels, left, top = photo(("red", "blue")[number % 2], rng)
        explanation = explain(classifier, pixels)
        assert explanation.heat.shape == (SIDE, SIDE)
        assert explanation.heat.dtype == np.float32
        y, x = np.unravel_index(explanation.heat.argmax(), explanation.heat.shape)
        found += left <= x < left + CUE and top <= y < top + CUE
        box = np.array(explanation.heat_box) * SIDE
        width = min(box[2], left + CUE) - max(box[0], left)
        height = min(box[3], top + CUE) - max(box[1], top)
        boxes += width > 0 and height > 0
    assert found >= 16
    assert boxes >= 16


def test_heat_is_the_fall_when_covered(classifier):
    """One patch as large as the image, then patches that do not overlap, by hand."""
    pixels, _left, _top = photo("blue", np.random.default_rng(2))
    whole = explain(classifier, pixels, patch=SIDE, stride=SIDE)
    mean = np.round(255 * np.array(classifier.preprocess.mean)).astype(np.uint8)
    inputs = pixels.transpose(2, 0, 1)[None].copy()
    best = classifier.class_names.index(whole.label)
    before = classifier.predict_probs(inputs)[0, best]
    inputs[:] = mean[:, None, None]
    after = classifier.predict_probs(inputs)[0, best]
    np.testing.assert_allclose(whole.heat, before - after, atol=1e-6)
    assert whole.heat_box == (0, 0, 1, 1)
    assert whole.covered_probability == pytest.approx(after, abs=1e-6)
    quarters = explain(classifier, pixels, patch=SIDE // 2, stride=SIDE // 2)
    inputs = np.repeat(pixels.transpose(2, 0, 1)[None], 4, axis=0)
    half = SIDE // 2
    for number in range(4):
        top, left = half * (number // 2), half * (number % 2)
        inputs[number, :, top : top + half, left : left + half] = mean[:, None, None]
    falls = before - classifier.predict_probs(inputs)[:, best]
    np.testing.assert_allclose(quarters.heat[::half, ::half].ravel(), falls, atol=1e-6)


def test_what_is_said(classifier, photo_file):
    path, _left, _top = photo_file
    explanation = explain(classifier, path)
    prediction = classifier.predict(path)
    assert (explanation.label, explanation.file) == (prediction.label, str(path))
    assert explanation.probability == pytest.approx(prediction.probability, abs=1e-6)
    assert explanation.image.shape == (SIDE, SIDE, 3)
    assert "it looks most at the part from" in str(explanation.sentence())
    with Image.open(io.BytesIO(explanation._repr_png_())) as picture:
        assert picture.width > 1000
    assert ET.fromstring(explanation.picture(".svg")).tag.endswith("svg")
    assert explanation.picture(".svg") == explanation.picture(".SVG")
    assert "array" not in repr(explanation)


def test_an_image_without_a_cue(classifier):
    """The mean colour everywhere: nothing that is covered changes anything."""
    mean = np.round(255 * np.array(classifier.preprocess.mean)).astype(np.uint8)
    explanation = explain(classifier, np.tile(mean, (SIDE, SIDE, 1)))
    assert np.abs(explanation.heat).max() < 1e-6
    assert "no part decides it" in str(explanation.sentence())
    assert explanation.picture()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("patch", "stride", "words"),
    [
        (0, None, "patch is 0; allowed: 1 to 32"),
        (33, None, "patch is 33"),
        (4, 5, "stride is 5; allowed: 1 to 4"),
        (None, 0, "stride is 0; allowed: 1 to 4"),
    ],
)
def test_patches_that_cannot_be(classifier, patch, stride, words):
    with pytest.raises(ConfigError, match=words):
        explain(classifier, np.zeros((SIDE, SIDE, 3), np.uint8), patch=patch, stride=stride)


def test_a_photo_that_cannot_be_read(classifier):
    with pytest.raises(ImageError, match="empty"):
        explain(classifier, b"")


@pytest.mark.parametrize("shape", [(1, 1, 1), (40, 10, 3)])
def test_odd_shapes_are_drawn(shape, tmp_path):
    heat = np.linspace(-1, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape[:2])
    figure = plots.plot_explanation(np.zeros(shape, np.uint8), heat, "a|b\n<script>$", 0.5)
    plots.save_figure(figure, tmp_path / "e.png")
    assert (tmp_path / "e.png").stat().st_size > 1000


def command(*words):
    parser = argparse.ArgumentParser()
    explain_command.add_command(parser.add_subparsers())
    args = parser.parse_args(["explain", *map(str, words)])
    return args.run_command(args)


def test_the_command(classifier, photo_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path, _left, _top = photo_file
    model = classifier.folder
    assert command(model, path) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{path}: red {explain(classifier, path).probability:.1%}"
    assert out[-1] == "Picture: one-explained.png"
    before = (tmp_path / "one-explained.png").read_bytes()
    with pytest.raises(ConfigError, match=r"'one-explained\.png' exists already.*--overwrite"):
        command(model, path)
    assert command(model, path, "--overwrite", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() >= {"file", "label", "probability", "heat_box", "picture"}
    assert (answer["label"], answer["picture"]) == ("red", "one-explained.png")
    assert (tmp_path / "one-explained.png").read_bytes() == before
    assert command(model, path, "--out", "x/y.svg") == 0
    assert ET.parse(tmp_path / "x" / "y.svg")


def test_the_command_refuses_before_it_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"'\.jpg'; allowed: \.png, \.svg"):
        command("no-model", "no-photo.png", "--out", "a.jpg")
    assert list(tmp_path.iterdir()) == []
