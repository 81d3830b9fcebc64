"""The typical size of many photos, from the headers of a few; nothing is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from olhar.errors import DataError, ImageError
from olhar.i18n import Text, _
from olhar.images import read_image

_HEADERS = 64
_ORIENTATION_TAG = 0x0112
_TURNED = {5, 6, 7, 8}  # EXIF 2.32, 4.6.4 A, Orientation: those that exchange width and height


def typical_shape(name: str, root: Path, files: Sequence[str]) -> tuple[int, int, int]:
    """(C, H, W): the median size of some photos spread over the folder; colour if any has colour."""
    some = sorted({int(i) for i in np.linspace(0, len(files) - 1, _HEADERS)})
    shapes = _header_shapes(root, [files[i] for i in some]) or _header_shapes(root, files)
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


def _why_unreadable(path: Path) -> Text | str:
    try:
        read_image(path)
    except ImageError as error:
        return error.message
    return str(path)


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
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.format in {"JPEG", "MPO"} and image.getexif().get(_ORIENTATION_TAG) in _TURNED:
                width, height = height, width
            grey = image.mode.startswith(("1", "L", "I", "F"))
    except Exception:  # noqa: BLE001  hostile bytes make decoders raise nearly anything
        return None
    return (1 if grey else 3), height, width
