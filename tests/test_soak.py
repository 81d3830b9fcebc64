"""The long proofs, run by `make soak`; what they gave is in docs/experiments.md."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import olhar
from olhar.run import RunFolder

pytestmark = pytest.mark.soak


def test_a_training_killed_at_twenty_random_moments_ends_in_the_same_weights(
    tmp_path: Path,
) -> None:
    words = ["--data", "digits", "--network", "gmnet", "--epochs", "150", "--set", "rotate=10"]
    whole = olhar("train", *words, "--run", tmp_path / "whole")
    assert whole.status == 0, whole.err
    cut = tmp_path / "cut"
    chance = random.Random(0)
    command = [sys.executable, "-m", "olhar", "train", *words, "--run", str(cut)]
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(3, 8))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if RunFolder(cut).config.is_file():
            command = [sys.executable, "-m", "olhar", "resume", str(cut)]
    assert olhar("resume", cut).status == 0
    assert not list(cut.glob(".*"))
    for name in ("model.safetensors", "golden.safetensors"):
        assert (cut / "model" / name).read_bytes() == (
            tmp_path / "whole" / "model" / name
        ).read_bytes()
    assert RunFolder(cut).read_metrics() == RunFolder(tmp_path / "whole").read_metrics()
