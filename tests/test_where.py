"""A run finds its data from any folder, and goes on from the weights of one that has ended."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import olhar
from conftest import olhar as command
from olhar import errors
from olhar.cli.usage import expand_home
from olhar.run import RunFolder
from olhar.shown import quoted


def make_photos(folder: Path, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    for name, shift in (("cat", 0), ("dog", 120)):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 120, (32, 32, 3), np.uint8) + np.uint8(shift)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pets/ and the run that was made in it, named by a relative path."""
    place = tmp_path_factory.mktemp("made")
    make_photos(place / "pets")
    words = ("train", "--data", "pets", "--network", "lenet5", "--epochs", 1, "--no-groups")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        done = command(*words, "--run", "runs/a")
    assert done.status == 0, done.err
    return place


@pytest.fixture
def cut_off(made: Path, tmp_path: Path) -> Path:
    """A copy of it, cut off before it was measured."""
    shutil.copytree(made, tmp_path / "w")
    run = tmp_path / "w" / "runs" / "a"
    (run / "metrics.json").unlink()
    config = RunFolder(run).read_config()
    RunFolder(run).write_config({**config, "begun_in": str(tmp_path / "w")})
    return run


def test_a_run_is_measured_and_gone_on_with_from_elsewhere(
    cut_off: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(tmp_path / "away" / "pets", seed=1)  # other photos of the same name
    monkeypatch.chdir(tmp_path / "away")
    done = olhar.resume(cut_off)
    assert done.report.data["name"] == "pets"
    assert olhar.evaluate(str(cut_off)).to_dict()["accuracy"] == done.report.accuracy


def test_data_that_has_moved_is_named(
    cut_off: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w" / "pets").rename(tmp_path / "moved")
    make_photos(tmp_path / "other", seed=1)
    with pytest.raises(errors.MissingFileError, match="--data FOLDER"):
        olhar.resume(cut_off)
    with pytest.raises(errors.MissingFileError, match="--data FOLDER"):
        olhar.evaluate(str(cut_off))
    with pytest.raises(errors.DataError, match="not what it was"):
        olhar.resume(cut_off, data=str(tmp_path / "other"))
    (tmp_path / "here").mkdir()
    make_photos(tmp_path / "here" / "pets", seed=1)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(errors.DataError, match="--data FOLDER"):
        olhar.evaluate(str(cut_off))
    done = command("resume", cut_off, "--data", tmp_path / "moved")
    assert done.status == 0, done.err
    config = tomllib.loads((cut_off / "config.toml").read_text())
    assert config["data"]["name"] == str(tmp_path / "moved")
    assert olhar.evaluate(str(cut_off)).accuracy >= 0


def test_a_run_that_has_ended_is_trained_further(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = made / "runs" / "a"
    done = command("train", "--from", old, "--epochs", 2, "--lr", 1e-5, "--run", "more")
    assert done.status == 0, done.err
    first, second = RunFolder(old).read_config(), RunFolder(Path("more")).read_config()
    assert second["network"] == first["network"]
    assert second["preprocess"] == first["preprocess"]
    assert second["data"]["fingerprint"] == first["data"]["fingerprint"]
    assert second["data"]["sizes"] == first["data"]["sizes"]
    assert second["transfer"]["mode"] == "continue"
    assert second["transfer"]["backbone"] == str(old)
    assert str(old) in Path("more/README.md").read_text()
    # It begins where the other has ended, with hardly a step between.
    weights = [load_file(run / "model" / "model.safetensors") for run in (old, tmp_path / "more")]
    assert all(np.allclose(weights[0][name], weights[1][name], atol=1e-2) for name in weights[0]), (
        "other weights"
    )


def test_what_a_run_has_already_is_not_given_with_from(made: Path, tmp_path: Path) -> None:
    old = made / "runs" / "a"
    for words in (["--network", "lenet5"], ["--mode", "head"], ["--size", 64]):
        refused = command("train", "--from", old, "--epochs", 1, *words)
        assert refused.status == 2
        assert "leave" in refused.err
    make_photos(tmp_path / "birds")
    (tmp_path / "birds" / "cat").rename(tmp_path / "birds" / "owl")
    other = command("train", "--from", old, "--data", tmp_path / "birds", "--no-groups")
    assert other.status == 2
    assert "the classes differ" in other.err
    assert "--from RUN" in command("train").err
    assert "olhar train --from" in command("resume", old).err


def test_what_is_measured_may_have_one_class(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "pets" / "cat", tmp_path / "one" / "cat")
    done = command("evaluate", made / "runs" / "a", "--data", tmp_path / "one", "--json")
    assert done.status == 0, done.err
    assert "all of it is measured" in done.err
    assert json.loads(done.out)["split"] == "all"


def test_photos_are_found_by_patterns_and_in_folders(made: Path) -> None:
    run, photos = made / "runs" / "a", made / "pets" / "cat"
    shutil.copy(photos / "0.png", photos / "no ending")
    try:
        by_pattern = command("predict", run, photos / "1*.png")
        assert len(by_pattern.out.splitlines()) == 11
        assert len(command("predict", run, photos).out.splitlines()) == 21
        nothing = command("predict", run, photos / "*.gif")
        assert nothing.status == 2
        assert "pattern" in nothing.err
        several = command("explain", run, photos / "*.png")
        assert several.status == 2
        assert "20 files" in several.err
        for words in (["predict", run], ["explain", run], ["verify", run], ["data"]):
            web = command(*words, "https://e.org/a.png")
            assert web.status == 2
            assert "curl -L -O" in web.err
    finally:
        (photos / "no ending").unlink()


def test_a_home_that_the_shell_left_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = argparse.Namespace(run=Path("~/r"), files=["~/a.png", "~"], name="~none~", count=3)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    expand_home(args)
    assert args.run == tmp_path / "r"
    assert args.files == [str(tmp_path / "a.png"), str(tmp_path)]
    assert args.name == "~none~"


def test_paths_in_hints_are_one_word() -> None:
    assert quoted("runs/a") == "runs/a"
    assert quoted("my runs/a") == ('"my runs/a"' if os.name == "nt" else "'my runs/a'")
