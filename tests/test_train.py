"""A training as a user runs it: what it writes, that it repeats, and that it survives being killed."""

from __future__ import annotations

import contextlib
import copy
import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import olhar as package
from conftest import DATA, needs_data, olhar
from olhar.errors import DivergedError
from olhar.i18n import Text
from olhar.networks.build import Normalise, build_network
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.pipeline.suited import balanced_recipe
from olhar.progress import Progress
from olhar.run import HISTORY_COLUMNS, RunFolder, create_run
from olhar.training.checkpoint import load_checkpoint
from olhar.training.fit import FitState, Training, class_shares, fit
from olhar.training.machine import Machine
from olhar.training.muon import orthogonalise
from olhar.training.optimizers import build_optimizers, lr_at
from olhar.training.recipe import Recipe, kept_recipe, shorter_recipe
from olhar.training.validation import build_validation

TRAIN = ("train", "--data", "digits", "--network", "gmnet")


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def test_the_run_folder_holds_what_the_design_says(digits_run: Path) -> None:
    names = {path.name for path in digits_run.iterdir()}
    assert names == {
        *("config.toml", "history.csv", "metrics.json", "predictions.csv"),
        *("learning_curve.png", "confusion_matrix.png", "per_class.png", "reliability.png"),
        *("learning_curve.svg", "confusion_matrix.svg", "per_class.svg", "reliability.svg"),
        *("samples.png", "worst_errors.png", "augmentation.png", "README.md", "README.pt-BR.md"),
        *("checkpoint.safetensors", "model"),
    }
    assert {path.name for path in (digits_run / "model").iterdir()} == {
        *("config.json", "model.safetensors", "model.onnx", "labels.txt", "golden.safetensors"),
        "seen.safetensors",
    }
    config = tomllib.loads((digits_run / "config.toml").read_text(encoding="utf-8"))
    assert config["format"] == 1
    assert config["data"]["sizes"] == {"train": 1293, "val": 144, "test": 360}
    assert config["network"]["name"] == "lenet5"
    assert config["preprocess"]["size"] == 28
    assert config["machine"]["precision"] in {"fp32", "bf16"}
    rows = list(
        csv.DictReader((digits_run / "history.csv").read_text(encoding="utf-8").splitlines())
    )
    assert tuple(rows[0]) == HISTORY_COLUMNS
    assert [int(row["epoch"]) for row in rows] == list(range(1, config["recipe"]["epochs"] + 1))


def test_every_published_figure_agrees_with_predictions_csv(digits_run: Path) -> None:
    metrics = RunFolder(digits_run).read_metrics()
    rows = list(csv.DictReader((digits_run / "predictions.csv").read_text("utf-8").splitlines()))
    assert len(rows) == metrics["n"] == 360
    assert metrics["split"] == "test"
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right / len(rows) == metrics["accuracy"]
    low, high = metrics["intervals"]["accuracy"]
    assert low < metrics["accuracy"] < high
    confusion = np.array(metrics["confusion_matrix"])
    assert confusion.sum() == 360
    assert confusion.trace() == right


def test_the_recorded_command_repeats_the_run_bit_for_bit(tmp_path: Path) -> None:
    first = olhar(*TRAIN, "--epochs", 2, "--seed", 3, "--set", "width=40", "--run", tmp_path / "a")
    assert first.status == 0, first.err
    config = RunFolder(tmp_path / "a").read_config()
    assert config["command"].startswith("olhar train --data digits --network gmnet")
    words = config["command"].split()[1:]
    words[words.index("--run") + 1] = str(tmp_path / "b")
    again = olhar(*words, cold=True)  # nothing is shared with the first, the seed of hashes least
    assert again.status == 0, again.err
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    other = olhar(*TRAIN, "--epochs", 2, "--seed", 4, "--set", "width=40", "--run", tmp_path / "c")
    assert other.status == 0
    assert weights(tmp_path / "a") != weights(tmp_path / "c")
    assert RunFolder(tmp_path / "c").read_config()["data"] == config["data"]


