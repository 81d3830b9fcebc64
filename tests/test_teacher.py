"""Training on another model's answers: --teacher."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from conftest import olhar, start
from olhar.run import RunFolder
from olhar.training.distillation import Taught
from olhar.training.recipe import Recipe
from test_distributed import torchrun

WORDS = ("--data", "digits", "--network", "ivannet", "--epochs", 3)


def test_the_loss_is_that_of_the_paper() -> None:
    recipe = Recipe(teacher="x", teacher_share=0.25, teacher_temperature=3.0)
    generator = torch.Generator().manual_seed(0)
    soft = torch.rand(4, 5, generator=generator)
    soft /= soft.sum(1, keepdim=True)
    taught = Taught(soft, torch.tensor([7, 1, 3, 0]), 9, recipe, torch.device("cpu"))
    logits = torch.randn(2, 5, generator=generator)
    labels = F.cross_entropy(logits, torch.tensor([2, 0]))
    found = taught.mixed(labels, logits, torch.tensor([1, 0]), 2)
    wanted = 0.0
    for row, answers in zip(logits.double(), soft[[1, 3]].double(), strict=True):
        p = answers ** (1 / 3)
        p /= p.sum()
        q = torch.softmax(row / 3, 0)
        wanted += float((p * (p.log() - q.log())).sum()) * 9 / 2
    assert float(found) == pytest.approx(0.75 * float(labels) + 0.25 * wanted, rel=1e-5)


def test_equal_answers_cost_nothing_and_a_share_of_nought_is_the_labels() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(3)
    for share, wanted in ((1.0, 0.0), (0.0, 5.0)):
        recipe = Recipe(teacher="x", teacher_share=share)
        taught = Taught(torch.softmax(logits, 1), rows, 3, recipe, torch.device("cpu"))
        found = taught.mixed(torch.tensor(5.0), logits, rows, 3)
        assert float(found) == pytest.approx(wanted, abs=1e-5)


@pytest.fixture(scope="module")
def taught(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("taught") / "run"
    done = olhar("train", *WORDS, "--teacher", digits_run, "--run", run)
    assert done.status == 0, done.err
    return run


def test_a_run_with_a_teacher_says_so_and_learns_otherwise(
    taught: Path, digits_run: Path, tmp_path: Path
) -> None:
    config = RunFolder(taught).read_config()
    assert config["recipe"]["teacher"] == str(digits_run)
    assert f"teacher={digits_run}" in config["command"]
    assert len(config["teacher"]["sha256"]) == 64
    alone = tmp_path / "alone"
    assert olhar("train", *WORDS, "--run", alone).status == 0
    first, other = (RunFolder(run).read_history()[0] for run in (taught, alone))
    assert first["train_loss"] != other["train_loss"]


def test_one_that_was_cut_off_goes_on_to_the_same_weights(digits_run: Path, tmp_path: Path) -> None:
    teacher, runs = tmp_path / "teacher", [tmp_path / "whole", tmp_path / "cut"]
    shutil.copytree(digits_run, teacher)
    words = ("train", *WORDS[:-1], 15, "--teacher", teacher, "--run")
    assert olhar(*words, runs[0]).status == 0
    process = start(*words, runs[1], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while (
        not (history := RunFolder(runs[1]).history).is_file() or history.read_text().count("\n") < 3
    ):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.terminate()
    assert process.wait() == 143
    good = (teacher / "model" / "config.json").read_bytes()
    (teacher / "model" / "config.json").write_text("{}")
    changed = olhar("resume", runs[1])
    assert changed.status == 2, changed.err
    assert "is not the model that it was when the run began" in changed.err
    (teacher / "model" / "config.json").write_bytes(good)
    assert olhar("resume", runs[1]).status == 0
    whole, cut = ((run / "model" / "model.safetensors").read_bytes() for run in runs)
    assert whole == cut


def test_a_teacher_that_cannot_teach_is_refused(digits_run: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (photos / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (20, 20), np.uint8)
            Image.fromarray(pixels).save(photos / name / f"{index}.png")
    data = ("--data", photos, "--network", "lenet5", "--epochs", 1, "--run", tmp_path / "run")
    cases = (
        ((*data, "--teacher", digits_run), 2, "knows 10 classes"),
        ((*data, "--teacher", tmp_path / "nowhere"), 2, "there is no model in"),
        (
            (
                "--data",
                "digits",
                "--backbone",
                digits_run,
                "--mode",
                "finetune",
                "--teacher",
                digits_run,
            ),
            2,
            "scratch",
        ),
    )
    for words, status, message in cases:
        done = olhar("train", *words)
        assert done.status == status, done.err
        assert message in done.err
        assert "Traceback" not in done.err
    assert not (tmp_path / "run").exists()


def test_two_processes_learn_from_a_teacher(digits_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = torchrun("train", *WORDS, "--teacher", digits_run, "--run", run)
    assert done.status == 0, done.err
    assert len(RunFolder(run).read_history()) == 3
