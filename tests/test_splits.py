"""Splits: stratified, disjoint, complete, and fixed by the data and split_seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olhar.datasets import Dataset, load_named, split_dataset
from olhar.errors import ConfigError, DataError


def make(counts: list[int], parts: dict[str, int] | None = None) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.random.default_rng(0).permutation(labels)
    starts = np.cumsum([0, *(parts or {}).values()])
    indices = {
        name: np.arange(start, start + size)
        for (name, size), start in zip((parts or {}).items(), starts, strict=False)
    }
    images = np.zeros((len(labels), 4, 4, 1), np.uint8)
    names = tuple(f"class {index}" for index in range(len(counts)))
    return Dataset("made", images, labels, names, "0", parts=indices)


@given(
    counts=st.lists(st.integers(20, 60), min_size=2, max_size=6),
    val=st.sampled_from([None, 0.1, 0.25, 15]),
    test=st.sampled_from([None, 0.2, 0.4, 20]),
    split_seed=st.integers(0, 5),
)
def test_three_disjoint_stratified_splits(
    counts: list[int], val: float | None, test: float | None, split_seed: int
) -> None:
    dataset = make(counts)
    splits = split_dataset(dataset, val=val, test=test, split_seed=split_seed)
    pool = np.concatenate([splits.train, splits.val, splits.test])
    assert sorted(pool.tolist()) == list(range(len(dataset)))
    for split in (splits.train, splits.val, splits.test):
        share = np.bincount(dataset.labels[split], minlength=len(counts)) / len(split)
        assert np.abs(share - np.array(counts) / sum(counts)).max() <= 2.0 / len(
            split
        )  # rounded twice
    if isinstance(test, int):
        assert len(splits.test) == test


def test_the_split_seed_alone_decides() -> None:
    dataset = load_named("digits")
    first, again = split_dataset(dataset), split_dataset(dataset)
    other = split_dataset(dataset, split_seed=1)
    assert np.array_equal(first.test, again.test)
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.test, other.test)


def test_the_makers_test_part_is_the_test() -> None:
    dataset = make([40, 40], {"train": 60, "test": 20})
    splits = split_dataset(dataset, val=10)
    assert splits.test.tolist() == list(range(60, 80))
    assert splits.sizes() == {"train": 50, "val": 10, "test": 20}
    with pytest.raises(ConfigError, match="--test"):
        split_dataset(dataset, test=0.1)


def test_a_lone_val_part_is_the_test_and_both_are_kept_as_they_are() -> None:
    lone = split_dataset(make([40, 40], {"train": 60, "val": 20}), val=10)
    assert lone.test.tolist() == list(range(60, 80))
    both = split_dataset(make([40, 40], {"train": 40, "val": 20, "test": 20}))
    assert both.val.tolist() == list(range(40, 60))
    assert both.test.tolist() == list(range(60, 80))
    with pytest.raises(ConfigError, match="--val"):
        split_dataset(make([40, 40], {"train": 40, "val": 20, "test": 20}), val=5)


@pytest.mark.parametrize("size", [0, -1, 1.5, float("nan"), float("inf"), 1, 79, 1000])
def test_sizes_that_leave_a_split_empty_are_refused(size: float) -> None:
    with pytest.raises(ConfigError, match="--test"):
        split_dataset(make([40, 40]), test=size)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(DataError, match="test"):
        split_dataset(make([40, 40], {"train": 80, "test": 0}))


def test_a_class_with_one_image_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="class 1"):
        split_dataset(make([40, 1]))
