"""From what is known of the photos to findings.

Does not know: how photos are read, or how findings are shown.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.check.finding import Finding, shown_name, shown_names
from olhar.check.labels import LabelCheck
from olhar.check.measure import Photo
from olhar.i18n import Text, _
from olhar.signatures import HEIF_SUFFIXES, IMAGE_SUFFIXES

FEW_PHOTOS, UNEQUAL = 20, 5
BLANK_CONTRAST, BLURRED = 4.0, 0.33
_SMALLEST_JUDGED = 64  # shortest side; smaller photos are all blurred
_OTHER_SIZE, _HUGE_PIXELS, _LONG = 4, 24_000_000, 3.0
_PARTS = ("train", "val", "test")  # a photo that is in two is kept in the later one
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "BMP": {".bmp"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm"},
    "AVIF": {".avif"},
    "HEIF": HEIF_SUFFIXES,
}


@dataclass(frozen=True)
class Pool:
    """What is checked, wherever it came from.

    Attributes:
        names: of each item: its path, or part/index.
        labels: (N,) int64.
        class_names: in index order, as they are shown.
        parts: of each item; "" in data that is not divided.
        digests: of each item's content; equal where items are equal. "" where it cannot be read.
        root: the folder, None where items are not files.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    class_names: Sequence[str]
    parts: Sequence[str]
    digests: Sequence[str]
    root: Path | None = None

    def class_of(self, row: int) -> str:
        """The class of an item, as it is shown."""
        return shown_name(self.class_names[self.labels[row]])


def photo_findings(names: Sequence[str], photos: Sequence[Photo]) -> Iterator[Finding]:
    """What is wrong with single photos, whatever the others are."""
    good = [photo for photo in photos if not photo.problem and photo.width]
    short = float(np.median([min(p.width, p.height) for p in good])) if good else 0.0
    for name, photo in zip(names, photos, strict=True):
        if photo.problem:
            moves = () if photo.problem == "no_access" else (name,)
            yield Finding(photo.problem, photo.reason, (name,), moves)
        else:
            yield from _look_findings(name, photo, short)
            yield from _header_findings(name, photo)


def _look_findings(name: str, photo: Photo, short: float) -> Iterator[Finding]:
    shown, shortest = shown_name(name), min(photo.width, photo.height)
    facts = {"width": photo.width, "height": photo.height}
    if photo.contrast < BLANK_CONTRAST:
        text = _(
            "'{file}' has hardly any contrast: {contrast} of 128",
            file=shown,
            contrast=photo.contrast,
        )
        yield Finding("blank", text, (name,), facts={"contrast": photo.contrast})
    elif photo.sharpness < BLURRED and shortest >= _SMALLEST_JUDGED:
        text = _(
            "'{file}' is blurred: sharpness {sharpness}, that of a sharp photo is 0.5 to 3",
            file=shown,
            sharpness=f"{photo.sharpness:.2f}",
        )
        yield Finding("blurred", text, (name,), facts={"sharpness": photo.sharpness})
    small = shortest * _OTHER_SIZE < short
    huge = shortest > short * _OTHER_SIZE and photo.width * photo.height > _HUGE_PIXELS
    if small or huge:
        text = _(
            "'{file}' has {width} × {height} pixels; of half the photos the shorter side is "
            "at least {short}",
            file=shown,
            short=round(short),
            **facts,
        )
        yield Finding("extreme_size", text, (name,), facts=facts)
    if max(photo.width, photo.height) > _LONG * shortest:
        text = _(
            "'{file}' has {width} × {height} pixels; the middle that a network sees by "
            "default is {share} % of it",
            file=shown,
            share=round(100 * shortest / max(facts.values())),
            **facts,
        )
        yield Finding("extreme_aspect", text, (name,), facts=facts)


def _header_findings(name: str, photo: Photo) -> Iterator[Finding]:
    shown, suffix = shown_name(name), Path(name).suffix.lower()
    if suffix in IMAGE_SUFFIXES - _SUFFIXES.get(
        photo.format, {suffix}
    ):  # 1.png?w=500 misleads nobody
        text = _("'{file}' is a {format} image", file=shown, format=photo.format)
        yield Finding("wrong_extension", text, (name,), facts={"format": photo.format})
    if photo.orientation not in {0, 1}:
        text = _(
            "'{file}' is turned when it is read (EXIF orientation {number})",
            file=shown,
            number=photo.orientation,
        )
        yield Finding("rotated", text, (name,), facts={"orientation": photo.orientation})


def duplicate_findings(
    pool: Pool, groups: Iterable[Sequence[int]], divided: Sequence[str]
) -> Iterator[Finding]:
    """What is wrong with photos that are the same or nearly so.

    Args:
        pool: the items.
        groups: rows of items that show the same picture; equal digests are in one group.
        divided: the split of each item where the data is not divided by its maker, or ().
    """
    for group in groups:
        parts = {pool.parts[row] for row in group}
        if len({int(pool.labels[row]) for row in group}) > 1:
            named = "; ".join(
                f"{shown_name(pool.names[row])} ({pool.class_of(row)})" for row in group[:5]
            )
            text = _("in different classes, but the same picture: {names}", names=named)
            yield Finding("two_classes", text, _names(pool, group))
        if len(parts) > 1:
            yield _leak(pool, group)
        yield from _copies(pool, group)
        originals = list({pool.digests[row]: row for row in reversed(group)}.values())[::-1]
        if len(parts) == 1 and len(originals) > 1:
            yield _alike(pool, sorted(originals), divided)


