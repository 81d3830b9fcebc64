"""Groups of photos are never divided: between splits, and between folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from olhar.datasets import Dataset, group_folds, split_dataset
from olhar.errors import DataError

Ids = NDArray[np.int64]


def make(labels: Ids) -> Dataset:
    names = tuple(f"class {index}" for index in range(int(labels.max()) + 1))
    return Dataset("made", np.zeros((len(labels), 4, 4, 1), np.uint8), labels, names, "0")


@st.composite
def grouped(draw: st.DrawFn, *, mixed: bool = False) -> tuple[Ids, Ids]:
    """Labels and groups of a pool, shuffled; `mixed` groups hold photos of several classes."""
    sizes = draw(
        st.lists(
            st.lists(st.integers(1, 9), min_size=4, max_size=25),  # of the groups of a class
            min_size=2,
            max_size=4,
        )
    )
    labels = np.repeat(np.arange(len(sizes)), [sum(of_class) for of_class in sizes])
    each = [size for of_class in sizes for size in of_class]
    groups = np.repeat(np.arange(len(each)), each)
    if mixed:
        groups = groups % draw(st.integers(3, len(each)))
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return labels[order], groups[order] * 7 + 3


def largest(labels: Ids, groups: Ids, label: int) -> int:
    return int(np.unique(groups[labels == label], return_counts=True)[1].max())


@given(pool=grouped(), split_seed=st.integers(0, 3))
def test_no_group_is_divided_and_each_class_gets_its_share(
    pool: tuple[Ids, Ids], split_seed: int
) -> None:
    labels, groups = pool
    splits = split_dataset(make(labels), split_seed=split_seed, groups=groups)
    again = split_dataset(make(labels), split_seed=split_seed, groups=groups)
    rows = np.concatenate([splits.train, splits.val, splits.test])
    assert sorted(rows.tolist()) == list(range(len(labels)))
    sides = [set(groups[side].tolist()) for side in (splits.train, splits.val, splits.test)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert np.array_equal(splits.test, again.test)
    assert np.array_equal(splits.groups, groups)
    got = np.bincount(labels[splits.test], minlength=labels.max() + 1)
    for label, count in enumerate(np.bincount(labels).tolist()):
        assert abs(got[label] - 0.2 * count) <= largest(labels, groups, label) + 2
        assert (labels[splits.train] == label).any()
        assert (labels[splits.val] == label).any()
        assert got[label]


@given(pool=grouped(mixed=True), split_seed=st.integers(0, 3))
def test_a_group_of_several_classes_goes_to_one_side(
    pool: tuple[Ids, Ids], split_seed: int
) -> None:
    labels, groups = pool
    splits = split_dataset(make(labels), split_seed=split_seed, groups=groups)
    assert set(labels[splits.train].tolist()) == set(labels.tolist())
    if not splits.notes:
        for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
            both = set(groups[getattr(splits, one)]) & set(groups[getattr(splits, other)])
            assert not both


@given(
    counts=st.lists(st.integers(20, 60), min_size=2, max_size=5),
    val=st.sampled_from([None, 0.25, 15]),
    test=st.sampled_from([None, 0.4, 20]),
    split_seed=st.integers(0, 5),
)
def test_without_groups_the_split_is_what_it_always_was(
    counts: list[int], val: float | None, test: float | None, split_seed: int
) -> None:
    dataset = make(np.repeat(np.arange(len(counts)), counts))
    plain = split_dataset(dataset, val=val, test=test, split_seed=split_seed)
    alone = np.random.default_rng(0).permutation(len(dataset)) * 3
    same = split_dataset(dataset, val=val, test=test, split_seed=split_seed, groups=alone)
    for split in ("train", "val", "test"):
        assert np.array_equal(getattr(plain, split), getattr(same, split))
    assert len(np.unique(plain.groups)) == len(dataset)


def test_groups_too_few_or_too_large_are_said() -> None:
    labels = np.repeat([0, 1], 30)
    whole = split_dataset(make(labels), groups=labels)  # each class is one group
    assert len(whole.test) == 12
    assert "scores flatter" in str(whole.notes[0])
    pairs = np.where(labels == 0, np.arange(60), 100 + np.arange(60) // 15)  # class 1: two groups
    splits = split_dataset(make(labels), groups=pairs)
    assert (labels[splits.test] == 1).sum() == 15
    assert (labels[splits.train] == 1).sum() == 15
    assert any("val split has no photos of class 1" in str(note) for note in splits.notes)
    assert any("instead of 12" in str(note) for note in splits.notes)
    few = split_dataset(make(np.repeat([0, 1], 3)), groups=np.array([0, 0, 1, 2, 3, 4]))
    assert min(few.sizes().values()) >= 1
    assert {0, 1} == set(few.groups[few.test].tolist()) or few.notes


@given(pool=grouped(), k=st.integers(2, 6), seed=st.integers(0, 3))
def test_folds_hold_each_row_out_once_and_divide_no_group(
    pool: tuple[Ids, Ids], k: int, seed: int
) -> None:
    labels, groups = pool
    folds = group_folds(labels, groups, k, seed)
    again = group_folds(labels, groups, k, seed)
    held = np.concatenate([out for _train, out in folds])
    assert sorted(held.tolist()) == list(range(len(labels)))
    for (train, out), (same_train, same_out) in zip(folds, again, strict=True):
        assert np.array_equal(np.sort(np.concatenate([train, out])), np.arange(len(labels)))
        assert not set(groups[train]) & set(groups[out])
        assert np.array_equal(train, same_train)
        assert np.array_equal(out, same_out)
    classes = int(labels.max()) + 1
    counts = np.array([np.bincount(labels[out], minlength=classes) for _train, out in folds])
    for label in range(classes):
        spread = counts[:, label].max() - counts[:, label].min()
        assert spread <= largest(labels, groups, label)


@given(pool=grouped(mixed=True), k=st.integers(2, 3), seed=st.integers(0, 3))
def test_folds_of_groups_of_several_classes(pool: tuple[Ids, Ids], k: int, seed: int) -> None:
    labels, groups = pool
    folds = group_folds(labels, groups, k, seed)
    assert sorted(np.concatenate([out for _train, out in folds]).tolist()) == [*range(len(labels))]
    assert all(not set(groups[train]) & set(groups[out]) for train, out in folds)


@given(
    counts=st.lists(st.integers(6, 40), min_size=2, max_size=5),
    k=st.integers(2, 6),
    seed=st.integers(0, 3),
)
def test_folds_without_groups_are_as_even_as_can_be(counts: list[int], k: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    folds = group_folds(labels, np.arange(len(labels)), k, seed)
    held = np.array([np.bincount(labels[out], minlength=len(counts)) for _train, out in folds])
    assert (held.max(axis=0) - held.min(axis=0) <= 1).all()
    assert held.sum(axis=1).max() - held.sum(axis=1).min() <= 1


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(DataError, match="5 folds cannot be made of 4 group"):
        group_folds(np.repeat([0, 1], 8), np.arange(16) // 4, 5, 0)
