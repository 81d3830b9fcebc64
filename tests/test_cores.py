"""How many cores there are, by affinity and by the quotas of control groups of both versions."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from olhar.cores import count_cores, cpu_quota


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n", encoding="utf-8")


def groups_of(tmp_path: Path, text: str) -> Path:
    (tmp_path / "cgroup").write_text(text, encoding="utf-8")
    return tmp_path / "cgroup"


def test_the_smallest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    groups, mounts = groups_of(tmp_path, "0::/kubepods/pod1/c\n"), tmp_path / "fs"
    write(mounts / "kubepods" / "pod1" / "c", cpu__max="400000 100000")
    write(mounts / "kubepods" / "pod1", cpu__max="150000 100000")
    write(mounts / "kubepods", cpu__max="max 100000")
    assert cpu_quota(groups, mounts) == 1.5


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    groups, mounts = groups_of(tmp_path, "0::/../../docker/0f\n"), tmp_path / "fs"
    write(mounts, cpu__max="50000 100000")
    assert cpu_quota(groups, mounts) == 0.5


@pytest.mark.parametrize("name", ["cpu", "cpu,cpuacct"])
def test_version_1_has_the_quota_of_its_cpu_hierarchy(tmp_path: Path, name: str) -> None:
    groups = groups_of(tmp_path, f"7:memory:/a\n3:{name}:/docker/0f\n2:cpuset:/\n")
    mounts = tmp_path / "fs"
    write(mounts / "memory" / "a", **{"cpu.cfs_quota_us": "1", "cpu.cfs_period_us": "1000"})
    write(mounts / name, **{"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"})
    assert cpu_quota(groups, mounts) == 2
    write(mounts / name, **{"cpu.cfs_quota_us": "-1"})
    assert cpu_quota(groups, mounts) is None


@pytest.mark.parametrize("text", ["", "nonsense", "0::/a\n", "1:cpu\n", "\0\n"])
def test_without_a_bound_or_without_sense_there_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path / "fs" / "a", cpu__max="not numbers at all")
    assert cpu_quota(groups_of(tmp_path, text), tmp_path / "fs") is None
    assert cpu_quota(tmp_path / "absent", tmp_path / "fs") is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system tells no affinity")
def test_the_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    assert 1 <= count_cores() <= len(before)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert count_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def own_group() -> Path:
    """A control group of one core, of whichever version can be made here."""
    name = f"olhar-{uuid.uuid4().hex}"
    for root, files in (
        ("cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}),
        ("", {"cpu.max": "100000 100000"}),
    ):
        place = Path("/sys/fs/cgroup", root, name)
        try:
            place.mkdir()
        except OSError:
            continue
        try:
            write(place, **files)
        except OSError:
            place.rmdir()
            continue
        return place
    pytest.skip("no control group with a quota can be made here: that needs root")


def test_a_real_quota_of_one_core_is_seen() -> None:
    place = own_group()
    code = "from olhar.cores import count_cores; print(count_cores())"
    enter = ["sh", "-c", f'echo $$ > {place}/cgroup.procs && exec "$0" -c "{code}"', sys.executable]
    try:
        done = subprocess.run(enter, capture_output=True, text=True, check=True, timeout=60)
    finally:
        place.rmdir()
    assert done.stdout == "1\n"
