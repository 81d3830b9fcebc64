"""Which images belong together, so that no split may divide them: found in the data, or given.

Does not know: how a split is made (see splits), or how photos are compared (see alike).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.data_settings import DataSettings
from olhar.datasets.alike import Alike, find_alike, join, pairs_of, rows_of
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.given_groups import given_groups
from olhar.datasets.source import ALL_NAMES, Source
from olhar.datasets.splits import Splits, split_dataset
from olhar.i18n import Text, _
from olhar.progress import Progress

_WHOLE_CLASS = 0.75  # a group that holds more of a class is what the class looks like
_NAMED, _SPLITS = 5, 3

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Which images belong together.

    Attributes:
        ids: (N,) int64, equal where images stay together; of each its first row.
        near: (N,) int64, equal where images are copies or near-duplicates, whether they are kept
            together or not.
        notes: what was found, for people.
        facts: the same for programs: how many groups of each kind, and the size of the largest.
    """

    ids: Ids
    near: Ids
    notes: tuple[Text, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def of(self, source: Source, dataset: Source) -> Groups:
        """Those of a source's images that a data set has.

        Args:
            source: what they were found in.
            dataset: the same, without what cannot be read.
        """
        if len(source) == len(dataset):
            return self
        rows = rows_of(source, dataset)
        ids, near = (_first_rows(some[rows]) for some in (self.ids, self.near))
        return Groups(ids, near, self.notes, self.facts)

    def digest(self) -> str:
        """Hex digits that are the same where the groups are; "" where there are none."""
        if len(np.unique(self.ids)) == len(self.ids):
            return ""
        return hashlib.sha256(_first_rows(self.ids).astype("<i8").tobytes()).hexdigest()[:16]


def find_groups(
    source: Source,
    wanted: DataSettings,
    progress: Progress,
    workers: int = 0,
    alike: Alike | None = None,
    dataset: Source | None = None,
) -> Groups:
    """The groups of a source, as they are wanted.

    What a user says comes first, and then alone: a column of the table, a pattern, or groups.csv in
    the folder. Else they are found: folders below those of the classes, near-duplicates, bursts.
    Data with a name has none.

    Args:
        source: as open_source gives it.
        wanted: how groups are wanted.
        progress: hears of the progress, not of the notes.
        workers: processes that decode photos; 0 means one a core.
        alike: what belongs together by its looks, where that is known.
        dataset: the source decoded, where it is (see find_alike).

    Raises:
        ConfigError: a column or pattern for data that has none to match.
        DataError: groups.csv cannot be used.
    """
    alone = np.arange(len(source), dtype=np.int64)
    named = source.name in ALL_NAMES
    given = None if wanted.groups == "none" else given_groups(source, wanted)
    if named:
        alike = Alike(alone, alone)
    alike = alike or find_alike(source, progress, workers, dataset)
    if wanted.groups == "none":
        return Groups(alone, alike.near)
    if given is not None:
        kind, values = given
        ids = _by_values(values)
        return Groups(ids, alike.near, _say_given(kind, values, ids), _facts({"given": ids}))
    folders, few = (alone, []) if named else _by_folders(source)
    kinds = {"folders": folders, "near": alike.near, "bursts": alike.bursts}
    return _found(source, kinds, few)


# Found in the data


def _found(source: Source, kinds: dict[str, Ids], few: Sequence[str]) -> Groups:
    notes, whole, pairs = [], set[str](), list[tuple[int, int]]()
    if few:
        notes.append(
            _(
                "the folders below those of {names} are too few or too large to have some in each split, "
                "so that photos of one folder lie in several; if they belong together, add photos in "
                "other folders",
                names=_few_of(few),
            )
        )
    sizes = np.bincount(source.labels)
    kept = {}
    for kind, ids in kinds.items():
        kept[kind] = ids.copy()
        for rows in _large_groups(ids):
            inside = np.bincount(source.labels[rows], minlength=len(sizes))
            classes = np.flatnonzero(inside > _WHOLE_CLASS * sizes)
            if len(classes):
                kept[kind][rows] = rows
                whole |= {source.class_names[row] for row in classes}
        before = join(len(source), pairs)
        for rows in _large_groups(kept[kind]):
            if len(np.unique(before[rows])) == 1:  # together already, and said
                kept[kind][rows] = rows
        if pairs_of(kept[kind]):
            notes.append(_say_found(kind, kept[kind]))
        pairs += pairs_of(kept[kind])
    if whole:
        notes.append(
            _(
                "of {names} nearly all photos look like copies or frames of each other, and are divided "
                "all the same: their scores flatter; add photos of other objects or days",
                names=_few_of(sorted(whole)),
            )
        )
    return Groups(join(len(source), pairs), kinds["near"], tuple(notes), _facts(kept))


def _few_of(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _say_found(kind: str, ids: Ids) -> Text:
    count, largest = _sizes(ids)
    if kind == "folders":
        return _(
            "{count} group(s) by the folders below those of the classes (the largest of {largest} photos) "
            "are kept together in one split",
            count=count,
            largest=largest,
        )
    if kind == "near":
        return _(
            "{count} group(s) of near-duplicates (the largest of {largest} photos) are kept together in "
            "one split",
            count=count,
            largest=largest,
        )
    return _(
        "{count} group(s) of photos taken one after another (the largest of {largest} photos) are kept "
        "together in one split",
        count=count,
        largest=largest,
    )


def _by_folders(source: Source) -> tuple[Ids, list[str]]:
    """Folders below a class's, where most of its photos lie in at least two of them.

    Returns:
        The groups; and the classes whose folders are too few or too large to have some in each split.
    """
    ids, few = np.arange(len(source), dtype=np.int64), list[str]()
    if not isinstance(source, PhotoFolder) or source.rows:
        return ids, few
    depth = 2 if source.parts else 1
    for label, name in enumerate(source.class_names):
        below = defaultdict(list)
        rows = np.flatnonzero(source.labels == label)
        for row in rows.tolist():
            folders = PurePosixPath(source.files[row]).parts[:-1]
            if len(folders) > depth:
                below[folders[: depth + 1]].append(row)
        sizes = [len(members) for members in below.values()]
        if len(below) < 2 or sum(sizes) <= len(rows) / 2:
            continue
        if len(below) + len(rows) - sum(sizes) < _SPLITS or max(sizes) > len(rows) / 2:
            few.append(name)
            continue
        for members in below.values():
            ids[members] = members[0]
    return ids, few


# Given by a user


def _by_values(values: Sequence[str]) -> Ids:
    first: dict[str, int] = {}
    rows = range(len(values))
    ids = [first.setdefault(values[row], row) if values[row] else row for row in rows]
    return np.array(ids, np.int64)


def _say_given(kind: str, values: Sequence[str], ids: Ids) -> tuple[Text, ...]:
    count, largest = _sizes(ids)
    notes = [
        _(
            "{count} group(s) by {kind} (the largest of {largest} photos) are kept together in one split",
            count=count,
            kind=kind,
            largest=largest,
        )
    ]
    without = sum(not value for value in values)
    if without:
        notes.append(
            _(
                "{count} of {total} photos have no group by {kind}; each is a group of its own",
                count=without,
                total=len(values),
                kind=kind,
            )
        )
    return tuple(notes)


# From groups to splits


def divide(
    source: Source, dataset: Source, wanted: DataSettings, progress: Progress, workers: int = 0
) -> Splits:
    """The splits of a data set, which divide no group; what groups there are is noted.

    Args:
        source: as open_source gives it; groups are found in it.
        dataset: the same, or what of it can be read (see prepare_dataset).
        wanted: how it is divided.
        progress: hears of the progress and of the notes.
        workers: processes that decode photos; 0 means one a core.

    Returns:
        The splits. Their `facts` have a digest of the groups, how many there are of each kind, `leaks`
        (see find_leaks), `divided` (the same of groups that should have been kept together, where there are
        too few), and `conflicts`, how many groups of near-duplicates are in several classes.

    Raises:
        ConfigError, DataError: see find_groups and split_dataset.
    """
    groups = find_groups(source, wanted, progress, workers, dataset=dataset).of(source, dataset)
    splits = split_dataset(
        dataset,
        val=wanted.val,
        test=wanted.test,
        split_seed=wanted.split_seed,
        groups=groups.ids,
    )
    leaks = find_leaks(groups, splits)
    conflicts = _in_two_classes(groups, dataset)
    facts = {**groups.facts, **({"leaks": leaks} if leaks else {})}
    if conflicts:
        facts["conflicts"] = conflicts
    if groups.digest():
        facts["digest"] = groups.digest()
    cut = not {"val", "test"} <= set(dataset.parts)
    divided = _apart(groups.ids, splits) if cut else {}
    if divided:
        facts["divided"] = divided
    for note in (*(groups.notes if cut else ()), *splits.notes):
        progress.note(note)
    if leaks:
        progress.note(say_leaks(leaks, splits))
    if conflicts:
        progress.note(
            _(
                "{count} picture(s) lie in more than one class, as copies or near-duplicates: no model can "
                "answer all of them rightly, and olhar data names them",
                count=conflicts,
            )
        )
    return dataclasses.replace(splits, facts=facts)


def _in_two_classes(groups: Groups, dataset: Source) -> int:
    """How many groups of near-duplicates hold images of more than one class."""
    _ids, member = np.unique(groups.near, return_inverse=True)
    found = np.unique(member.astype(np.int64) * dataset.num_classes + dataset.labels)
    return int((np.bincount(found // dataset.num_classes) > 1).sum())


def find_leaks(groups: Groups, splits: Splits) -> dict[str, int]:
    """Near-duplicates that lie in more than one split.

    Returns:
        groups: how many; test: how many test images have one in train or val. Empty where there are
        none.
    """
    return _apart(groups.near, splits)


def _apart(together: Ids, splits: Splits) -> dict[str, int]:
    """How many groups lie in more than one split, and how many test images have one of theirs elsewhere."""
    ids, member = np.unique(together, return_inverse=True)
    counts = np.array(
        [
            np.bincount(member[rows], minlength=len(ids))
            for rows in (splits.train, splits.val, splits.test)
        ]
    )  # (3, groups)
    apart = (counts > 0).sum(axis=0) > 1
    return {"groups": int(apart.sum()), "test": int(counts[2, apart].sum())} if apart.any() else {}


def say_leaks(leaks: dict[str, int], splits: Splits) -> Text:
    """A sentence on what `find_leaks` has found."""
    return _(
        "{count} group(s) of near-duplicates lie in more than one split; {seen} of {total} test photos "
        "have one in train or val, so that the score flatters; olhar data names them",
        count=leaks["groups"],
        seen=leaks["test"],
        total=len(splits.test),
    )


def _first_rows(ids: Ids) -> Ids:
    """The same groups, each called by its first row."""
    _ids, first, group = np.unique(ids, return_index=True, return_inverse=True)
    rows: Ids = first[group].astype(np.int64)
    return rows


def _large_groups(ids: Ids) -> list[Ids]:
    """The rows of each group of two and more."""
    order = np.argsort(ids, kind="stable")
    _ids, starts, counts = np.unique(ids[order], return_index=True, return_counts=True)
    several = counts > 1
    ends = (starts + counts)[several].tolist()
    return [order[start:end] for start, end in zip(starts[several].tolist(), ends, strict=True)]


def _sizes(ids: Ids) -> tuple[int, int]:
    sizes = [len(rows) for rows in _large_groups(ids)]
    return len(sizes), max(sizes, default=0)


def _facts(kinds: dict[str, Ids]) -> dict[str, Any]:
    sizes = {kind: _sizes(ids) for kind, ids in kinds.items()}
    return {k: {"groups": count, "largest": most} for k, (count, most) in sizes.items() if count}
