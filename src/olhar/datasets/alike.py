"""What belongs together by its looks: copies, near-duplicates, bursts, frames. Found once, then cached.

Does not know: splits, or what a user says of groups. It is found on greys of 32×32 pixels, whatever
size a network takes, so that it depends on the data alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.cache_place import cache_folder
from olhar.datasets import near
from olhar.datasets.bursts import counted_frames, taken_together
from olhar.datasets.dataset import Dataset
from olhar.datasets.decode import decode_folder
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.source import Source
from olhar.errors import explain_os_errors
from olhar.files import sha256_file, write_atomic_with
from olhar.preprocess import Framing
from olhar.progress import Progress
from olhar.shown import readable_name

MANY = 20_000  # images; above it only copies are looked for
_SIDE = 32  # pixels; smaller images are alike without being the same picture
_LEAST_CONTRAST = 4.0  # standard deviation of greys
_LEAST_OF_COPIES = 1.0  # of images of one colour many are equal without being copies
_VERSION = 1  # of what is cached

Ids = NDArray[np.int64]
Greys = NDArray[np.uint8]


@dataclass(frozen=True)
class Alike:
    """What belongs together, of each row of a source.

    Attributes:
        near: (N,) int64, equal where images are copies or near-duplicates.
        bursts: (N,) int64, equal where photos were taken one after another.
    """

    near: Ids
    bursts: Ids


class _Quiet(Progress):
    """Shows how far a long job is; what it notes is said elsewhere."""

    def __init__(self, progress: Progress) -> None:
        self.start, self.advance = progress.start, progress.advance  # type: ignore[method-assign]


def find_alike(
    source: Source, progress: Progress, workers: int = 0, dataset: Source | None = None
) -> Alike:
    """Look for images of a source that belong together.

    Args:
        source: as open_source gives it; photos that cannot be read belong to nothing.
        progress: hears of the progress.
        workers: processes that decode photos; 0 means one a core.
        dataset: the same decoded, where it is: then many photos need not be read again.

    Raises:
        NoPermissionError, MissingFileError: a photo may not be read, or has gone.
        StorageError: the disk is full or failing.
    """
    if not isinstance(source, PhotoFolder):
        return _cached(source.fingerprint, len(source), lambda: _in_arrays(source, progress))
    key = hashlib.sha256(json.dumps([str(source.path), source.digest()]).encode()).hexdigest()
    if len(source) > MANY:
        return _cached(key, len(source), lambda: copies_among_many(source, dataset))
    return _cached(key, len(source), lambda: _in_photos(source, progress, workers))


def rows_of(source: Source, dataset: Source) -> Ids:
    """The rows of a source that a data set has, (n,) int64.

    Args:
        source: as open_source gives it.
        dataset: the same, without what cannot be read.
    """
    if len(source) == len(dataset):
        return np.arange(len(source), dtype=np.int64)
    row_of = {readable_name(file): row for row, file in enumerate(source.files)}
    return np.array([row_of[readable_name(file)] for file in dataset.files], np.int64)


def join(count: int, pairs: Iterable[tuple[int, int]]) -> Ids:
    """(count,) int64: of each row the first row that it hangs together with by pairs."""
    ids = np.arange(count, dtype=np.int64)
    for group in near.groups(pairs):
        ids[group] = group[0]
    return ids


def pairs_of(ids: Ids) -> list[tuple[int, int]]:
    """Each row with the first of its group, where that is another."""
    _ids, first, group = np.unique(ids, return_index=True, return_inverse=True)
    rows = np.flatnonzero(first[group] != np.arange(len(ids)))
    return list(zip(first[group][rows].tolist(), rows.tolist(), strict=True))


def _cached(key: str, count: int, find: Callable[[], Alike]) -> Alike:
    path = cache_folder() / "groups" / f"{key[:32]}-{_VERSION}.npy"
    try:
        found = np.load(path)
        if found.shape == (2, count) and found.dtype == np.int64 and (found < count).all():
            return Alike(*found)
    except (OSError, EOFError, ValueError):  # absent or damaged
        pass
    alike = find()
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stacked = np.stack([alike.near, alike.bursts])
        write_atomic_with(path, lambda aside: np.save(aside, stacked))
    return alike


def copies_among_many(folder: PhotoFolder, dataset: Source | None) -> Alike:
    """Copies alone, by the digests of a data set where it has them, else by reading the files.

    Args:
        folder: the photos.
        dataset: the same decoded, where it is.
    """
    alone = np.arange(len(folder), dtype=np.int64)
    if not isinstance(dataset, Dataset) or dataset.digests is None:
        return Alike(join(len(folder), _copies_in(folder)), alone)
    rows = rows_of(folder, dataset)
    beginnings = np.ascontiguousarray(dataset.digests[:, :16]).view("<u8")  # (n, 2): half of each
    _found, first, group = np.unique(beginnings, axis=0, return_index=True, return_inverse=True)
    near = alone.copy()
    near[rows] = rows[first[group.ravel()]]
    return Alike(near, alone)


def _copies_in(folder: PhotoFolder) -> Iterable[tuple[int, int]]:
    sizes = folder.stamps[:, 0].tolist()
    return _copies(sizes, lambda row: _digest(folder.path / folder.files[row]))


def _in_photos(folder: PhotoFolder, progress: Progress, workers: int) -> Alike:
    alone = np.arange(len(folder), dtype=np.int64)
    framing = Framing(_SIDE, 1, resize="squash")
    dataset = decode_folder(folder, framing, _Quiet(progress), workers)
    rows = rows_of(folder, dataset)
    greys = dataset.images[..., 0]  # (n, 32, 32) uint8
    blank = set(rows[greys.std((1, 2)) < _LEAST_OF_COPIES].tolist())
    alike = [pair for pair in _copies_in(folder) if pair[0] not in blank]
    if min(folder.image_shape[1:]) >= _SIDE:
        again = {row for _first, row in alike}
        places = [place for place, row in enumerate(rows.tolist()) if row not in again]
        originals = np.array(places, np.int64)
        found = near.near_pairs(greys[..., None], originals, progress)
        alike += [(int(rows[one]), int(rows[other])) for one, other, _likeness in found]
    bursts = alone.copy()
    bursts[rows] = rows[find_bursts(folder, rows, greys)]
    return Alike(join(len(folder), alike), bursts)


def _digest(path: Path) -> str:
    """Of a file's content; of one that may not be read now its own, so that it is nobody's copy."""
    try:
        return sha256_file(path)
    except OSError:
        return str(path)


def find_bursts(folder: PhotoFolder, rows: Ids, greys: Greys) -> Ids:
    """Photos of a folder that were taken one after another.

    Args:
        folder: the photos.
        rows: (n,) int64, those that can be read.
        greys: (n, 32, 32) uint8, of these.

    Returns:
        (n,) int64, equal where photos belong together.
    """
    if len(rows) > MANY:
        return np.arange(len(rows), dtype=np.int64)
    files = [folder.files[row] for row in rows]
    directions = near.directions(np.asarray(greys))
    directions[greys.std((1, 2)) < _LEAST_CONTRAST] = 0
    pairs = taken_together(folder.path, files)
    pairs += counted_frames(files, folder.labels[rows], directions)
    return join(len(rows), pairs)


def _in_arrays(dataset: Source, progress: Progress) -> Alike:
    if isinstance(dataset, PhotoFolder):
        raise TypeError(dataset)
    images, count = dataset.images, len(dataset)
    blank = {row for row, image in enumerate(images) if image.std() < _LEAST_OF_COPIES}
    digests = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
    alike = [pair for pair in _copies(digests, digests.__getitem__) if pair[0] not in blank]
    if count <= MANY and min(images.shape[1:3]) >= _SIDE:
        again = {row for _first, row in alike}
        originals = np.array([row for row in range(count) if row not in again], np.int64)
        alike += [
            (one, other) for one, other, _likeness in near.near_pairs(images, originals, progress)
        ]
    return Alike(join(count, alike), np.arange(count, dtype=np.int64))


def _copies(looks: Sequence[object], digest: Callable[[int], object]) -> Iterable[tuple[int, int]]:
    """Pairs of rows that may be equal and whose digests are: each with the first of them."""
    same = defaultdict(list)
    for row, look in enumerate(looks):
        same[look].append(row)
    for members in same.values():
        first: dict[object, int] = {}
        for row in members if len(members) > 1 else ():
            other = first.setdefault(digest(row), row)
            if other != row:
                yield other, row
