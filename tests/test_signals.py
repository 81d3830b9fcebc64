"""What clusters, containers and closed terminals send to a training."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import finish, olhar, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
_WORDS = ("train", "--data", "digits", "--network", "lenet5", "--set", "patience=0")
_LONG = (*_WORDS, "--epochs", 3000)


def wait_for(ready: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_training_is_kept_and_goes_on(number: int, status: int, tmp_path: Path) -> None:
    run = tmp_path / "a run"
    pipe = subprocess.PIPE
    process = start(*_LONG, "--run", run, stdin=pipe, stdout=pipe, stderr=pipe)
    wait_for((run / "checkpoint.safetensors").is_file)
    os.kill(process.pid, number)
    done = finish(process, "olhar train")
    assert done.status == status
    assert f"go on with: olhar resume '{run}'" in done.err
    assert f"stopped by {signal.Signals(number).name}" in done.err
    assert (run / "checkpoint.safetensors").is_file()


def test_before_the_run_folder_the_same_command_is_to_be_given(tmp_path: Path) -> None:
    from olhar import pipeline
    from olhar.cli.signals import Stopped, heed_signals
    from olhar.i18n import Text
    from olhar.progress import Progress

    class Impatient(Progress):
        said = ""

        def start(self, title: Text, total: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        def note(self, text: Text) -> None:
            self.said += str(text)

    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (32, 32), (number, 9, 9)).save(tmp_path / f"pets/{name}/{number}.png")
    progress = Impatient()
    with heed_signals(), pytest.raises(Stopped) as stopped:
        pipeline.train(
            str(tmp_path / "pets"), "lenet5", run=tmp_path / "run", groups="none", progress=progress
        )
    assert stopped.value.name == "SIGTERM"
    assert "give the same command again" in progress.said
    assert not (tmp_path / "run").exists()


_TWO = """
import os, signal, time
from olhar.cli.signals import heed_signals
with heed_signals():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except KeyboardInterrupt:
        print("asked to end", flush=True)
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(60)
"""


@pytest.mark.parametrize("alone", [False, True])
def test_a_second_signal_ends_at_once_also_in_process_1(*, alone: bool) -> None:
    words = [sys.executable, "-c", _TWO]
    if alone:
        words = ["unshare", "--pid", "--fork", "--kill-child", *words]
        trial = ["unshare", "--pid", "--fork", "true"]
        if (
            shutil.which("unshare") is None
            or subprocess.run(trial, capture_output=True, check=False).returncode
        ):
            pytest.skip("no namespace of processes can be made here")
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "asked to end\n"
    assert done.returncode in {129, -signal.SIGHUP}


def test_what_nohup_ignores_stays_ignored() -> None:
    from olhar.cli.signals import heed_signals

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heed_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_lines_that_cannot_be_written_end_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "olhar", *_WORDS, "--epochs", "1", "--run"]
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run([*words, tmp_path / "full"], stderr=full, stdout=-1, check=False)
        assert done.returncode == 0
        assert (tmp_path / "full" / "metrics.json").is_file()
    shell = 'exec "$@" 2>&- >&- <&-'
    done = subprocess.run(["sh", "-c", shell, "sh", *words, str(tmp_path / "closed")], check=False)
    assert done.returncode == 0
    assert (tmp_path / "closed" / "metrics.json").is_file()


def test_an_answer_that_has_nowhere_to_go_is_a_failure() -> None:
    words = [sys.executable, "-m", "olhar", "networks"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_standard_input_is_said(digits_run: Path) -> None:
    words = [sys.executable, "-m", "olhar", "predict", str(digits_run), "-"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "standard input is closed" in done.stderr
    assert olhar("predict", digits_run, "-").status == 2  # empty
