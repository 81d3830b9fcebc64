"""Which images train, which choose, which are the exam: fixed by the data and `split_seed` alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olhar.data_settings import DATA
from olhar.datasets.source import Source
from olhar.errors import ConfigError, DataError
from olhar.i18n import _

DEFAULT_VAL, DEFAULT_TEST = 0.1, 0.2
LARGEST_DEFAULT = 5_000


@dataclass(frozen=True)
class Splits:
    """Three disjoint index arrays into a data set's pool, each sorted, (n,) int64."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]

    def sizes(self) -> dict[str, int]:
        """How many images each split has."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test)}


def split_dataset(
    dataset: Source,
    *,
    val: float | None = None,
    test: float | None = None,
    split_seed: int = 0,
) -> Splits:
    """Stratified train, validation and test splits.

    Where the makers of the set gave a test part, that is the test; where they gave only a "val"
    part, that is the test; otherwise the test is cut from the pool. Validation is cut from what
    is left (or is the makers' "val" where they gave a "test" too). Every class keeps at least one
    training image.

    Args:
        dataset: the data set; a folder of photos may be divided before it is decoded, to see that
            it can be.
        val: share (below 1) or count (1 and above) of validation images; default a tenth of the
            training images, at most 5,000.
        test: share or count of test images, where the set has no test part; default a fifth, at
            most 5,000.
        split_seed: another number gives another split. Has nothing to do with the training seed.

    Raises:
        ConfigError: a size that leaves a split empty.
        DataError: a single class, or one with too few images to be in all three splits.
    """
    DATA["split_seed"].check(split_seed, DATA["split_seed"].flag)
    _check_classes(dataset)
    _check_own_splits(dataset, val, test)
    parts = dataset.parts
    rest = parts.get("train", np.arange(len(dataset)))
    test_part = parts.get("test", parts.get("val"))
    if test_part is None:
        rest, test_part = _cut(dataset, rest, test, DEFAULT_TEST, split_seed, "test")
    if "val" in parts and "test" in parts:
        train_part, val_part = rest, parts["val"]
    else:
        train_part, val_part = _cut(dataset, rest, val, DEFAULT_VAL, split_seed, "val")
    splits = Splits(np.sort(train_part), np.sort(val_part), np.sort(test_part))
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


def _cut(
    dataset: Source,
    pool: NDArray[np.int64],
    size: float | None,
    default: float,
    split_seed: int,
    split: str,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide `pool` into (what is left, what is cut), stratified by class."""
    labels = dataset.labels[pool]
    present, counts = np.unique(labels, return_counts=True)
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
    count = _count(size, default, len(pool), len(present), split)
    if count < len(present) or len(pool) - count < len(present):
        raise ConfigError(
            _(
                "--{split} {given} would take {count} of {total} images; with {classes} classes "
                "allowed: {low} to {high}",
                split=split,
                given=size if size is not None else default,
                count=count,
                total=len(pool),
                classes=len(present),
                low=len(present),
                high=len(pool) - len(present),
            )
        )
    taken = _stratified_choice(labels, count, split_seed)  # (n,) bool
    return pool[~taken], pool[taken]


def _count(size: float | None, default: float, total: int, classes: int, split: str) -> int:
    if size is None:  # of each class one at least, which few photos may need
        return max(min(math.ceil(default * total), LARGEST_DEFAULT), classes)
    size = DATA[split].read(size, DATA[split].flag)
    return math.ceil(size * total) if size < 1 else int(size)


def _stratified_choice(labels: NDArray[np.int64], count: int, split_seed: int) -> NDArray[np.bool_]:
    """Choose `count` of the items in proportion to the classes, of each at least one and not all.

    Written here rather than taken from a library, so that a split never changes with a library's
    version. Shares are rounded by largest remainder (Hamilton).
    """
    sizes = np.bincount(labels)
    exact = sizes * count / len(labels)
    wanted = np.clip(exact.astype(np.int64), np.minimum(sizes, 1), np.maximum(sizes - 1, 0))
    while wanted.sum() < count:  # give to whoever is most short of its share
        wanted[np.argmin(np.where(wanted < sizes - 1, wanted - exact, np.inf))] += 1
    while wanted.sum() > count:  # take from whoever is most above it
        wanted[np.argmax(np.where(wanted > 1, wanted - exact, -np.inf))] -= 1
    generator = np.random.Generator(np.random.PCG64(split_seed))
    taken = np.zeros(len(labels), bool)
    for index, size in enumerate(wanted):
        members = np.flatnonzero(labels == index)
        taken[generator.permutation(members)[:size]] = True
    return taken
