"""Figures that flatter or mislead are told: in summary, card, metrics.json, on the board, in Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import olhar as package
from conftest import olhar
from olhar.board.folders import describe_run, list_runs


def save(path: Path, number: int, red: int, blue: int) -> None:
    """A picture of large patches in two colours; another number is another picture."""
    patches = np.random.default_rng(number).integers(0, 110, (6, 6, 3))
    patches[..., 0] += red
    patches[..., 2] += blue
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(patches.astype(np.uint8)).resize((40, 40), Image.Resampling.BICUBIC)
    image.save(path)


@pytest.fixture(scope="module")
def unlike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on photos whose test part a camera took that shows red as blue."""
    folder = tmp_path_factory.mktemp("unlike")
    numbers = iter(range(10_000))
    for part, count in (("train", 40), ("val", 20), ("test", 20)):
        for label in "ab":
            warm = (label == "a") != (part == "test")
            for _photo in range(count):
                number = next(numbers)
                place = folder / "scans" / part / label / f"{number}.png"
                save(place, number, 120 * warm, 120 * (not warm))
    package.train(str(folder / "scans"), "lenet5", epochs=8, run=folder / "runs" / "r")
    return folder / "runs" / "r"


def test_a_test_unlike_the_training_is_said_everywhere(unlike: Path) -> None:
    run = package.load_run(unlike)
    assert run.report.validation["accuracy"] > 0.9
    assert run.report.accuracy < 0.5
    assert run.report.below_validation
    record = json.loads((unlike / "metrics.json").read_text())["validation"]
    assert record["n"] == 40
    assert record["low"] < record["high"] < 0
    shown = olhar("evaluate", unlike)
    assert "lower than chance explains" in shown.out
    assert "other cameras" in shown.out
    assert "abaixo do que o acaso explica" in olhar("evaluate", unlike, OLHAR_LANG="pt_BR").out
    card = (unlike / "README.md").read_text()
    assert "Beside validation: lower than chance explains" in card
    assert "other cameras" in card
    assert not olhar("card", "--check", unlike).status
    listed = list_runs(unlike.parent)[0]
    assert "lower than" in listed["reservations"][0]
    assert describe_run(unlike.parent, listed["id"])["reservations"] == listed["reservations"]


def test_a_pulled_model_says_it_of_other_photos(unlike: Path, tmp_path: Path) -> None:
    shutil.copytree(unlike / "model", tmp_path / "model")
    shutil.copytree(unlike.parents[1] / "scans" / "test", tmp_path / "theirs")
    report = package.evaluate(tmp_path / "model", str(tmp_path / "theirs"), split="all")
    assert report.below_validation
    own = package.evaluate(unlike, split="val")
    assert not own.below_validation
    assert own.reservations() == []


@pytest.mark.parametrize("words", [(), ("--no-groups",)])
def test_copies_on_both_sides_are_said_however_the_data_is_divided(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    for label, warm in (("a", True), ("b", False)):
        for number in range(40):
            place = tmp_path / "pets" / label / f"{number}.png"
            save(place, 2 * number + warm, 120 * warm, 120 * (not warm))
            if number < 20:
                shutil.copy(place, place.with_name(f"again {number}.png"))
    done = olhar(
        *("train", "--data", tmp_path / "pets", "--network", "lenet5", "--epochs", 1),
        *("--run", tmp_path / "r", *words),
    )
    assert done.status == 0
    report = package.load_run(tmp_path / "r").report
    card = (tmp_path / "r" / "README.md").read_text()
    flatters = bool(words)  # else copies stay together
    assert (report.seen["trained"] > 0) == flatters
    assert ("figures flatter" in done.out) == flatters
    assert ("have one in train or val, so that the score flatters" in done.err) == flatters
    assert ("lie in more than one split" in card) == flatters
    assert ("figures flatter" in card) == flatters


def test_nearly_the_same_photos_on_both_sides_of_a_given_division(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for label, warm in (("a", True), ("b", False)):
            for number in range(12):
                place = tmp_path / "pets" / part / label / f"{number}.png"
                save(place, 2 * number + warm + 100 * len(part), 120 * warm, 120 * (not warm))
    for old in sorted((tmp_path / "pets" / "train" / "a").iterdir())[:5]:
        image = Image.open(old).resize((36, 36))
        image.save(tmp_path / "pets" / "test" / "a" / f"again {old.stem}.jpg")
    run = package.train(str(tmp_path / "pets"), "lenet5", epochs=1, run=tmp_path / "r")
    assert run.report.seen["trained"] == 0
    assert run.report.seen["near"] == 5
    assert "5 nearly the same" in run.report.summary()


def test_the_same_picture_in_two_classes_is_said_after_training(tmp_path: Path) -> None:
    for label, warm in (("a", True), ("b", False)):
        for number in range(24):
            save(tmp_path / "pets" / label / f"{number}.png", 2 * number + warm, 120 * warm, 60)
    for number in range(3):
        shutil.copy(
            tmp_path / "pets" / "a" / f"{number}.png", tmp_path / "pets" / "b" / f"x{number}.png"
        )
    words = ("--network", "lenet5", "--epochs", 1, "--run", tmp_path / "r")
    done = olhar("train", "--data", tmp_path / "pets", *words)
    assert "3 picture(s) lie in more than one class" in done.err
    assert "in more than one class" in (tmp_path / "r" / "README.md").read_text()
    assert not olhar("card", "--check", tmp_path / "r").status


@pytest.mark.parametrize(("first", "second"), [("1", "01"), ("0", "0.0"), ("007", "7.")])
def test_folders_that_are_the_same_number_are_refused_as_classes(
    tmp_path: Path, first: str, second: str
) -> None:
    for number, label in enumerate((first, second, "20")):
        save(tmp_path / "signs" / label / "0.png", number, 60, 60)
    done = olhar("data", tmp_path / "signs")
    assert done.status == 2
    assert "mean the same" in done.err
    assert olhar("data", tmp_path / "signs", "--distinct-classes").status == 0
