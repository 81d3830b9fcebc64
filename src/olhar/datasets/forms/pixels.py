"""Images as rows of a CSV file: a column for each pixel, or one column with all of them.

    label,pixel0,…,pixel783       as Kaggle has MNIST and its like; also 1x1,…,28x28, and numbers alone
    emotion,pixels,Usage          as FER2013 has it: numbers with spaces between them

Does not know: photos in files. Rows are read one by one into the cache, and never all in memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.data_settings import SourceSettings
from olhar.datasets.cache import CacheEntry, allocate_images, entry_of
from olhar.datasets.dataset import PARTS, Dataset
from olhar.datasets.forms.array_labels import index_labels
from olhar.datasets.forms.columns import refuse_settings
from olhar.datasets.forms.label_texts import unify_numbers
from olhar.datasets.forms.pixel_columns import PixelLayout, read_layout
from olhar.datasets.forms.rows import csv_rows, listed
from olhar.datasets.forms.tables import SPLIT_NAMES, Table
from olhar.datasets.layout import label_text
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import Text, _
from olhar.progress import Progress

_ROWS_AT_ONCE = 128


@dataclass
class _Read:
    """What was read: labels and parts of all rows, and the greatest pixel."""

    labels: list[str]
    parts: list[str]
    high: float = 0.0


def open_pixels(
    settings: SourceSettings, tables: Sequence[Table], origin: Path, progress: Progress
) -> Dataset:
    """The images of tables of pixels, brought into the cache once.

    Pixels are whole numbers from 0 to 255, or floats from 0 to 1 or 0 to 255; images are grey and square.

    Args:
        settings: what to call the data, and which column is the label.
        tables: each with the part that all its rows are in, "" where a column says so, or none.
        origin: what it is known by in the cache.
        progress: hears that it is read.

    Raises:
        DataError: there are no labels, images are not square, or rows cannot be used.
        ConfigError: settings that are for lists of photos.
        StorageError: the disk is full.
    """
    refuse_settings(settings, {"label_column"})
    name = settings.name
    layouts = [read_layout(settings, table.path) for table in tables]
    with explain_os_errors(name):
        facts = [(table, table.path.stat()) for table in tables]
    stamps = [(f"{t.path} {t.part}", s.st_size, change_mark(s)) for t, s in facts]
    stamps += [(f"label_column {settings.label_column}", 0, 0)] if settings.label_column else []
    entry = entry_of("pixels", origin, stamps, partial(_fill, name, tables, layouts), progress)
    read = _("read from: {files}", files=listed(t.path.name for t in tables))
    return entry.as_dataset(name, () if origin.is_file() else (read,))


def _fill(
    name: str, tables: Sequence[Table], layouts: Sequence[PixelLayout], folder: Path
) -> CacheEntry:
    sides = {layout.side for layout in layouts}
    if len(sides) > 1:
        raise DataError(
            _(
                "the tables in '{path}' have images of several sizes; take them one by one",
                path=name,
            )
        )
    (side,) = sides
    most = sum(_most_rows(table.path) for table in tables)
    out = allocate_images(folder, (most, side, side, 1))  # more rows than images: see CacheEntry
    read = _copy(name, tables, layouts, out, 1.0)
    order = _order(name, read.parts)
    if read.high <= 1 or not np.array_equal(order, np.arange(len(order))):
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        _copy(name, tables, layouts, out, 255.0 if read.high <= 1 else 1.0, places)
    called = unify_numbers(name, read.labels)[0]
    whole = all(re.fullmatch("-?(0|[1-9][0-9]*)", label) for label in called.values())
    labels = np.array([called[label] for label in read.labels])[order]
    sizes = {part: read.parts.count(part) for part in ("", *PARTS) if part in read.parts}
    cuts = np.cumsum(list(sizes.values()))[:-1]
    kept = np.split(labels.astype(np.int64) if whole else labels, cuts)
    class_names, indices = index_labels(name, kept, ())
    return CacheEntry(out, indices, class_names, {} if list(sizes) == [""] else sizes)


def _most_rows(path: Path) -> int:
    """At least as many as there are rows."""
    count = 1
    with explain_os_errors(path), path.open("rb") as file:
        while chunk := file.read(2**20):
            count += chunk.count(b"\n") + chunk.count(b"\r")
    return count


def _order(name: str, parts: Sequence[str]) -> NDArray[np.int64]:
    """The rows by part."""
    given = set(parts)
    if not given:
        raise DataError(_("'{path}' has no rows; it needs one for each image", path=name))
    if given != {""} and ("train" not in given or "" in given):
        raise DataError(
            _(
                "'{path}' has rows of {parts} only; it needs rows of the split train, or no splits",
                path=name,
                parts=", ".join(sorted(filter(None, given))),
            )
        )
    ranks = {part: rank for rank, part in enumerate(("", *PARTS))}
    return np.argsort([ranks[part] for part in parts], kind="stable").astype(np.int64)


def _copy(
    name: str,
    tables: Sequence[Table],
    layouts: Sequence[PixelLayout],
    out: NDArray[np.uint8],
    scale: float,
    places: NDArray[np.int64] | None = None,
) -> _Read:
    """Copy all pixels into `out`, (N, H, W, 1), each row to its place; by default in their order."""
    read = _Read([], [])
    for table, layout in zip(tables, layouts, strict=True):
        lines = csv_rows(table.path)
        next(lines)
        while some := list(islice(lines, _ROWS_AT_ONCE)):
            start = len(read.labels)
            for line, values in some:
                label, part = _facts(name, table, layout, line, values)
                read.labels.append(label)
                read.parts.append(part)
            pixels = _pixels(name, layout, some)  # (n, H * W) float32
            read.high = max(read.high, float(pixels.max()))
            where = (
                np.arange(start, start + len(some))
                if places is None
                else places[start:][: len(some)]
            )
            images = np.rint(pixels * scale).astype(np.uint8)
            out[where] = images.reshape(-1, layout.side, layout.side, 1)
    return read


def _facts(
    name: str, table: Table, layout: PixelLayout, line: int, values: Sequence[str]
) -> tuple[str, str]:
    """The label and part of a row."""
    if len(values) != layout.columns:
        raise _bad_row(
            name,
            line,
            _("it has {given} values, not {wanted}", given=len(values), wanted=layout.columns),
        )
    label = label_text(values[layout.label])
    if not label:
        raise _bad_row(name, line, _("it has no label"))
    if layout.split < 0:
        return label, table.part
    split = values[layout.split].strip()
    part = SPLIT_NAMES.get(split.lower())
    if part is None:
        allowed = ", ".join(SPLIT_NAMES)
        problem = _("'{split}' is no split; allowed: {allowed}", split=split, allowed=allowed)
        raise _bad_row(name, line, problem)
    return label, part


def _bad_row(name: str, line: int, problem: Text) -> DataError:
    return DataError(
        _(
            "line {line} of '{path}' cannot be used: {problem}; mend or remove it",
            line=line,
            path=name,
            problem=problem,
        )
    )


def _pixels(
    name: str, layout: PixelLayout, some: Sequence[tuple[int, list[str]]]
) -> NDArray[np.float32]:
    """The pixels of some rows, (n, H * W)."""
    given = [_cells(layout, values) for _line, values in some]
    count = layout.side * layout.side
    for (line, _values), cells in zip(some, given, strict=True):
        if len(cells) != count:
            problem = _("it has {given} pixels, not {wanted}", given=len(cells), wanted=count)
            raise _bad_row(name, line, problem)
    try:
        pixels = np.array(given, np.float32)
    except ValueError:
        bad = [line for (line, _v), cells in zip(some, given, strict=True) if not _is_number(cells)]
        raise _bad_row(name, bad[0], _("a pixel is no number")) from None
    wrong = ~((pixels >= 0) & (pixels <= 255)).all(axis=1)
    if wrong.any():
        problem = _("its pixels do not go from 0 to 255 (or from 0 to 1)")
        raise _bad_row(name, some[int(wrong.argmax())][0], problem)
    return pixels


def _cells(layout: PixelLayout, values: Sequence[str]) -> Sequence[str]:
    if len(layout.pixels) == 1:
        return values[layout.pixels[0]].split()
    first, last = layout.pixels[0], layout.pixels[-1]
    if last - first + 1 == len(layout.pixels):
        return values[first : last + 1]
    return [values[at] for at in layout.pixels]


def _is_number(cells: Sequence[str]) -> bool:
    try:
        np.array(cells, np.float32)
    except ValueError:
        return False
    return True
