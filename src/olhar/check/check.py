"""A data set checked before anybody trains with it.

Does not know: how findings are shown, or what is done about them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.check.finding import KINDS, Finding
from olhar.check.findings import (
    Pool,
    class_findings,
    duplicate_findings,
    label_findings,
    photo_findings,
)
from olhar.check.labels import check_labels, simple_features
from olhar.check.measure import Photo, measure_photos
from olhar.data_settings import DataSettings
from olhar.datasets import near
from olhar.datasets.alike import Alike, find_bursts, join
from olhar.datasets.dataset import Dataset
from olhar.datasets.describe import describe_dataset, describe_photos
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.groups import find_groups
from olhar.datasets.source import Source
from olhar.datasets.splits import split_dataset
from olhar.errors import DataError, OlharError
from olhar.i18n import _
from olhar.images import read_image
from olhar.progress import Progress
from olhar.shown import readable_name

FORMAT = 1
LEAST_ACCURACY = 0.8
_FEWEST = 10  # photos of a class whose labels are checked
_NEAR_SIDE = 32  # smaller images are alike without being the same picture

Features = Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class CheckReport:
    """What a check has found.

    Attributes:
        source: what was checked.
        facts: what is in it, as describe_dataset gives it; splits is None where it has none.
        findings: by kind, in the order of `KINDS`.
    """

    source: Source
    facts: dict[str, Any]
    findings: tuple[Finding, ...]

    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind that there is."""
        kinds = [finding.kind for finding in self.findings]
        return {kind: kinds.count(kind) for kind in KINDS if kind in kinds}

    def to_dict(self) -> dict[str, Any]:
        """As `olhar data --json` prints it."""
        return {
            "format": FORMAT,
            **self.facts,
            "counts": self.counts(),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def check_source(
    source: Source,
    progress: Progress,
    *,
    labels: bool = True,
    features: Features | None = None,
    workers: int = 0,
) -> CheckReport:
    """Look for what would spoil a training: bad files, duplicates, leaks, wrong labels.

    Every photo is read once; nothing is changed. Near-duplicates are looked for among images of
    32 pixels and more a side.

    Args:
        source: as open_source gives it.
        progress: hears of the progress.
        labels: whether labels are checked (see labels.check_labels).
        features: given rows of the source (n,) int64, returns (n, D) float32 to check labels by; by
            default shape and colour without a network. Rows are of readable photos only.
        workers: processes that read photos; 0 means one a core.

    Raises:
        StorageError: the disk that holds temporary files is full.
    """
    if isinstance(source, PhotoFolder):
        found = _check_folder(source, progress, labels, features, workers)
    else:
        found = _check_arrays(source, progress, labels, features)
    order = list(KINDS)
    facts, findings = found
    ranked = sorted(findings, key=lambda finding: order.index(finding.kind))
    return CheckReport(source, facts, tuple(ranked))


def _check_folder(
    folder: PhotoFolder,
    progress: Progress,
    labels: bool,  # noqa: FBT001
    features: Features | None,
    workers: int,
) -> tuple[dict[str, Any], list[Finding]]:
    photos, images = measure_photos(folder.path, folder.files, progress, workers)
    good = np.array([row for row, photo in enumerate(photos) if not photo.problem], np.int64)
    left = _without_bad(folder, photos, good)
    findings = list(photo_findings(folder.files, photos))
    if not len(good):
        return describe_photos(left, ""), findings
    part_of = _parts_of(folder)
    pool = Pool(
        names=folder.files,
        labels=folder.labels,
        class_names=folder.class_names,
        parts=part_of,
        digests=[photo.sha256 for photo in photos],
        root=folder.path,
    )
    pool, groups = _same_pictures(pool, images, good, photos, progress)
    divided: list[str] = [""] * len(folder)
    kept = None
    try:
        alike = _alike(left, good, groups, images)
        kept = find_groups(left, DataSettings(folder.name), progress, alike=alike).ids
        splits = split_dataset(left, groups=kept)
    except DataError as error:
        findings.append(Finding("cannot_train", str(error)))
    else:
        for split in ("train", "val", "test") if not folder.parts else ():
            for place in getattr(splits, split):
                divided[good[place]] = split
    facts = describe_photos(left, _fingerprint(left, [photos[row] for row in good]), kept)
    findings += duplicate_findings(pool, groups, divided)
    train = [row for row in good if part_of[row] in {"", "train"}]
    findings += class_findings(folder.labels[train], folder.class_names, files=True)
    if labels:
        made = features or (lambda rows: simple_features(images, rows))
        findings += _check_labels(pool, _once(good, groups), made, progress)
    return facts, findings


def _without_bad(
    folder: PhotoFolder, photos: Sequence[Photo], good: NDArray[np.int64]
) -> PhotoFolder:
    """The folder as training sees it: bad photos set aside."""
    parts = {
        part: np.flatnonzero(np.isin(good, rows)).astype(np.int64)
        for part, rows in folder.parts.items()
    }
    bad = [
        (readable_name(file), photo.reason)
        for file, photo in zip(folder.files, photos, strict=True)
        if photo.problem
    ]
    return dataclasses.replace(
        folder,
        files=tuple(folder.files[row] for row in good),
        labels=folder.labels[good],
        stamps=folder.stamps[good],
        parts=parts,
        set_aside=tuple(bad),
    )


def _alike(
    left: PhotoFolder,
    good: NDArray[np.int64],
    groups: Sequence[Sequence[int]],
    images: NDArray[np.uint8],
) -> Alike:
    """What belongs together of the readable photos, from what the check has found already."""
    place = {row: at for at, row in enumerate(good.tolist())}
    pairs = [(place[group[0]], place[row]) for group in groups for row in group[1:]]
    greys = near.small_greys(images, good)
    rows = np.arange(len(good), dtype=np.int64)
    return Alike(join(len(good), pairs), find_bursts(left, rows, greys))


def _fingerprint(folder: PhotoFolder, photos: Sequence[Photo]) -> str:
    """That of datasets.decode, over the readable photos."""
    digest = hashlib.sha256()
    for file, label, photo in zip(folder.files, folder.labels.tolist(), photos, strict=True):
        name = folder.class_names[label]
        digest.update(f"{readable_name(file)}\0{name}\0{photo.sha256}\0".encode())
    return digest.hexdigest()


def _parts_of(source: Source) -> list[str]:
    """The part of each item; "" where the data is not divided."""
    found = [""] * len(source)
    for part, rows in source.parts.items():
        for row in rows:
            found[row] = part
    return found


def _same_pictures(
    pool: Pool,
    images: NDArray[np.uint8],
    good: NDArray[np.int64],
    photos: Sequence[Photo] | None,
    progress: Progress,
) -> tuple[Pool, list[list[int]]]:
    """The pool with equal digests where pixels are equal, and the rows that show one picture."""
    first: dict[str, int] = {}
    same = [(first.setdefault(pool.digests[row], row), row) for row in good.tolist()]
    pairs = [(a, b) for a, b in same if a != b]
    digests = list(pool.digests)
    if min(images.shape[1:3]) >= _NEAR_SIDE:
        large = [r for r in first.values() if photos is None or _shortest(photos[r]) >= _NEAR_SIDE]
        originals = np.array(sorted(large), np.int64)
        for i, j, _likeness in near.near_pairs(images, originals, progress):
            pairs.append((i, j))
            if photos is not None and pool.root is not None and _same_size(photos[i], photos[j]):
                a, b = (_pixels(pool.root / pool.names[row]) for row in (i, j))
                if a and a == b:
                    digests = [digests[i] if d == digests[j] else d for d in digests]
    return dataclasses.replace(pool, digests=digests), near.groups(pairs)


def _shortest(photo: Photo) -> int:
    return min(photo.width, photo.height)


def _same_size(one: Photo, other: Photo) -> bool:
    return (one.width, one.height) == (other.width, other.height)


def _pixels(path: Path) -> str:
    """A digest of all pixels of a photo, as it is shown."""
    try:
        return hashlib.sha256(read_image(path).tobytes()).hexdigest()
    except OlharError:  # it has gone since
        return ""


def _once(rows: NDArray[np.int64], groups: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Rows without the copies of others: a model that has seen one would vouch for its label."""
    copies = [row for group in groups for row in group[1:]]
    return rows[~np.isin(rows, copies)]


def _check_labels(
    pool: Pool, good: NDArray[np.int64], features: Features, progress: Progress
) -> Iterator[Finding]:
    counts = np.bincount(pool.labels[good], minlength=len(pool.class_names))
    enough = counts >= _FEWEST
    rows = good[enough[pool.labels[good]]]
    if enough.sum() < 2:
        text = _("there are no two classes with {fewest} photos or more", fewest=_FEWEST)
        yield Finding("labels_unchecked", text)
        return
    if importlib.util.find_spec("sklearn") is None:
        text = _(
            'checking labels needs scikit-learn, which is not installed: pip install "olhar[train]"'
        )
        yield Finding("labels_unchecked", text)
        return
    progress.start(_("checking labels"), 1)
    check = check_labels(features(rows), pool.labels[rows], seed=0)
    yield from label_findings(pool, rows, check, LEAST_ACCURACY)


def item_names(dataset: Dataset) -> list[str]:
    """How findings call the items of a set of arrays: its files, or part/index."""
    if dataset.files:
        return list(dataset.files)
    names = [dataset.item_name(row) for row in range(len(dataset))]
    return [f"{p}/{n}" if p else n for p, n in zip(_parts_of(dataset), names, strict=True)]


def _check_arrays(
    dataset: Dataset,
    progress: Progress,
    labels: bool,  # noqa: FBT001
    features: Features | None,
) -> tuple[dict[str, Any], list[Finding]]:
    images = dataset.images
    pool = Pool(
        names=item_names(dataset),
        labels=dataset.labels,
        class_names=dataset.shown_names,
        parts=_parts_of(dataset),
        digests=[hashlib.sha256(image.tobytes()).hexdigest() for image in images],
    )
    rows = np.arange(len(dataset), dtype=np.int64)
    pool, groups = _same_pictures(pool, images, rows, None, progress)
    findings = list(duplicate_findings(pool, groups, ()))
    train = dataset.labels[dataset.parts["train"]] if "train" in dataset.parts else dataset.labels
    findings += class_findings(train, dataset.shown_names, files=False)
    if labels:
        made = features or (lambda rows: simple_features(images, rows))
        findings += _check_labels(pool, _once(rows, groups), made, progress)
    return describe_dataset(dataset, progress), findings