def test_the_recorded_command_says_all_that_was_decided(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text("lr = 0.002\n", encoding="utf-8")
    words = ["--data", "digits", "--network", "lenet5", "--recipe", file, "--minutes", "0.1"]
    words += ["--split-seed", "1234567", "--val", "0.123456789"]
    assert olhar("train", *words, "--run", tmp_path / "a").status == 0
    config = RunFolder(tmp_path / "a").read_config()
    again = shlex.split(config["command"])[1:]
    again[again.index("--run") + 1] = str(tmp_path / "b")
    assert "--minutes" not in again
    assert olhar(*again, cold=True).status == 0
    repeated = RunFolder(tmp_path / "b").read_config()
    assert repeated["data"] == config["data"]
    assert {**repeated["recipe"], "minutes": 0} == {**config["recipe"], "minutes": 0}
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_a_run_folder_is_never_overwritten_unasked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    create_run(run, {"olhar": "0.1.0", "data": {}, "network": {}})  # one that was cut off
    done = olhar(*TRAIN, "--epochs", 1, "--run", run)
    assert done.status == 2
    assert "--overwrite" in done.err
    assert [path.name for path in run.iterdir()] == ["config.toml"]
    assert olhar(*TRAIN, "--epochs", 1, "--run", run, "--overwrite").status == 0
    assert (run / "model").is_dir()
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"mine")
    refused = olhar(*TRAIN, "--epochs", 1, "--run", foreign, "--overwrite")
    assert refused.status == 2
    assert (foreign / "cat.jpg").read_bytes() == b"mine"


LONG = (*TRAIN, "--epochs", "15", "--set", "translate=0.1", "--set", "rotate=10")


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert olhar(*LONG, "--run", path).status == 0
    return path


