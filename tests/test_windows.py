"""Images that do not fit into memory: the order of an epoch, what is read, an exact resume."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import olhar, start
from olhar.run import RunFolder
from olhar.training.windows import Windows

CLASSES, A_CLASS = 4, 700


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3000), st.integers(1, 64), st.integers(1, 3), st.integers(0, 2**31))
def test_an_order_has_each_row_once(count: int, side: int, mib: int, seed: int) -> None:
    images = torch.zeros(1, dtype=torch.uint8).expand(count, side, side, 3)
    windows = Windows(images, mib)
    rows = torch.randperm(count, generator=generator(seed))[: max(1, count - 5)]
    order = windows.order(rows, generator(seed))
    assert torch.equal(order.sort().values, rows.sort().values)


def test_a_window_is_whole_blocks_with_the_mixture_of_the_pool() -> None:
    images = torch.zeros(60_000, 32, 32, 3, dtype=torch.uint8)  # 176 MiB
    labels = torch.arange(10).repeat_interleave(6_000)  # class by class, as a pool lies
    windows = Windows(images, 16)
    assert windows.count == 11
    order = windows.order(torch.randperm(60_000, generator=generator()), generator())
    blocks = order // windows.block
    switches = torch.nonzero(torch.isin(blocks, blocks[:1])).flatten()
    assert int(switches.max()) < 6_500  # all of a block is in one window
    for first in range(0, 55_000, 5_000):
        shares = torch.bincount(labels[order[first : first + 5_000]], minlength=10) / 5_000
        assert float(shares.min()) > 0.05
        assert float(shares.max()) < 0.15


def test_epochs_deal_the_blocks_out_anew() -> None:
    images = torch.zeros(20_000, 32, 32, 3, dtype=torch.uint8)
    windows = Windows(images, 16)
    first, again, other = (
        windows.order(torch.randperm(20_000, generator=one), one)
        for one in (generator(1), generator(1), generator(2))
    )
    assert torch.equal(first, again)
    together = set((first[:5_000] // windows.block).tolist())
    assert together != set((other[:5_000] // windows.block).tolist())


class Watched:
    """A pool that notes which rows are read; as much of a tensor as Windows needs."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.read = images, list[int]()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: int | slice) -> torch.Tensor:
        if isinstance(rows, slice):
            self.read += range(len(self.images))[rows]
        return self.images[rows]


def test_blocks_are_read_once_in_rising_order_before_they_are_needed() -> None:
    pool = Watched(torch.zeros(20_000, 32, 32, 3, dtype=torch.uint8))
    windows = Windows(pool, 16)  # type: ignore[arg-type]
    order = windows.order(torch.randperm(20_000, generator=generator()), generator()).tolist()
    ends = []
    for stop in range(100, 20_001, 100):
        before = len(pool.read)
        windows.read_until(stop)
        new = pool.read[before:]
        assert new == sorted(new)
        ends += [stop] if new else []
        assert set(order[:stop]) <= set(pool.read)
    assert len(ends) == windows.count
    assert sorted(pool.read) == list(range(20_000))


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arrays of 8 MiB, class by class."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), A_CLASS)
    images = random.integers(0, 200, (len(labels), 32, 32, 3)).astype(np.uint8)
    images += (labels * 18).astype(np.uint8)[:, None, None, None]
    path = tmp_path_factory.mktemp("pixels") / "pixels.npz"
    np.savez(path, images=images, labels=labels)
    return path


def train_words(pixels: Path) -> list[str]:
    words = ["train", "--data", str(pixels), "--network", "lenet5", "--epochs", "4"]
    return [*words, "--set", "shuffle_mib=2", "--no-groups", "--set", "device=cpu"]


def test_a_killed_run_in_windows_goes_on_to_the_same_weights(pixels: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done = olhar(*train_words(pixels), "--run", whole)
    assert done.status == 0, done.err
    assert RunFolder(whole).read_config()["recipe"]["shuffle_mib"] == 2
    process = start(*train_words(pixels), "--run", cut, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(RunFolder(cut).read_history()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not (cut / "model").exists()
    assert olhar("resume", cut).status == 0
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (whole, cut)]
    assert weights[0] == weights[1]
    full = tmp_path / "full"
    words = [word.replace("shuffle_mib=2", "shuffle_mib=0") for word in train_words(pixels)]
    assert olhar(*words, "--run", full).status == 0
    assert (full / "model" / "model.safetensors").read_bytes() != weights[0]
