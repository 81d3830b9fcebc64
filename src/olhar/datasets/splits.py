"""Which images train, which choose, which are the exam: fixed by the data and `split_seed` alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.data_settings import DATA
from olhar.datasets.folds import choose_whole
from olhar.datasets.source import Source
from olhar.errors import ConfigError, DataError
from olhar.i18n import Text, _

DEFAULT_VAL, DEFAULT_TEST = 0.1, 0.2
LARGEST_DEFAULT = 5_000
_MOST_NAMED = 5
_FAR = 0.2  # of the size that was asked for


@dataclass(frozen=True)
class Splits:
    """Three disjoint index arrays into a data set's pool, each sorted, (n,) int64.

    Attributes:
        train, val, test: the rows of each.
        groups: (N,) int64, of each row of the pool; equal where images stay together. Where nothing
            is known of groups, no two are equal.
        notes: where groups could not be kept together, or sizes are not what was asked for.
        facts: what is known of groups, for config.toml (see groups.divide); empty where there are none.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    groups: NDArray[np.int64]
    notes: tuple[Text, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sizes(self) -> dict[str, int]:
        """How many images each split has."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test)}


def split_dataset(
    dataset: Source,
    *,
    val: float | None = None,
    test: float | None = None,
    split_seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> Splits:
    """Stratified train, validation and test splits, which divide no group.

    Where the makers of the set gave a test part, that is the test; where they gave only a "val"
    part, that is the test; otherwise the test is cut from the pool. Validation is cut from what
    is left (or is the makers' "val" where they gave a "test" too). Every class keeps at least one
    training image. Where groups are too few or too large for that, an image of each class for the test
    comes first, then one for validation; where there would be none of any class, groups are
    divided, and a note says so.

    Args:
        dataset: the data set; a folder of photos may be divided before it is decoded, to see that
            it can be.
        val: share (below 1) or count (1 and above) of validation images; default a tenth of the
            training images, at most 5,000.
        test: share or count of test images, where the set has no test part; default a fifth, at
            most 5,000.
        split_seed: another number gives another split. Has nothing to do with the training seed.
        groups: (N,) int64, equal where images stay together (see groups.find_groups).

    Raises:
        ConfigError: a size that leaves a split empty.
        DataError: a single class, or one with too few images to be in all three splits.
    """
    DATA["split_seed"].check(split_seed, DATA["split_seed"].flag)
    _check_classes(dataset)
    _check_own_splits(dataset, val, test)
    together = np.arange(len(dataset), dtype=np.int64) if groups is None else groups
    note = None
    if groups is not None and len(np.unique(groups)) < len(groups):
        with suppress(ConfigError, DataError):  # of few images groups leave too few for a split
            return _divide(dataset, val, test, _Cutter(dataset, split_seed, together))
        note = _(
            "there are too few photos to keep groups of them together, so groups are divided: scores "
            "flatter; add photos of other objects or days"
        )
    splits = _divide(dataset, val, test, _Cutter(dataset, split_seed))
    return dataclasses.replace(splits, groups=together, notes=(note,) if note else ())


def _divide(dataset: Source, val: float | None, test: float | None, cut: _Cutter) -> Splits:
    alone = np.arange(len(dataset), dtype=np.int64)
    parts = dataset.parts
    rest = parts.get("train", alone)
    test_part = parts.get("test", parts.get("val"))
    if test_part is None:
        rest, test_part = cut(rest, test, DEFAULT_TEST, "test", leave=2)
    if "val" in parts and "test" in parts:
        train_part, val_part = rest, parts["val"]
    else:
        train_part, val_part = cut(rest, val, DEFAULT_VAL, "val", leave=1)
    splits = Splits(
        np.sort(train_part),
        np.sort(val_part),
        np.sort(test_part),
        alone if cut.groups is None else cut.groups,
        tuple(cut.notes),
    )
    _check_not_empty(splits, dataset.name)
    return splits


def spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of some indices, evenly spaced, in rising order."""
    chosen = np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(np.int64)
    return np.unique(indices[chosen])


def _check_own_splits(dataset: Source, val: float | None, test: float | None) -> None:
    """Refuse sizes for splits that the makers of the set have fixed."""
    parts = dataset.parts
    test_part = parts.get("test", parts.get("val"))
    if test is not None and test_part is not None:
        raise ConfigError(
            _(
                "--test {given} cannot be used: '{name}' has a test split of its own, with {count} images",
                given=test,
                name=dataset.name,
                count=len(test_part),
            )
        )
    if val is not None and "val" in parts and "test" in parts:
        raise ConfigError(
            _(
                "--val {given} cannot be used: '{name}' has a validation split of its own, with "
                "{count} images",
                given=val,
                name=dataset.name,
                count=len(parts["val"]),
            )
        )


def _check_not_empty(splits: Splits, name: str) -> None:
    """Refuse a split without images."""
    for split, count in splits.sizes().items():
        if not count:
            raise DataError(
                _("'{name}' has no usable image in its {split} split", name=name, split=split)
            )


def _check_classes(dataset: Source) -> None:
    """Refuse what no classifier can be made from: one class, or a class with too few images."""
    if dataset.num_classes < 2:
        raise DataError(
            _(
                "'{path}' has a single class, '{name}'; a classifier needs at least two: add a "
                "folder of photos that show something else",
                path=dataset.name,
                name=dataset.class_names[0],
            )
        )
    parts = dataset.parts
    needed = 3 - min(len(set(parts) - {"train"}), 2)  # one for each split cut from here
    labels = dataset.labels[parts["train"]] if "train" in parts else dataset.labels
    counts = np.bincount(labels, minlength=dataset.num_classes)
    few = int(counts.argmin())
    if counts[few] < needed:
        raise DataError(
            _(
                "class '{name}' has {count} image(s) to divide{aside}, too few to have some in each "
                "split; each class needs at least {needed}: add images or remove the class",
                name=dataset.class_names[few],
                count=int(counts[few]),
                aside=_(" ({count} of all cannot be read)", count=len(dataset.set_aside))
                if dataset.set_aside
                else "",
                needed=needed,
            )
        )


@dataclass(frozen=True)
class _Cutter:
    """Divides rows of a data set into (what is left, what is cut), stratified by class."""

    dataset: Source
    split_seed: int
    groups: NDArray[np.int64] | None = None
    notes: list[Text] = field(default_factory=list)

    def __call__(
        self, pool: NDArray[np.int64], size: float | None, default: float, split: str, *, leave: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cut from `pool`; of classes of more groups, `leave` stay."""
        labels = self.dataset.labels[pool]
        present, counts = np.unique(labels, return_counts=True)
        count = _count(size, default, len(pool), len(present), split)
        taken = np.zeros(len(pool), bool)
        if self.groups is None:
            _check_counts(self.dataset, present, counts)
        _check_size(size, default, count, len(pool), len(present), split)
        wanted = _shares(labels, count)
        if self.groups is not None:
            taken = choose_whole(labels, self.groups[pool], wanted, leave, self.split_seed)
            self._note(split, wanted, taken, labels)
        if not taken.any():
            taken = _stratified_choice(labels, wanted, self.split_seed)
        return pool[~taken], pool[taken]

    def _note(
        self,
        split: str,
        wanted: NDArray[np.int64],
        taken: NDArray[np.bool_],
        labels: NDArray[np.int64],
    ) -> None:
        """Say where groups allow no such split."""
        got = np.bincount(labels[taken], minlength=len(wanted))
        without = [self.dataset.class_names[c] for c in np.flatnonzero((wanted > 0) & (got == 0))]
        if not taken.any():
            self.notes.append(
                _(
                    "each class is a single group of photos that belong together, so the groups are "
                    "divided to have a {split} split: it holds photos like those that are trained on, "
                    "and its scores flatter; add photos of other objects or days",
                    split=split,
                )
            )
        elif without:
            self.notes.append(
                _(
                    "the {split} split has no photos of {names}: they are too few groups of photos "
                    "that belong together; add photos of other objects or days",
                    split=split,
                    names=", ".join(without[:_MOST_NAMED]) + ("…" if without[_MOST_NAMED:] else ""),
                )
            )
        if taken.any() and abs(got.sum() - wanted.sum()) > max(1, _FAR * wanted.sum()):
            self.notes.append(
                _(
                    "the {split} split has {count} photos instead of {wanted}: groups are not divided",
                    split=split,
                    count=int(got.sum()),
                    wanted=int(wanted.sum()),
                )
            )


def _check_counts(dataset: Source, present: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Refuse a class that has too few images left to divide."""
    if counts.min() < 2:
        few = dataset.class_names[present[counts.argmin()]]
        raise DataError(
            _(
                "class '{name}' has {count} image(s) left to divide, too few to have some in each "
                "split: take smaller --test and --val, or add images",
                name=few,
                count=int(counts.min()),
            )
        )


def _check_size(
    size: float | None, default: float, count: int, total: int, classes: int, split: str
) -> None:
    """Refuse a size that leaves no image of each class, here or there."""
    if count < classes or total - count < classes:
        raise ConfigError(
            _(
                "--{split} {given} would take {count} of {total} images; with {classes} classes "
                "allowed: {low} to {high}",
                split=split,
                given=size if size is not None else default,
                count=count,
                total=total,
                classes=classes,
                low=classes,
                high=total - classes,
            )
        )


def _count(size: float | None, default: float, total: int, classes: int, split: str) -> int:
    if size is None:  # of each class one at least, which few photos may need
        return max(min(math.ceil(default * total), LARGEST_DEFAULT), classes)
    size = DATA[split].read(size, DATA[split].flag)
    return math.ceil(size * total) if size < 1 else int(size)


def _shares(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many of each class `count` of the items are, in proportion: at least one and not all.

    Shares are rounded by largest remainder (Hamilton).
    """
    sizes = np.bincount(labels)
    exact = sizes * count / len(labels)
    wanted = np.clip(exact.astype(np.int64), np.minimum(sizes, 1), np.maximum(sizes - 1, 0))
    while wanted.sum() < count:  # give to whoever is most short of its share
        wanted[np.argmin(np.where(wanted < sizes - 1, wanted - exact, np.inf))] += 1
    while wanted.sum() > count:  # take from whoever is most above it
        wanted[np.argmax(np.where(wanted > 1, wanted - exact, -np.inf))] -= 1
    return wanted


def _stratified_choice(
    labels: NDArray[np.int64], wanted: NDArray[np.int64], split_seed: int
) -> NDArray[np.bool_]:
    """Choose as many items of each class as are wanted.

    Written here rather than taken from a library, so that a split never changes with a library's
    version.
    """
    generator = np.random.Generator(np.random.PCG64(split_seed))
    taken = np.zeros(len(labels), bool)
    for index, size in enumerate(wanted):
        members = np.flatnonzero(labels == index)
        taken[generator.permutation(members)[:size]] = True
    return taken
