"""How much memory there is, by control groups of both versions, and what follows if it is too little."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from olhar.datasets import Dataset
from olhar.i18n import Text
from olhar.memory import memory_bytes, memory_limit
from olhar.pipeline.suited import windowed_recipe
from olhar.progress import Progress
from olhar.training.recipe import Recipe
from test_cores import groups_of, write

MIB = 2**20


def test_the_smallest_bound_on_the_way_up_counts(tmp_path: Path) -> None:
    groups, mounts = groups_of(tmp_path, "0::/kubepods/pod1/c\n"), tmp_path / "fs"
    write(mounts / "kubepods" / "pod1" / "c", memory__max="max")
    write(mounts / "kubepods" / "pod1", memory__max="700000000")
    write(mounts / "kubepods", memory__max="900000000")
    assert memory_limit(groups, mounts) == 700_000_000


def test_version_1_has_the_bound_of_its_memory_hierarchy(tmp_path: Path) -> None:
    groups, mounts = groups_of(tmp_path, "4:memory:/docker/0f\n3:cpu:/a\n"), tmp_path / "fs"
    write(mounts / "memory", memory__limit_in_bytes="300000000")
    assert memory_limit(groups, mounts) == 300_000_000


@pytest.mark.parametrize("text", ["", "nonsense", "0::/a\n", "1:memory\n"])
def test_without_a_bound_or_without_sense_there_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path / "fs" / "a", memory__max="max")
    assert memory_limit(groups_of(tmp_path, text), tmp_path / "fs") is None
    assert memory_limit(tmp_path / "absent", tmp_path / "fs") is None


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="this system does not tell its memory")
def test_the_machine_has_some() -> None:
    assert (memory_bytes() or 0) > 100 * MIB


def test_a_real_bound_is_seen() -> None:
    name, size = f"olhar-{uuid.uuid4().hex}", 400 * MIB
    for root, file in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        place = Path("/sys/fs/cgroup", root, name)
        try:
            place.mkdir()
        except OSError:
            continue
        try:
            write(place, **{file: str(size)})
            break
        except OSError:
            place.rmdir()
    else:
        pytest.skip("no control group with a bound of memory can be made here: that needs root")
    code = "from olhar.memory import memory_bytes; print(memory_bytes())"
    enter = ["sh", "-c", f'echo $$ > {place}/cgroup.procs && exec "$0" -c "{code}"', sys.executable]
    try:
        done = subprocess.run(enter, capture_output=True, text=True, check=True, timeout=60)
    finally:
        place.rmdir()
    assert done.stdout == f"{size}\n"


class Heard(Progress):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: Text) -> None:
        """Keep it."""
        self.notes.append(str(text))


def large() -> Dataset:
    """A set of 100 MiB that takes no memory."""
    images = np.broadcast_to(np.uint8(0), (100, 1024, 1024, 1))
    return Dataset("large", images, np.zeros(100, np.int64), ("a", "b"), "")


@pytest.mark.parametrize(
    ("memory", "expected"), [(1000, None), (200, None), (199, 24), (800 // 8, 16)]
)
def test_what_takes_more_than_half_of_the_memory_is_shuffled_in_windows(
    memory: int, expected: int | None
) -> None:
    heard = Heard()
    recipe = windowed_recipe(Recipe(), large(), heard, memory * MIB)
    assert recipe.shuffle_mib == expected
    assert len(heard.notes) == (expected is not None)
    assert all("100 MiB" in note and f"{memory} MiB" in note for note in heard.notes)


@pytest.mark.parametrize("asked", [0, 5])
def test_what_was_asked_for_stays(asked: int) -> None:
    heard = Heard()
    recipe = windowed_recipe(Recipe(shuffle_mib=asked), large(), heard, 50 * MIB)
    assert recipe.shuffle_mib == asked
    assert not heard.notes
