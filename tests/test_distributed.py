"""One training over two processes, started by torchrun as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import Done, olhar
from olhar.errors import ConfigError
from olhar.run import RunFolder
from olhar.training.distributed import Share
from olhar.training.torchrun import Place, read_timeout

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
LENET = ("train", "--data", "digits", "--network", "lenet5")


def torchrun(*words: object, flags: tuple[str, ...] = (), **env: str) -> Done:
    """`olhar` in two processes."""
    command = [*TORCHRUN, *flags, "-m", "--", "olhar", *map(str, words)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    done = subprocess.run(command, capture_output=True, timeout=300, env=env, check=False)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    path = tmp_path_factory.mktemp("runs") / "two"
    return path, torchrun(*LENET, "--run", path, "--json")


def test_two_processes_learn_what_one_does(shared_run: tuple[Path, Done], digits_run: Path) -> None:
    path, done = shared_run
    assert done.status == 0, done.err
    assert done.json["accuracy"] >= 0.96  # standard output is the JSON alone
    assert {p.name for p in path.iterdir()} == {p.name for p in digits_run.iterdir()}
    config, alone = RunFolder(path).read_config(), RunFolder(digits_run).read_config()
    assert config["machine"]["world_size"] == 2
    assert config["recipe"] == alone["recipe"]
    rows, others = (RunFolder(one).read_history() for one in (path, digits_run))
    assert len(rows) == len(others)
    for ours, theirs in zip(rows, others, strict=True):
        # Each rank draws augmentations of its own, so the curves differ as those of two seeds do.
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=0.1, rel=0.35)
    assert rows[-1]["val_accuracy"] == pytest.approx(others[-1]["val_accuracy"], abs=0.03)
    assert rows[-1]["val_loss"] == pytest.approx(others[-1]["val_loss"], abs=0.06)


def test_the_run_of_two_is_a_run_like_any_other(shared_run: tuple[Path, Done]) -> None:
    path, _done = shared_run
    assert olhar("card", path, "--check").status == 0
    again = olhar("resume", path)
    assert again.status == 0
    assert "has ended already" in again.err


def test_a_refusal_is_said_once(shared_run: tuple[Path, Done]) -> None:
    done = torchrun(*LENET, "--run", shared_run[0])
    assert done.status != 0
    assert done.err.count("error: ") == 1
    assert "exists already" in done.err
    assert done.out == ""


def test_what_cannot_be_shared_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    done = torchrun(*LENET, "--batch-size", 1, "--run", tmp_path / "run")
    assert done.err.count("cannot be shared by 2 processes") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_a_killed_process_costs_an_epoch_at_most(tmp_path: Path) -> None:
    """torchrun starts all of them again, and they go on from the last whole epoch."""
    run = tmp_path / "run"
    words = ("train", "--data", "digits", "--network", "gmnet", "--epochs", "8", "--run", run)
    flags = ("--max-restarts", "1", "-m", "--", "olhar")
    process = subprocess.Popen(
        [*TORCHRUN, *flags, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        folder, limit = RunFolder(run), time.monotonic() + 120
        while len(folder.read_history()) < 3:
            assert time.monotonic() < limit
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(_process_of_rank(1, process.pid), signal.SIGKILL)
        said = process.communicate(timeout=240)[0].decode()
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert [row["epoch"] for row in folder.read_history()] == list(range(1, 9))
    epochs = [line.split("/")[0] for line in said.splitlines() if line.startswith("epoch ")]
    assert 8 <= len(epochs) <= 9  # at most one epoch was trained twice
    assert folder.metrics.is_file()


def _process_of_rank(rank: int, parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    if not children.is_file():
        pytest.skip("this system does not tell a process's environment")
    for child in children.read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if b"RANK=%d" % rank in environment:
            return int(child)
    raise AssertionError("no such rank")


# Trains some steps alone and in a group, and leaves what came of both.
STEPS = """
import hashlib, json, sys, torch
from pathlib import Path
from olhar.datasets import load_named, split_dataset
from olhar.networks.build import Normalise, build_network, has_whitening, set_whitening
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.training.distributed import open_group
from olhar.training.fit import Training
from olhar.training.machine import Machine
from olhar.training.recipe import Recipe

