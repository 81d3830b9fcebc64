"""Groups of items that stay together: chosen whole for a split, or dealt out to folds.

Does not know: images, files, or why items belong together. Written here rather than taken from a
library, so that a split never changes with a library's version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from olhar.errors import DataError
from olhar.i18n import _

Ids = NDArray[np.int64]
_Content = list[tuple[int, int]]  # classes of a group, and how many items of each


def group_folds(labels: Ids, groups: Ids, k: int, seed: int) -> list[tuple[Ids, Ids]]:
    """Folds of cross-validation in which no group is divided, stratified as well as groups allow.

    Large groups are dealt out first, each to the fold that has least of its classes, in shares of
    the class; then to the fold that has fewest items. Where every group is of one class, the counts
    of a class differ between folds by no more than its largest group. Where items are groups of
    their own, by one. A class whose items are a single group is missing from the training rows of
    one fold; where groups hold several classes, a class of few groups may be too.

    Args:
        labels: (n,) int64, classes of the items.
        groups: (n,) int64, equal where items stay together; any numbers.
        k: how many folds.
        seed: another number deals otherwise.

    Returns:
        (training rows, held-out rows) of each fold, sorted positions (m,) int64 in `labels`; each
        row is held out in one fold.

    Raises:
        DataError: there are fewer groups than folds.
    """
    member, contents = _contents(labels, groups)
    if len(contents) < k or k < 2:
        raise DataError(
            _(
                "{k} folds cannot be made of {count} group(s) of images that stay together; "
                "allowed: 2 to the number of groups",
                k=k,
                count=len(contents),
            )
        )
    total = np.bincount(labels)
    load = np.zeros((k, len(total)))  # share of each class in each fold
    items = np.zeros(k, np.int64)
    fold_of = np.empty(len(contents), np.int64)
    for group in _large_first(contents, seed):
        classes = [label for label, _count in contents[group]]
        counts = np.array([count for _label, count in contents[group]])
        cost = load[:, classes] @ (counts / total[classes])
        fold = np.lexsort((np.arange(k), items, np.round(cost, 12)))[0]
        load[fold, classes] += counts / total[classes]
        items[fold] += counts.sum()
        fold_of[group] = fold
    held = fold_of[member]
    return [(np.flatnonzero(held != fold), np.flatnonzero(held == fold)) for fold in range(k)]


def choose_whole(labels: Ids, groups: Ids, wanted: Ids, leave: int, seed: int) -> NDArray[np.bool_]:
    """Choose whole groups, of each class as near to `wanted` items as they allow.

    Args:
        labels: (n,) int64.
        groups: (n,) int64, equal where items stay together.
        wanted: (K,) int64, items of each class.
        leave: groups of each class that stay where it has more; at least one stays always.
        seed: another number chooses otherwise.

    Returns:
        (n,) bool. Of a class that is one group nothing is taken; of any other, save where its
        groups hold the last of another class, one group at least.
    """
    member, contents = _contents(labels, groups)
    there = [0] * len(wanted)  # groups of each class that have not been taken
    for content in contents:
        for label, _count in content:
            there[label] += 1
    stay = [max(1, min(leave, count - 1)) for count in there]
    missing, taken = wanted.tolist(), np.zeros(len(contents), bool)

    def may(group: int) -> bool:
        free = not taken[group]
        return free and all(there[label] > stay[label] for label, _count in contents[group])

    def take(group: int) -> None:
        taken[group] = True
        for label, count in contents[group]:
            missing[label] -= count
            there[label] -= 1

    def gain(group: int) -> int:
        return sum(count * (2 * missing[label] - count) for label, count in contents[group])

    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(contents)).tolist()
    for group in order:
        if may(group) and all(count <= missing[label] for label, count in contents[group]):
            take(group)
    while True:  # what is a little too large, where that is nearer to what is wanted
        best = max(filter(may, order), key=gain, default=None)
        if best is None or gain(best) <= 0:
            break
        take(best)
    for label, count in enumerate(wanted.tolist()):
        if count and missing[label] == count:
            of_class = (g for g in order if may(g) and label in dict(contents[g]))
            smallest = min(of_class, key=lambda g: sum(n for _c, n in contents[g]), default=None)
            if smallest is not None:
                take(smallest)
    return taken[member]


def _contents(labels: Ids, groups: Ids) -> tuple[Ids, list[_Content]]:
    """Which group each item is in, (n,) int64 from 0 by rising id, and what is in each."""
    ids, member = np.unique(groups, return_inverse=True)
    classes = int(labels.max(initial=0)) + 1
    found, counts = np.unique(member.astype(np.int64) * classes + labels, return_counts=True)
    contents: list[_Content] = [[] for _id in ids]
    for place, count in zip(found.tolist(), counts.tolist(), strict=True):
        contents[place // classes].append((place % classes, count))
    return member.astype(np.int64), contents


def _large_first(contents: list[_Content], seed: int) -> list[int]:
    """By size, then by class, so that what is left over of one class evens out that of another."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(contents)).tolist()
    size_of = [sum(count for _label, count in content) for content in contents]
    return sorted(order, key=lambda group: (-size_of[group], contents[group][0]))
