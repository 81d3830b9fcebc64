"""Photos listed in a table: rows with a file, its label and, if its makers divided it, its split.

Does not know: pixels. CSV and JSON lines need no library; Parquet needs pyarrow (see forms.arrow).
In a folder the table is `metadata.csv` (or .jsonl, .parquet), as Hugging Face's imagefolder has it.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from olhar.data_settings import SOURCE, SourceSettings
from olhar.datasets.dataset import PARTS
from olhar.datasets.folders import PhotoFolder, photos_of
from olhar.datasets.forms.columns import (
    FILE_COLUMNS,
    LABEL_COLUMNS,
    OF_FOLDERS,
    Columns,
    choose_columns,
    refuse_settings,
)
from olhar.datasets.forms.label_texts import unify_numbers
from olhar.datasets.forms.rows import WINDOWS, Row, encoding_of, read_rows
from olhar.datasets.layout import (
    METADATA,
    PART_NAMES,
    Listing,
    PhotoFile,
    is_hidden,
    is_photo,
    label_text,
)
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import Text, _

SPLIT_NAMES = {
    **PART_NAMES,
    "training": "train",
    "testing": "test",
    "publictest": "val",  # of FER2013, as the next
    "privatetest": "test",
}
_MOST_NAMED = 5
_LONGEST_VALUE = 1000


@dataclass(frozen=True)
class Table:
    """A table, and the part that all its rows are in, "" where it says so itself or in none."""

    path: Path
    part: str = ""


@dataclass(frozen=True)
class _Row:
    place: str  # for messages: the line
    file: str  # path from the root, with forward slashes
    label: str
    part: str
    values: Mapping[Any, Any]  # all of its columns


def find_tables(settings: SourceSettings, root: Path) -> tuple[list[Table], Text | None]:
    """The tables of a folder: `metadata.*` in it, or in its train/, val/ and test/.

    Returns:
        The tables that have labels; and a note, where there is one without.
    """
    found, note = [], None
    with explain_os_errors(settings.name):
        folders = [(root, "")]
        for folder in sorted(root.iterdir()):
            if folder.name.lower() in PART_NAMES and folder.is_dir():
                folders.append((folder, PART_NAMES[folder.name.lower()]))
        for folder, part in folders:
            path = next((folder / file for file in METADATA if (folder / file).is_file()), None)
            if path is None:
                continue
            columns = [column for _line, row in read_rows(path)[:1] for column in row]
            has_files = settings.file_column or _has(columns, FILE_COLUMNS)
            has_labels = settings.label_column or _has(columns, LABEL_COLUMNS)
            if columns and has_files and has_labels:
                found.append(Table(path, part))
            else:
                note = _(
                    "{file} has no columns file_name and label; folders are taken for classes",
                    file=path.relative_to(root).as_posix(),
                )
    inner = [table for table in found if table.part]
    return (inner or found), note


def _has(columns: Iterable[Any], names: Sequence[str]) -> bool:
    return any(str(column).strip().lower() in names for column in columns)


def read_tables(
    settings: SourceSettings, root: Path, tables: Sequence[Table], origin: Path
) -> PhotoFolder:
    """The photos that tables list.

    Args:
        settings: what to call the data, and which columns matter.
        root: the folder that paths of photos begin in; tables lie in it or below.
        tables: with a row for each photo: its path from the table's own folder, its label, and, in
            a column `split`, perhaps train, val (valid, validation) or test.
        origin: what PhotoFolder.origin is to be.

    Returns:
        The photos, by part and class; the same as a folder's. Where they lie outside of `root`, paths
        begin in the folder they lie in.

    Raises:
        DataError: a column is missing or ambiguous, or rows that cannot be used: no label, or a file
            that is not there or lies outside.
        MissingExtraError: pyarrow, which reads Parquet, is not installed.
    """
    name = settings.name
    refuse_settings(settings, SOURCE.keys() - set(OF_FOLDERS))
    problems: list[Text] = []
    notes: list[Text] = []
    rows: list[_Row] = []
    lone = len(tables) == 1 or settings.photos is not None or settings.ending is not None
    for table in tables:
        given = read_rows(table.path)
        if given:
            columns = choose_columns(name, table.path.parent, given, settings, lone=lone)
            folder = columns.folder
            root = root if folder.is_relative_to(root) else folder
            rows += _rows(root, table, columns, given, problems)
            notes += [*columns.notes, *_encoding_note(table.path, rows)]
    if not rows and not problems:
        raise DataError(_("'{path}' has no rows; it needs one for each photo", path=name))
    rows, more = _unified(name, rows)
    photos = _find_files(root, rows, problems)
    if problems:
        raise DataError(
            _(
                "{count} row(s) of '{path}' cannot be used: {problems}{more}; mend or remove them",
                count=len(problems),
                path=name,
                problems="; ".join(map(str, problems[:_MOST_NAMED])),
                more="; …" if len(problems) > _MOST_NAMED else "",
            )
        )
    listing = _listing(name, rows, photos)
    listing.notes[:0] = [*notes, *more]
    if origin.name in METADATA:
        _note_unlisted(root, photos, listing)
    found = {row.file: row.values for row, _photo in photos.values()}
    return dataclasses.replace(photos_of(name, root, listing), origin=origin, rows=found)


def _unified(name: str, rows: Sequence[_Row]) -> tuple[list[_Row], list[Text]]:
    """The rows with one spelling for each label; and notes."""
    called, notes = unify_numbers(name, (row.label for row in rows))
    return [dataclasses.replace(row, label=called[row.label]) for row in rows], notes


def _encoding_note(path: Path, rows: Sequence[_Row]) -> list[Text]:
    """That a table was read as Windows-1252, with a word to see whether that is right."""
    if path.suffix.lower() in {".parquet", ".arrow"} or encoding_of(path) != WINDOWS:
        return []
    words = [word for row in rows for word in (row.label, row.file) if not word.isascii()]
    return [
        _(
            "'{path}' is not UTF-8; it was read as Windows-1252{example}",
            path=path.name,
            example=_(" (is '{word}' right?)", word=words[0]) if words else "",
        )
    ]


# From files to rows


def _rows(
    root: Path,
    table: Table,
    columns: Columns,
    given: Sequence[Row],
    problems: list[Text],
) -> list[_Row]:
    """The usable rows of a table; what is wrong with the others goes into `problems`."""
    prefix = columns.folder.relative_to(root)
    rows = []
    for number, values in given:
        place = f"{table.path.name}:{number}"
        called = label_text(values.get(columns.file))
        file = _inside(root, prefix, columns.place.path(called)) if called else ""
        label = label_text(values.get(columns.label))
        split = label_text(values.get(columns.split)) if columns.split else ""
        part = SPLIT_NAMES.get(split.lower(), "") if columns.split else table.part
        problem = _problem(values, file, called, label, split, part, divided=bool(columns.split))
        if problem is None:
            rows.append(_Row(place, file, label, part, values))
        else:
            problems.append(_("{place}: {problem}", place=place, problem=problem))
    return rows


def _inside(root: Path, prefix: Path, given: str) -> str:
    """The path from the root with forward slashes; "" where it is none in the root."""
    given = given.replace("\\", "/")
    path = PurePosixPath(given)
    if (path.is_absolute() or PureWindowsPath(given).drive) and Path(given).is_relative_to(root):
        return Path(given).relative_to(root).as_posix()
    if path.is_absolute() or PureWindowsPath(given).drive or "\0" in given:
        return ""
    joined = PurePosixPath(
        os.path.normpath(PurePosixPath(prefix.as_posix()) / path).replace("\\", "/")
    )
    return "" if ".." in joined.parts or joined == PurePosixPath() else joined.as_posix()


def _problem(
    values: Mapping[Any, Any],
    file: str,
    given: str,
    label: str,
    split: str,
    part: str,
    *,
    divided: bool,
) -> Text | None:
    """Why a row cannot be used."""
    if None in values:
        return _("it has more values than the table has columns")
    if not given:
        return _("no file name")
    longest = max(len(given), len(label), len(split))
    if longest > _LONGEST_VALUE:
        return _("a value of {count} characters; is the table cut off?", count=longest)
    if not file:
        return _("'{file}' lies outside of the table's folder", file=given)
    if not label:
        return _("'{file}' has no label", file=given)
    if divided and not part:
        return _(
            "'{split}' is no split; allowed: {allowed}", split=split, allowed=", ".join(SPLIT_NAMES)
        )
    return None


# From rows to photos


def _find_files(
    root: Path, rows: Sequence[_Row], problems: list[Text]
) -> dict[str, tuple[_Row, PhotoFile]]:
    """The row and file of each photo; each is looked up once, and none is opened."""
    found: dict[str, tuple[_Row, PhotoFile]] = {}
    for row in rows:
        if row.file in found:
            first = found[row.file][0]
            if (first.label, first.part) != (row.label, row.part):
                problems.append(
                    _(
                        "{place}: '{file}' is there twice, with other labels or splits "
                        "({first} and {second})",
                        place=row.place,
                        file=row.file,
                        first=" ".join(filter(None, (first.label, first.part))),
                        second=" ".join(filter(None, (row.label, row.part))),
                    )
                )
            continue
        try:
            facts = (root / row.file).stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            facts = None
        except OSError:
            with explain_os_errors(root / row.file):
                raise
        if facts is None or not stat.S_ISREG(facts.st_mode):
            problems.append(_("{place}: there is no file '{file}'", place=row.place, file=row.file))
            continue
        found[row.file] = row, (row.file, facts.st_size, change_mark(facts))
    return found


def _listing(
    name: str, rows: Sequence[_Row], photos: Mapping[str, tuple[_Row, PhotoFile]]
) -> Listing:
    parts = {row.part for row in rows}
    if parts != {""} and "train" not in parts:
        raise DataError(
            _(
                "'{path}' has rows of {parts} only; it needs rows of the split train, or no splits",
                path=name,
                parts=", ".join(sorted(parts)),
            )
        )
    listing = Listing(photos={part: {} for part in ("", *PARTS) if part in parts})
    for row, photo in photos.values():
        listing.photos[row.part].setdefault(row.label, []).append(photo)
    if "val" in parts and "test" not in parts:
        listing.notes.append(
            _(
                "no row is of the split test, so val is the test split, and validation images are cut "
                "from train"
            )
        )
    if len(photos) < len(rows):
        count = len(rows) - len(photos)
        listing.notes.append(_("{count} row(s) that repeat another count once", count=count))
    return listing


def _note_unlisted(root: Path, listed: Iterable[str], listing: Listing) -> None:
    """Say how many photos beside a table are not in it."""
    there = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [inner for inner in folders if not is_hidden(inner)]
        here = Path(folder).relative_to(root)
        there |= {
            (here / file).as_posix() for file in files if not is_hidden(file) and is_photo(file)
        }
    left = len(there.difference(listed))
    if left:
        listing.notes.append(
            _("{count} photo(s) that the table does not list are not used", count=left)
        )
