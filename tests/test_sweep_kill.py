"""A sweep that is killed, again and again, ends in the trials of one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import optuna
import pytest

from olhar.run import RunFolder
from olhar.sweep import sweep
from olhar.sweep.records import SweepResult
from olhar.sweep.settings import SweepSettings

SETTINGS = {
    "data": "digits",
    "network": "lenet5",
    "trials": 4,
    "seed": 3,
    "extra_seeds": 1,
    "set": {"epochs": 6, "batch_size": 128},
    "param": {"lr": "log:1e-5:1e-2"},
}
SCRIPT = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    from olhar.errors import OlharError
    from olhar.sweep import sweep
    from olhar.sweep.settings import SweepSettings

    out, most, settings = Path(sys.argv[1]), int(sys.argv[2]), eval(sys.argv[3])
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        sweep(SweepSettings.from_dict(settings), out, workers=2)
    except OlharError as error:
        sys.exit(f"{error.code}: {error}")
    """
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; signals and limits")


def start(out: Path, most: int = 0) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", SCRIPT, str(out), str(most), repr(SETTINGS)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)


def workers_of(driver: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(driver)], capture_output=True, check=False)
    return [int(line) for line in found.stdout.split()]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except FileNotFoundError:
        return False
    return state.split()[0] != "Z"


def epochs_done(out: Path) -> int:
    return sum(
        len(RunFolder(path.parent).read_history()) for path in out.glob("trials/*/history.csv")
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """A sweep that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "s"
    return sweep(SweepSettings.from_dict(SETTINGS), out, workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.soak)])
def test_full_disk_then_kills_then_the_same_trials(
    whole: SweepResult, tmp_path: Path, kills: int
) -> None:
    """The first kill is the driver's; at the second one of its workers goes before it."""
    out, rng = tmp_path / "s", random.Random(0)
    _meet_a_full_disk(out)
    for turn in range(kills):
        _kill(out, epochs_done(out) + rng.randrange(0, 4), rng, worker_first=turn % 2 == 1)
    last = start(out)
    _out, err = last.communicate(timeout=900)
    assert last.returncode == 0, err.decode()
    again = sweep(SweepSettings.from_dict(SETTINGS), out)
    for one, other in zip(again.trials, whole.trials, strict=True):
        assert (one.number, one.params, one.state) == (other.number, other.params, other.state)
        assert (one.epoch, one.val, one.reason) == (other.epoch, other.val, other.reason)
    assert again.best is not None
    assert whole.best is not None
    assert again.best.decision == whole.best.decision
    assert again.best.test == whole.best.test
    assert epochs_done(out) == epochs_done(whole.out)
    trials = _study(out)
    assert [one.number for one in trials] == [0, 1, 2, 3]
    for one in trials:  # every epoch once
        rows = RunFolder(out / f"trials/{one.number:03}").read_history()
        assert sorted(one.intermediate_values) == [row["epoch"] for row in rows]


def _meet_a_full_disk(out: Path) -> None:
    driver = start(out, 300_000)  # less than a checkpoint
    _out, err = driver.communicate(timeout=300)
    assert driver.returncode == 1
    assert err.decode().startswith("storage: the disk that holds"), err.decode()
    assert "goes on" in err.decode()
    assert {one.state.name for one in _study(out)} == {"RUNNING"}
    for folder in (out / "trials").iterdir():
        assert not (folder / "error.txt").exists()
        assert not list(folder.glob(".checkpoint*"))


def _kill(out: Path, epochs: int, rng: random.Random, *, worker_first: bool) -> None:
    """Kill the driver a moment after so many epochs, and see its workers go."""
    driver = start(out)
    while epochs_done(out) < epochs and driver.poll() is None:
        time.sleep(0.02)
    time.sleep(rng.random())
    workers = workers_of(driver.pid)
    if worker_first and workers:  # the driver replaces it
        os.kill(rng.choice(workers), signal.SIGKILL)
        time.sleep(rng.random())
        workers = workers_of(driver.pid)
    driver.kill()
    driver.communicate()
    patience = time.monotonic() + 20
    while any(alive(one) for one in workers):
        assert time.monotonic() < patience, "workers outlive their driver"
        time.sleep(0.05)


def _study(out: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{out / 'study.db'}")
    trials = study.trials
    study._storage.remove_session()
    return trials
