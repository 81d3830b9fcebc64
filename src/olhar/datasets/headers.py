"""What many photos are like, from the headers of a few; only 16-bit greys are decoded."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from olhar.depth import used_bits
from olhar.errors import DataError, ImageError
from olhar.i18n import Text, _
from olhar.images import MAX_PIXELS, open_header, read_image

_HEADERS = 64
_PAGED = {"TIFF", "GIF", "WEBP", "PNG", "AVIF"}  # not MPO and HEIF: phones keep previews there
_ORIENTATION_TAG = 0x0112
_TURNED = {5, 6, 7, 8}  # EXIF 2.32, 4.6.4 A, Orientation: those that exchange width and height


def typical_shape(name: str, root: Path, files: Sequence[str]) -> tuple[int, int, int]:
    """(C, H, W): the median size of some photos spread over the folder; colour if any has colour."""
    shapes = _header_shapes(root, _spread(files)) or _header_shapes(root, files)
    if not shapes:
        raise DataError(
            _(
                "none of the {count} file(s) in '{path}' can be read as an image; the first: "
                "{reason}",
                count=len(files),
                path=name,
                reason=_why_unreadable(root / files[0]),
            )
        )
    channels, height, width = np.array(shapes).T
    return int(channels.max()), int(np.median(height)), int(np.median(width))


def mean_aspect(root: Path, files: Sequence[str]) -> float:
    """How far from square photos are, by some of them: the mean of |ln(width / height)|."""
    shapes = np.array(_header_shapes(root, _spread(files)) or [(3, 1, 1)], np.float64)
    return float(np.abs(np.log(shapes[:, 2] / shapes[:, 1])).mean())


def _spread(files: Sequence[str]) -> list[str]:
    """Some of them, from the first to the last."""
    some = sorted({int(i) for i in np.linspace(0, len(files) - 1, _HEADERS)})
    return [files[i] for i in some]


def _why_unreadable(path: Path) -> Text | str:
    try:
        read_image(path)
    except ImageError as error:
        return error.message
    return str(path)


def header_notes(root: Path, files: Sequence[str]) -> list[Text]:
    """What the user should know of how some photos, spread over the folder, are read.

    Of files of several pages the first is read, and 16-bit photos as of the bits that they use.
    """
    depths: Counter[int] = Counter()
    paged = ""
    some = _spread(files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on damaged headers
        for file in some:
            depth, pages = _depth_and_pages(root / file)
            depths[depth] += 1
            paged = paged or (file if pages > 1 else "")
    notes = []
    if paged:
        notes.append(
            _(
                "there are photos of several pages or frames, such as {file}: the first of each is "
                "used alone; save the others as files of their own if they matter",
                file=paged,
            )
        )
    del depths[0]
    if set(depths) - {16}:
        kinds = ", ".join(f"{bits} bits: {n}" for bits, n in sorted(depths.items()))
        notes.append(
            _(
                "photos of 16 bits use different numbers of them ({kinds}, of {count} looked at), and each "
                "is read by its own, so that a dark one may come out brighter than it is; if all are of "
                "one camera, save them as 8-bit PNG yourself",
                kinds=kinds,
                count=len(some),
            )
            if len(depths) > 1
            else _(
                "photos of 16 bits use {bits} of them, and are read so ({count} of {all} looked at)",
                bits=next(iter(depths)),
                count=depths.total(),
                all=len(some),
            )
        )
    return notes


def _depth_and_pages(path: Path) -> tuple[int, int]:
    """How many of its 16 bits a photo uses, 0 where it has no 16; and how many pages it has."""
    try:
        with open_header(path) as image:
            pages = getattr(image, "n_frames", 1) if image.format in _PAGED else 1
            return (used_bits(image) if math.prod(image.size) <= MAX_PIXELS else 0), pages
    except Exception:  # noqa: BLE001  hostile bytes make decoders raise nearly anything
        return 0, 1


def _header_shapes(root: Path, files: Sequence[str]) -> list[tuple[int, int, int]]:
    """(C, H, W) of each file whose header can be read."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on damaged headers
        for file in files:
            shape = _header_shape(root / file)
            if shape:
                found.append(shape)
    return found


def _header_shape(path: Path) -> tuple[int, int, int] | None:
    try:
        with open_header(path) as image:
            width, height = image.size
            if image.format in {"JPEG", "MPO"} and image.getexif().get(_ORIENTATION_TAG) in _TURNED:
                width, height = height, width
            grey = image.mode.startswith(("1", "L", "I", "F"))
    except Exception:  # noqa: BLE001  hostile bytes make decoders raise nearly anything
        return None
    return (1 if grey else 3), height, width
