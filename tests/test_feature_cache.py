"""Features are computed once an image, whatever the set around it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import DATA, needs_data, olhar
from olhar.pipeline.feature_cache import cached_features


class Computing:
    """Three numbers of each name's first byte; counts what it was asked for."""

    def __init__(self, names: list[bytes]) -> None:
        self.names, self.asked = names, 0

    def __call__(self, rows) -> np.ndarray:
        self.asked += len(rows)
        return np.array([[self.names[row][0], row * 0, 1.5] for row in rows], np.float32)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path_factory.mktemp("cache")))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=30), min_size=1, max_size=4))
def test_each_image_is_computed_once(sets: list[list[int]]) -> None:
    key, seen = f"key{id(sets)}-{np.random.default_rng().integers(1 << 60)}", set()
    for one in sets:
        names = [bytes([value]) for value in one]
        compute = Computing(names)
        found = cached_features(key, names, compute)
        assert found[:, 0].tolist() == one
        assert found.dtype == np.float32
        assert compute.asked == len(set(one) - seen)
        seen |= set(one)


def test_a_damaged_table_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path))
    names = [b"a", b"b"]
    cached_features("key", names, Computing(names))
    path = tmp_path / "features" / "key.sqlite"
    path.write_bytes(b"no table" * 1000)
    again = Computing(names)
    cached_features("key", names, again)
    assert again.asked == 2
    last = Computing(names)
    cached_features("key", names, last)
    assert last.asked == 0


def test_a_table_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    names = [b"a"]
    assert cached_features("key", names, Computing(names)).tolist() == [[97, 0, 1.5]]


def test_a_table_held_by_another_process_is_read_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path))
    monkeypatch.setattr("olhar.pipeline.feature_cache._WAIT_S", 0.05)
    names = [b"a"]
    cached_features("key", names, Computing(names))
    holder = sqlite3.connect(tmp_path / "features" / "key.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert cached_features("key", names, Computing(names)).tolist() == [[97, 0, 1.5]]
    holder.close()


@needs_data
def test_features_do_not_depend_on_the_images_beside_them(tmp_path: Path) -> None:
    """A head on features of two visits is the head on those of one."""
    photos = tmp_path / "photos"
    for name in ("ants", "bees"):
        (photos / name).mkdir(parents=True)
        for path in sorted(Path(DATA, "hymenoptera_data/train", name).iterdir())[:14]:
            (photos / name / path.name).write_bytes(path.read_bytes())
    for name, cache in (("once", "a"), ("twice", "b")):
        words = ["train", "--data", photos, "--backbone", "squeezenet1_0"]
        words += ["--size", 64, "--no-groups"]
        where = {"OLHAR_CACHE": str(tmp_path / cache)}
        if name == "twice":  # another division computes some of them in other batches
            done = olhar(*words, "--split-seed", 1, "--run", tmp_path / "other", **where)
            assert done.status == 0, done.err
        done = olhar(*words, "--run", tmp_path / name, **where)
        assert done.status == 0, done.err
    same = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("once", "twice")
    ]
    assert same[0] == same[1]