group = open_group()
data = load_named("digits")
images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
images = images.repeat_interleave(4, 1).repeat_interleave(4, 2)  # (N, 32, 32, 1)
rows = torch.from_numpy(split_dataset(data).train)
rows = rows[(labels[rows] > 4) | (torch.arange(len(rows)) % 4 == 0)]  # unequal classes
normalise = Normalise((0.3,), (0.4,))

def trained(name, recipe, share):
    canonical, settings, _typed = resolve_network(name)
    spec = NetworkSpec(canonical, settings, 32, 1, 10)
    torch.manual_seed(group.place.rank if share else 0)
    network = build_network(spec)
    if has_whitening(network):
        set_whitening(network, normalise(images[:500].permute(0, 3, 1, 2)))
    machine = Machine("cpu", "fp32", False, 1)
    training = Training(network, images, labels, rows, recipe, machine, normalise, share)
    if share:
        share.align(network)
    generator = torch.Generator().manual_seed(1)
    order = training.order(generator)
    for step in range(8):
        training.enter(step)
        figures = training.step(order[step * training.batch : (step + 1) * training.batch], generator)
    weights = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    return weights, figures

found = {}
with group.connect(0, "cpu") as share:
    for key, name, recipe in (
        ("weights", "lenet5", Recipe(batch_size=33, balance="weights", label_smoothing=0.1)),
        ("muon", "lenet5", Recipe(batch_size=33, optimizer="muon", lr=1e-3)),
        ("augmented", "olhar-small", Recipe(batch_size=32, optimizer="muon", flip=True, cutout=0.3)),
    ):
        weights, figures = trained(name, recipe, share)
        alone, expected = trained(name, recipe, None)
        found[key] = {
            "digest": hashlib.sha256(weights.numpy().tobytes()).hexdigest(),
            "distance": float((weights - alone).abs().max()),
            "figures": [figures.tolist(), expected.tolist()],
        }
Path(sys.argv[1], f"{group.place.rank}.json").write_text(json.dumps(found))
group.dismiss(0) if group.place.rank == 0 else group.hear_order(0)
"""


def test_shares_add_up_to_the_batch(tmp_path: Path) -> None:
    """The same steps, in a group and alone: class weights, unequal shares, Muon, whitening."""
    script = tmp_path / "steps.py"
    script.write_text(STEPS, encoding="utf-8")
    command = [*TORCHRUN, str(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for key, one in first.items():
        assert one["digest"] == second[key]["digest"], key  # bit for bit the same weights
        assert one["figures"][0] == second[key]["figures"][0]
    for key in ("weights", "muon"):  # the other draws other augmentations on each rank
        assert first[key]["distance"] < 1e-3, key
        assert first[key]["figures"][0] == pytest.approx(first[key]["figures"][1], rel=1e-3)


@given(count=st.integers(1, 500), size=st.integers(1, 17))
def test_every_row_has_one_rank(count: int, size: int) -> None:
    members = torch.randperm(count)
    places = [SimpleNamespace(place=Place(rank, size, rank, size, 0)) for rank in range(size)]
    shares = [Share(place, 0, torch.device("cpu")).rows(members) for place in places]
    assert sorted(torch.cat(shares).tolist()) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("given_s", ["soon", "0", "-1", "nan", "1e9"])
def test_a_wrong_timeout_is_refused(monkeypatch: pytest.MonkeyPatch, given_s: str) -> None:
    monkeypatch.setenv("OLHAR_GROUP_TIMEOUT_S", given_s)
    with pytest.raises(ConfigError, match="OLHAR_GROUP_TIMEOUT_S"):
        read_timeout()


def test_minutes_are_measured_by_all_processes(tmp_path: Path) -> None:
    done = torchrun(*LENET, "--minutes", "0.3", "--run", tmp_path / "run")
    assert done.status == 0, done.err
    config = RunFolder(tmp_path / "run").read_config()
    epochs = config["recipe"]["epochs"]
    assert done.err.count(f"epochs that fit into 0.3 min: {epochs};") == 1
    assert len(RunFolder(tmp_path / "run").read_history()) == epochs
    assert config["machine"]["world_size"] == 2