def _names(pool: Pool, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(pool.names[row] for row in rows)


def _leak(pool: Pool, group: Sequence[int]) -> Finding:
    """Keeps what is in the latest split, so that the exam stays as it is."""
    last = max((pool.parts[row] for row in group), key=_PARTS.index)
    away = [row for row in group if pool.parts[row] != last]
    counts = defaultdict(list)
    for row in group:
        counts[pool.digests[row]].append(pool.parts[row])
    exact = any(len(set(found)) > 1 for found in counts.values())
    names = shown_names(_names(pool, group))
    text = (
        _("the same photo in more than one split: {names}", names=names)
        if exact
        else _("nearly the same photo in more than one split: {names}", names=names)
    )
    return Finding("leak", text, _names(pool, group), _movable(pool, group, away), {"exact": exact})


def _copies(pool: Pool, group: Sequence[int]) -> Iterator[Finding]:
    """Equal photos in one split and one class."""
    same = defaultdict(list)
    for row in group:
        same[pool.digests[row], pool.parts[row], int(pool.labels[row])].append(row)
    for rows in same.values():
        if len(rows) > 1:
            text = _(
                "{count} times the same photo: {names}",
                count=len(rows),
                names=shown_names(_names(pool, rows)),
            )
            yield Finding(
                "exact_duplicate", text, _names(pool, rows), _movable(pool, rows, rows[1:])
            )


def _alike(pool: Pool, rows: Sequence[int], divided: Sequence[str]) -> Finding:
    names = shown_names(_names(pool, rows))
    text = _("nearly the same photo: {names}", names=names)
    apart = len({divided[row] for row in rows}) > 1 if divided else False
    if apart:
        text = _(
            "nearly the same photo, and the default split puts them into different splits: {names}",
            names=names,
        )
    return Finding("near_duplicate", text, _names(pool, rows), facts={"divided": apart})


def _movable(pool: Pool, group: Sequence[int], away: Sequence[int]) -> tuple[str, ...]:
    """Those of `away` that --fix may move; none where two names of the group are one file.

    A folder of photos may be there twice through a link; moving "one" would take both.
    """
    if pool.root is None:
        return ()
    real = {os.path.realpath(pool.root / pool.names[row]) for row in group}
    return _names(pool, away) if len(real) == len(group) else ()


def class_findings(
    labels: NDArray[np.int64], class_names: Sequence[str], *, files: bool
) -> Iterator[Finding]:
    """What is wrong with the sizes of the classes.

    Args:
        labels: (n,) int64, of what there is to train with.
        class_names: in index order, as they are shown.
        files: whether the items are photos in files, that more could be added to.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    few = np.flatnonzero(counts < FEW_PHOTOS)
    sizes = {class_names[row]: int(counts[row]) for row in np.argsort(counts, kind="stable")}
    if files and len(few):
        named = ", ".join(f"{shown_name(n)} {c}" for n, c in list(sizes.items())[: len(few)][:10])
        text = _(
            "{count} of {classes} classes have fewer than {few} photos to train with: {names}",
            count=len(few),
            classes=len(counts),
            few=FEW_PHOTOS,
            names=named,
        )
        yield Finding("few_photos", text, facts={"classes": sizes})
    if counts.max() >= UNEQUAL * max(int(counts.min()), 1):
        (least, small), *_between, (most, large) = sizes.items()
        text = _(
            "'{most}' has {large} photos to train with, '{least}' {small}",
            most=shown_name(most),
            large=large,
            least=shown_name(least),
            small=small,
        )
        yield Finding("imbalance", text, facts={"classes": sizes})


def label_findings(
    pool: Pool, rows: NDArray[np.int64], check: LabelCheck, least_accuracy: float
) -> Iterator[Finding]:
    """Labels that are doubted, or one note where the check could not tell the classes apart.

    Args:
        pool: the items.
        rows: (n,) int64, those that were checked; the check's rows are indices into it.
        check: as check_labels gives it.
        least_accuracy: below it the check says nothing.
    """
    percent = round(100 * check.accuracy)
    if check.accuracy < least_accuracy:
        text: Text = _(
            "simple features put only {percent} % of the photos into the class they are "
            "in, too few to doubt a label by them",
            percent=percent,
        )
        yield Finding("labels_unchecked", text, facts={"accuracy": round(check.accuracy, 4)})
        return
    doubted = zip(check.suspects, check.suggested, check.probability, strict=True)
    for place, other, probability in doubted:
        row = int(rows[place])
        name, suggested = pool.names[row], pool.class_names[other]
        text = _(
            "'{file}' is in {given}, but looks like {other} ({percent} %)",
            file=shown_name(name),
            given=pool.class_of(row),
            other=shown_name(suggested),
            percent=round(100 * probability),
        )
        facts = {
            "label": pool.class_names[pool.labels[row]],
            "suggested": suggested,
            "probability": round(float(probability), 4),
        }
        moves = (name,) if pool.root is not None else ()
        yield Finding("label_error", text, (name,), moves, facts)