@pytest.mark.parametrize("stop", ["kill", "interrupt"])
def test_a_run_that_is_stopped_goes_on_to_the_same_weights(
    stop: str, whole_run: Path, tmp_path: Path
) -> None:
    words = LONG
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "olhar", *words, "--run", str(cut)]
    said = (tmp_path / "said.txt").open("w+", encoding="utf-8")
    process = subprocess.Popen(command, stderr=said)
    deadline = time.monotonic() + 120
    while len(RunFolder(cut).read_history()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL if stop == "kill" else signal.SIGINT)
    status = process.wait(60)
    assert status == (-signal.SIGKILL if stop == "kill" else 130)
    with said:
        said.seek(0)
        assert (f"olhar resume {cut}" in said.read()) == (stop == "interrupt")
    assert not (cut / "model").exists()
    unfinished = olhar("predict", cut, "x.png")
    assert unfinished.status == 2
    assert "olhar resume" in unfinished.err
    done = olhar("resume", cut, "--json")
    assert done.status == 0, done.err
    assert weights(whole_run) == weights(cut)
    assert done.json["epochs"] == 15
    ended = olhar("resume", cut, "--json")
    assert ended.status == 0
    assert ended.json["accuracy"] == done.json["accuracy"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals there")
def test_a_terminal_sees_a_bar_with_loss_accuracy_and_time_left(tmp_path: Path) -> None:
    import pty

    mine, theirs = pty.openpty()
    words = [*TRAIN, "--epochs", "4", "--run", str(tmp_path / "run")]
    command = [sys.executable, "-m", "olhar", *words]
    env = {**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=env) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end has closed
            while chunk := os.read(mine, 65536):
                seen += chunk
    os.close(mine)
    assert process.returncode == 0
    text = seen.decode()
    assert "training" in text
    assert re.search(r"loss \d\.\d+  accuracy \d\.\d+", text)
    assert re.search(r"\d:\d\d:\d\d", text)
    assert "epoch 4/4" in text


def test_resume_of_something_else(tmp_path: Path) -> None:
    assert olhar("resume", tmp_path).status == 2
    (tmp_path / "config.toml").write_text("format = 1\n", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    done = olhar("resume", tmp_path)
    assert done.status == 2
    assert "config.toml" in done.err
    assert (tmp_path / ".git").is_dir()
    run = tmp_path / "run"
    assert olhar(*TRAIN, "--epochs", 2, "--run", run).status == 0
    shutil.rmtree(run / "model")
    (run / "metrics.json").unlink()
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "checkpoint.safetensors").write_bytes(b"nonsense")
    done = olhar("resume", damaged)
    assert done.status == 2
    assert "checkpoint" in done.err
    (run / "history.csv").unlink()
    aside = run / ".checkpoint.123.safetensors"
    aside.write_bytes(b"cut off")
    assert olhar("resume", run).status == 0
    assert (run / "metrics.json").is_file()
    assert len(RunFolder(run).read_history()) == 2
    assert not aside.exists()


def test_python_interface(tmp_path: Path) -> None:
    run = package.train("digits", "lenet5", run=tmp_path / "run", epochs=2, val=0.2)
    assert run.report.n == 360
    assert len(run.history) == 2
    assert "<table" in run._repr_html_()
    label = run.classifier.predict(np.zeros((8, 8), np.uint8)).label
    assert label in run.classifier.class_names
    assert package.evaluate(tmp_path / "run").accuracy == run.report.accuracy
    assert package.load_run(tmp_path / "run").report == run.report


def test_divergence_stops_the_run_with_a_reason(tmp_path: Path) -> None:
    words = ["--epochs", "3", "--optimizer", "sgd", "--lr", "100", "--set", "momentum=0.99"]
    words += ["--set", "schedule=constant", "--network", "2cnn+64_0dropout"]
    done = olhar("train", "--data", "digits", "--run", tmp_path / "run", *words)
    assert done.status == 1
    assert "--lr" in done.err
    assert "Traceback" not in done.err


SPEC = NetworkSpec("lenet5", {}, 28, 1, 2)
WIDE = NetworkSpec("cnn-32-64-64", {}, 28, 1, 2)


def run_fit(
    recipe: Recipe, state: FitState | None = None, spec: NetworkSpec = SPEC, **kept: object
) -> FitState:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (96, 28, 28, 1), dtype=torch.uint8, generator=generator)
    labels = torch.arange(96) % 2
    images[labels == 1, :14] = 0  # easy to tell apart
    machine = Machine("cpu", "fp32", channels_last=spec is WIDE, threads=2)
    normalise = Normalise((0.5,), (0.3,))
    validate = build_validation(images, labels, torch.arange(64, 96), machine, normalise)
    torch.manual_seed(recipe.seed)
    network = build_network(spec)
    normalise = kept.pop("normalise", normalise)
    rows = torch.arange(64)
    training = Training(network, images, labels, rows, recipe, machine, normalise)
    return fit(training, validate=validate, state=state, **kept)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd", "rmsprop"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_every_optimizer_and_schedule_learns(optimizer: str, schedule: str) -> None:
    lr = {"adamw": 0.003, "muon": 0.003, "sgd": 0.03, "rmsprop": 0.0005}[optimizer]
    recipe = Recipe(epochs=6, batch_size=16, optimizer=optimizer, schedule=schedule, lr=lr)
    state = run_fit(recipe)
    assert state.history[state.best_epoch - 1]["val_accuracy"] > 0.9


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd", "rmsprop"])
@pytest.mark.parametrize("spec", [SPEC, WIDE], ids=["channels first", "channels last"])
def test_a_checkpoint_goes_on_to_the_same_weights(
    spec: NetworkSpec, optimizer: str, tmp_path: Path
) -> None:
    from olhar.training.checkpoint import save_checkpoint

    recipe = Recipe(epochs=5, batch_size=16, optimizer=optimizer, flip=True, zoom=0.1, lr=0.001)
    saved = tmp_path / "checkpoint.safetensors"

    def on_epoch(state: FitState) -> None:
        if state.epoch == 2:
            save_checkpoint(saved, state)

    whole = run_fit(recipe, spec=spec, on_epoch=on_epoch)
    gone_on = run_fit(recipe, load_checkpoint(saved), spec)
    assert whole.best_epoch == gone_on.best_epoch
    for name, value in whole.network.items():
        assert torch.equal(value, gone_on.network[name]), name


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_updates_are_those_of_torch_bit_for_bit(optimizer: str, momentum: float) -> None:
    recipe = Recipe(optimizer=optimizer, momentum=momentum, lr=0.01, weight_decay=0.1)
    torch.manual_seed(0)
    ours = build_network(WIDE).to(memory_format=torch.channels_last)
    theirs = copy.deepcopy(ours)
    groups = [
        {"params": [p for p in theirs.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in theirs.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    reference: torch.optim.Optimizer
    if optimizer == "adamw":
        reference = torch.optim.AdamW(groups, lr=0.01, fused=True)
    elif optimizer == "sgd":
        nesterov = momentum > 0
        reference = torch.optim.SGD(groups, 0.01, momentum, nesterov=nesterov, fused=True)
    else:
        reference = torch.optim.RMSprop(groups, 0.01, momentum=momentum)
    (own,) = build_optimizers(ours, recipe)
    for step in range(5):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        if step == 3:  # a part that is not trained
            next(ours.parameters()).grad = next(theirs.parameters()).grad = None
        own.step()
        reference.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
        assert own.state.get(one, {}).keys() == reference.state[other].keys()
        for name, value in own.state.get(one, {}).items():
            assert torch.equal(value, reference.state[other][name]), name


def test_muon_makes_updates_orthogonal() -> None:
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    for batch in (matrices, matrices.mT):
        values = torch.linalg.svdvals(orthogonalise(batch))
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_patience_stops_early_and_the_best_weights_are_kept() -> None:
    recipe = Recipe(epochs=50, batch_size=64, patience=3, lr=1e-30, schedule="constant")
    state = run_fit(recipe)
    assert state.epoch == state.best_epoch + 3
    assert state.epoch < 50
    assert run_fit(recipe, state).epoch == state.epoch  # one that has ended does not go on


def test_nan_is_divergence() -> None:
    recipe = Recipe(epochs=3, batch_size=16, optimizer="sgd", lr=100, schedule="constant")
    with pytest.raises(DivergedError, match="--lr"):
        run_fit(recipe, normalise=Normalise((float("nan"),), (1.0,)))


def test_minutes_choose_the_epochs_and_are_recorded(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--data", "digits", "--network", "lenet5", "--run", run]
    done = olhar("train", *words, "--minutes", "0.2")
    assert done.status == 0, done.err
    config = RunFolder(run).read_config()
    recipe = config["recipe"]
    assert config["resources"]["minutes"] == 0.2
    assert recipe["epochs"] == len(RunFolder(run).read_history())
    assert f"epochs that fit into 0.2 min: {recipe['epochs']};" in done.err
    both = olhar("train", *words, "--minutes", "1", "--epochs", "2")
    assert both.status == 2
    assert "minutes" in both.err


def test_a_narrower_network_is_taken_where_minutes_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olhar.pipeline import plan, train

    said: list[str] = []

    class Heard(Progress):
        def note(self, text: Text) -> None:
            said.append(str(text))

    def width(name: str, **settings: object) -> int:
        where = {"run": tmp_path / name, "minutes": 0.26, "progress": Heard()}
        train("digits", "olhar-small", **where, **settings)
        return int(RunFolder(tmp_path / name).read_config()["network"]["settings"]["width"])

    assert width("nothing else is kept") == 16
    monkeypatch.setattr(plan, "shorter_recipe", lambda *_names: {"width": 8})
    assert width("narrower") == 8
    assert any("for so short a training width=8 is better" in one for one in said)
    words = shlex.split(RunFolder(tmp_path / "narrower").read_config()["command"])
    assert "width=8" in words
    assert width("asked for", width=4) == 4
    kept = kept_recipe("olhar-small", "digits")
    monkeypatch.setattr(plan, "kept_recipe", lambda *_names: kept | {"epochs": 1})
    assert width("long enough") == 16


def test_a_kept_shorter_recipe_can_be_followed() -> None:
    kept, shorter = (one("olhar-small", "cifar10") for one in (kept_recipe, shorter_recipe))
    assert resolve_network("olhar-small", shorter)[1]["width"] < kept["width"]
    assert shorter_recipe("olhar-small", "mnist") == {}


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_balance_helps_the_rare_class(balance: str) -> None:
    shares = class_shares(torch.tensor([0] * 30 + [2] * 10))
    assert shares.tolist() == [1.5, 1.0, 0.5]
    recipe = Recipe(epochs=2, batch_size=16, balance=balance)
    assert run_fit(recipe).epoch == 2


@pytest.mark.parametrize(
    ("counts", "expected"), [([10, 10], "none"), ([20, 10], "weights"), ([200, 10], "sampling")]
)
def test_balance_is_chosen_by_how_unequal_the_classes_are(counts: list[int], expected: str) -> None:
    labels = np.repeat(np.arange(2), counts)
    assert balanced_recipe(Recipe(), labels, Progress()).balance == expected
    assert balanced_recipe(Recipe(balance="none"), labels, Progress()).balance == "none"


@pytest.mark.parametrize("epochs", [1, 10])
def test_the_schedule_scales_with_the_epochs(epochs: int) -> None:
    recipe = Recipe(lr=1.0, warmup=0.25)
    steps = 40 * epochs
    rates = [lr_at(step, steps, recipe) for step in range(steps)]
    assert max(rates) <= 1.0
    assert abs(rates.index(max(rates)) / steps - 0.25) < 0.05
    assert rates[-1] < 0.001


@needs_data
@pytest.mark.slow
def test_cifar10_on_a_few_images(tmp_path: Path) -> None:
    run = tmp_path / "c10"
    words = ["--data", "cifar10", "--network", "cnn-32-64-64", "--run", run]
    done = olhar("train", *words, "--epochs", 1, "--val", 40_000, "--seed", 0, "--json")
    assert done.status == 0, done.err
    assert done.json["accuracy"] > 0.35
    assert done.json["n"] == 10_000
    again = olhar("evaluate", run, "--data", "cifar10", "--split", "test", "--json")
    assert again.json["accuracy"] == done.json["accuracy"]
    photos = olhar("predict", run, Path(DATA) / "photos", "--json")
    assert photos.status == 0
    files = [answer["file"] for answer in photos.json]
    assert len(files) == 30
    assert files == sorted(files, key=lambda file: Path(file).parts)
    assert all(answer["top"][0]["label"] == answer["label"] for answer in photos.json)


@needs_data
@pytest.mark.slow
def test_mnist_with_lenet5(tmp_path: Path) -> None:
    words = ["--data", "mnist", "--network", "lenet5", "--run", tmp_path / "mnist"]
    done = olhar("train", *words, "--epochs", 1, "--val", 50_000, "--json")
    assert done.status == 0, done.err
    assert done.json["accuracy"] > 0.8


def test_torch_free_commands_never_import_torch(digits_run: Path, tmp_path: Path) -> None:
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text(
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxscript', 'matplotlib'):\n"
        "    sys.modules[name] = None\n",
        encoding="utf-8",
    )
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = olhar("evaluate", digits_run, "--data", "digits", "--json", cold=True, **env)
    assert done.status == 0, done.err
    assert done.json["accuracy"] == RunFolder(digits_run).read_metrics()["accuracy"]
    from PIL import Image

    Image.new("L", (20, 30)).save(tmp_path / "x.png")
    assert olhar("predict", digits_run, tmp_path / "x.png", cold=True, **env).status == 0
    refused = olhar("train", "--data", "digits", "--run", tmp_path / "run", cold=True, **env)
    assert refused.status == 2
    assert "olhar[train]" in refused.err
