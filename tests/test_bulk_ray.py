"""`olhar predict --engine ray`: the rows that this machine gives, also where a node is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import olhar, start
from ray_cluster import Cluster, running_cluster
from test_bulk import close_to, names, read_rows, write_photos

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several nodes on one machine")
RAY = ("--engine", "ray", "--address")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


@pytest.mark.slow
def test_a_cluster_gives_the_same_rows(digits_run: Path, cluster: Cluster, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 300)
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    assert olhar("predict", digits_run, photos, "--out", here).status == 0
    words = ["predict", digits_run, photos, "--out", there, "--json", *RAY, cluster.address]
    done = olhar(*words, cold=True, **cluster.env)
    assert done.status == 0, done.err
    assert done.json | {"out": ""} == {
        "out": "",
        "rows": 301,
        "errors": 1,
        "new": 301,
        "changed": 0,
    }
    rows = sorted(read_rows(there), key=lambda row: row["file"])
    expected = sorted(read_rows(here), key=lambda row: row["file"])
    assert rows == [close_to(row) for row in expected]


@pytest.mark.slow
def test_a_lost_node_costs_its_block_alone(
    digits_run: Path, cluster: Cluster, tmp_path: Path
) -> None:
    photos, out = write_photos(tmp_path / "photos", 6000), tmp_path / "r.jsonl"
    second = cluster.start("--address", cluster.address)
    words = ["predict", digits_run, photos, "--out", out, *RAY, cluster.address]
    process = start(
        *words, cold=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **cluster.env
    )
    limit = time.monotonic() + 200
    while not out.exists() and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.05)
    cluster.kill(second)
    _out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()
    found = names(read_rows(out))
    assert found == sorted(found, key=Path)
    assert len(found) == len(set(found)) == 6001


def test_no_cluster(digits_run: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 3)
    out = tmp_path / "r.csv"
    done = olhar("predict", digits_run, photos, "--out", out, *RAY, "127.0.0.1:9", cold=True)
    assert done.status == 1
    assert "no Ray head answers at 127.0.0.1:9" in done.err
    assert olhar("predict", digits_run, photos, "--out", out).status == 0
