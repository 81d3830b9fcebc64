"""Photos taken one after another: by their cameras' clocks, or as frames that are counted and look alike.

Does not know: classes' names, splits, or photos that show the same picture (see near).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from olhar.images import open_header

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
Pairs = list[tuple[int, int]]

_MODEL, _EXIF, _TAKEN = 0x0110, 0x8769, 0x9003  # EXIF 2.32: Model, Exif IFD, DateTimeOriginal
_WITH_EXIF = frozenset({".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp"})
_BETWEEN_S = 3.0
_MOST_A_SECOND = 30  # more photos of one second are of a clock that stands still
_COUNTED = re.compile(r"(.*?)(?<!\d)(\d{1,9})(\D*)", re.DOTALL)
_FRAMES = re.compile(r"frame|video|clip|movie|scene|burst|vid[_\-\d]|seq[_\-\d]", re.IGNORECASE)
_FEWEST = 3  # of a sequence
_SAMPLE = 4_000  # pairs of a class, for how alike its photos are anyway
_FAR = 20  # places apart in a sequence: no neighbours
_FEWEST_OTHERS = 20  # pairs, to know how alike they are
_SEQUENCE_LIKENESS, _PAIR_LIKENESS = 0.7, 0.9


def taken_together(root: Path, files: Sequence[str]) -> Pairs:
    """Pairs of photos that one model of camera took at most three seconds apart.

    Args:
        root: the folder.
        files: paths in it.

    Returns:
        Rows of neighbours in time; empty where photos have no time.
    """
    taken = defaultdict(list)
    for row, file in enumerate(files):
        if PurePosixPath(file).suffix.lower() in _WITH_EXIF:
            camera, when = _read_exif(root / file)
            if camera and when is not None:
                taken[camera].append((when, row))
    pairs = []
    for of_camera in taken.values():
        at_once = Counter(when for when, _row in of_camera)
        shots = sorted(shot for shot in of_camera if at_once[shot[0]] <= _MOST_A_SECOND)
        for (before, one), (after, other) in itertools.pairwise(shots):
            if after - before <= _BETWEEN_S:
                pairs.append((one, other))
    return pairs


def _read_exif(path: Path) -> tuple[str, float | None]:
    """Model of the camera, and when the photo was taken, in seconds of its clock."""
    try:
        with open_header(path) as image:
            exif = image.getexif()
            text = str(exif.get_ifd(_EXIF).get(_TAKEN, ""))
            model = str(exif.get(_MODEL, ""))
        when = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")
        return model.strip("\0 "), (when - datetime(1970, 1, 1)).total_seconds()
    except Exception:  # noqa: BLE001  hostile bytes make decoders raise nearly anything
        return "", None


@dataclass(frozen=True)
class _Sequence:
    """Photos of a folder whose names count: rows in the order of their numbers."""

    name: str
    rows: Ids
    gaps: Ids

    def neighbours(self) -> NDArray[np.int64]:
        """(n, 2): rows that follow each other without one missing."""
        usual = max(1, int(np.median(self.gaps)))
        beside = self.gaps <= usual
        return np.stack([self.rows[:-1][beside], self.rows[1:][beside]], axis=1)


def counted_frames(files: Sequence[str], labels: Ids, directions: Floats) -> Pairs:
    """Pairs of photos that are frames of one film, or of one burst.

    Numbers in names prove nothing by themselves: `IMG_0001.jpg`, `IMG_0002.jpg` are any photos. So
    neighbours have to look more alike than photos of their class do anyway. Where names speak of
    frames, or a class has several sequences, that is asked of the sequence as a whole, and all of it
    is one film; else of each pair, and more strictly.

    Args:
        files: paths.
        labels: (N,) int64.
        directions: (N, D) float32, greys without mean, of length 1 (0 where there is nothing to see):
            see near.directions.
    """
    pairs: Pairs = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found = list(_sequences(files, rows))
        if not found:
            continue
        place = np.full(len(files), -1, np.int64)
        of = np.full(len(files), -1, np.int64)
        for number, sequence in enumerate(found):
            of[sequence.rows], place[sequence.rows] = number, np.arange(len(sequence.rows))
        pair = _sample(rows)
        likeness = _likeness(directions, pair)
        elsewhere = (of[pair[:, 0]] != of[pair[:, 1]]) | (of[pair[:, 0]] < 0)
        apart = elsewhere | (np.abs(place[pair[:, 0]] - place[pair[:, 1]]) > _FAR)
        for sequence in found:
            beside = sequence.neighbours()
            near = _likeness(directions, beside)
            usual = _usual(likeness, [elsewhere, apart], 0.9)
            film = len(found) > 1 or _FRAMES.search(sequence.name)
            if film and np.median(near) >= max(_SEQUENCE_LIKENESS, usual):
                pairs += zip(sequence.rows[:-1].tolist(), sequence.rows[1:].tolist(), strict=True)
            else:
                strict = max(_PAIR_LIKENESS, _usual(likeness, [apart], 0.995))
                pairs += [(a, b) for a, b in beside[near >= strict].tolist()]
    return pairs


def _sequences(files: Sequence[str], rows: Ids) -> Iterator[_Sequence]:
    """Those of some files, of three photos and more; no number is there twice."""
    counted: dict[tuple[str, ...], dict[int, int]] = defaultdict(dict)
    for row in rows.tolist():
        path = PurePosixPath(files[row])
        match = _COUNTED.fullmatch(path.stem)
        if match:
            before, number, after = match.groups()
            counted[str(path.parent), before, after, path.suffix].setdefault(int(number), row)
    for (folder, before, after, _suffix), by_number in counted.items():
        if len(by_number) >= _FEWEST:
            numbers = sorted(by_number)
            in_order = np.array([by_number[number] for number in numbers], np.int64)
            # The class's own name says nothing of its photos.
            name = f"{folder.partition('/')[2]}/{before}{after}"
            yield _Sequence(name, in_order, np.diff(numbers))


def _sample(rows: Ids) -> NDArray[np.int64]:
    """(n, 2): pairs of different rows, by chance, always the same."""
    pair = np.random.Generator(np.random.PCG64(0)).integers(0, len(rows), (_SAMPLE, 2))
    some: Ids = rows[pair[pair[:, 0] != pair[:, 1]]]
    return some


def _likeness(directions: Floats, pair: NDArray[np.int64]) -> Floats:
    likeness: Floats = np.einsum("nd,nd->n", directions[pair[:, 0]], directions[pair[:, 1]])
    return likeness


def _usual(likeness: Floats, kinds: Sequence[NDArray[np.bool_]], share: float) -> float:
    """How alike this share of pairs of the first kind are that is known; inf where none is."""
    for kind in kinds:
        if np.count_nonzero(kind) >= _FEWEST_OTHERS:
            return float(np.quantile(likeness[kind], share))
    return float("inf")
