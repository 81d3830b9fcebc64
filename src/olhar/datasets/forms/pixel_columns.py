"""Which columns of a CSV file are pixels, which is the label, and which the split.

Does not know: how the pixels are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olhar.data_settings import SourceSettings
from olhar.datasets.forms.columns import LABEL_COLUMNS, SPLIT_COLUMNS, choose_column
from olhar.datasets.forms.rows import csv_rows, listed
from olhar.errors import DataError, OlharError
from olhar.i18n import _

_NAME = re.compile(r"(?:pixels?|pix|px|p)?[ _-]?(\d+)", re.IGNORECASE)
_GRID = re.compile(r"(?:pixels?|pix|px|p)?[ _-]?(\d+)[x_](\d+)", re.IGNORECASE)
_ALL_IN_ONE = "pixels"
_FEWEST = 16  # pixels: 4×4
_WIDE = 300  # columns that no list of photos has


@dataclass(frozen=True)
class PixelLayout:
    """Where in a row its pixels are, its label and its split; -1 where there is no split."""

    pixels: tuple[int, ...]  # one alone holds all of them
    side: int
    label: int
    split: int
    columns: int


def holds_pixels(path: Path) -> bool:
    """Whether a CSV file has columns of pixels.

    Raises:
        DataError: it has so many columns that it lists no photos, but they are not called pixels.
    """
    if path.suffix.lower() not in {".csv", ".tsv"}:
        return False
    lines = csv_rows(path)
    header, first = next(lines, (0, []))[1], next(lines, (0, []))[1]
    pixels = _pixel_columns(header)
    if len(pixels) == 1:  # a table of photos may count their pixels
        return len(first) == len(header) and len(first[pixels[0]].split()) >= _FEWEST
    if pixels:
        return True
    if len(header) < _WIDE:
        return False
    if all(re.fullmatch(r"[0-9.]+", cell) for cell in header):
        raise DataError(
            _(
                "the first line of '{path}' has no names of columns but {count} numbers; if they are a "
                "label and pixels, put a line before it, label,pixel0,pixel1,…, in Python: "
                "pandas.read_csv('{path}', header=None).to_csv('named.csv', index=False, "
                "header=['label', *map(str, range({pixels}))])",
                path=path,
                count=len(header),
                pixels=len(header) - 1,
            )
        )
    raise DataError(
        _(
            "'{path}' has {count} columns, {given}; allowed: a list of photos (file_name,label), or a "
            "label and pixels (label,pixel0,pixel1,…)",
            path=path,
            count=len(header),
            given=listed(header),
        )
    )


def holds_labelled_pixels(path: Path) -> bool:
    """Whether a CSV file has columns of pixels, and one of labels."""
    try:
        if not holds_pixels(path):
            return False
        read_layout(SourceSettings(str(path)), path)
    except OlharError:
        return False
    return True


def read_layout(settings: SourceSettings, path: Path) -> PixelLayout:
    """Where the pixels, labels and splits of a table are.

    Raises:
        DataError: there are no labels, or the images are not square.
    """
    lines = csv_rows(path)
    header = next(lines)[1]
    first = next(lines, (0, []))[1]
    pixels = _pixel_columns(header)
    count = len(pixels)
    if count == 1:
        count = len(first[pixels[0]].split()) if len(first) == len(header) else 0
    side = math.isqrt(count)
    if side * side != count or not side:
        raise DataError(
            _(
                "the {count} pixels of a row of '{path}' are no square grey image, whose side times itself "
                "they would be; save images that are in colour or not square as .npz (see docs/data.md)",
                count=count,
                path=settings.name,
            )
        )
    others = [name for at, name in enumerate(header) if at not in set(pixels)]
    split = choose_column(settings.name, others, SPLIT_COLUMNS)
    flag = "--label-column"
    label = choose_column(settings.name, others, LABEL_COLUMNS, flag, settings.label_column)
    left = [name for name in others if name != split]
    if not label and len(left) == 1:
        label = left[0]
    if not label:
        raise _no_labels(settings.name, left)
    return PixelLayout(
        pixels, side, header.index(label), header.index(split) if split else -1, len(header)
    )


def _no_labels(name: str, left: Sequence[str]) -> DataError:
    if not left:
        return DataError(
            _(
                "'{path}' has pixels but no column of labels, so nothing can be learnt from it or measured "
                "by it; take the table that has labels, often train.csv",
                path=name,
            )
        )
    return DataError(
        _(
            "'{path}' has pixels, and several columns that may be the label: {given}; say which: "
            "--label-column COLUMN",
            path=name,
            given=listed(left),
        )
    )


def _pixel_columns(header: Sequence[str]) -> tuple[int, ...]:
    """The columns of pixels in a header, () where there are none."""
    names = [name.strip() for name in header]
    one = [at for at, name in enumerate(names) if name.lower() == _ALL_IN_ONE]
    if one:
        return tuple(one[:1])
    for form in (_NAME, _GRID):
        found = [(at, match) for at, name in enumerate(names) if (match := form.fullmatch(name))]
        numbers = [tuple(map(int, match.groups())) for _at, match in found]
        if len(found) >= _FEWEST and _is_counted(numbers):
            return tuple(at for at, _match in found)
    return ()


def _is_counted(numbers: Sequence[tuple[int, ...]]) -> bool:
    """Whether they count up without a gap, from 0 or 1: 0, 1, 2…, or (1, 1), (1, 2)…, (2, 1)…"""
    first, last = numbers[0], numbers[-1]
    if not set(first) <= {0, 1} or len(first) not in {1, 2}:
        return False
    if len(first) == 1:
        wanted = [(number,) for number in range(first[0], first[0] + len(numbers))]
        return list(numbers) == wanted
    rows, columns = range(first[0], last[0] + 1), range(first[1], last[1] + 1)
    return list(numbers) == [(row, column) for row in rows for column in columns]
