"""Photos listed in a table: rows with a file, its label and, if its makers divided it, its split.

Does not know: pixels. CSV and JSON lines need no library; Parquet needs pyarrow (see forms.arrow).
In a folder the table is `metadata.csv` (or .jsonl, .parquet), as Hugging Face's imagefolder has it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from olhar.datasets.dataset import PARTS
from olhar.datasets.folders import PhotoFolder, photos_of
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
from olhar.i18n import Text, _

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
FILE_COLUMNS = (
    "file_name",
    "filename",
    "file",
    "path",
    "file_path",
    "filepath",
    "image",
    "image_path",
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target")
SPLIT_COLUMNS = ("split", "part", "subset", "partition")
_DELIMITERS = ",;\t|"
_MOST_NAMED = 5


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


def find_tables(name: str, root: Path) -> tuple[list[Table], Text | None]:
    """The tables of a folder: `metadata.*` in it, or in its train/, val/ and test/.

    Returns:
        The tables that have labels; and a note, where there is one without.
    """
    found, note = [], None
    with explain_os_errors(name):
        folders = [(root, "")]
        for folder in sorted(root.iterdir()):
            if folder.name.lower() in PART_NAMES and folder.is_dir():
                folders.append((folder, PART_NAMES[folder.name.lower()]))
        for folder, part in folders:
            path = next((folder / file for file in METADATA if (folder / file).is_file()), None)
            if path is None:
                continue
            columns = list(read_rows(path)[:1])
            if columns and _has(columns[0], FILE_COLUMNS) and _has(columns[0], LABEL_COLUMNS):
                found.append(Table(path, part))
            else:
                note = _(
                    "{file} has no columns file_name and label; folders are taken for classes",
                    file=path.relative_to(root).as_posix(),
                )
    inner = [table for table in found if table.part]
    return (inner or found), note


def read_tables(name: str, root: Path, tables: Sequence[Table], origin: Path) -> PhotoFolder:
    """The photos that tables list.

    Args:
        name: what to call the data.
        root: the folder that paths of photos begin in; tables lie in it or below.
        tables: with a row for each photo: its path from the table's own folder, its label, and, in
            a column `split`, perhaps train, val (valid, validation) or test.
        origin: what PhotoFolder.origin is to be.

    Returns:
        The photos, by part and class; the same as a folder's.

    Raises:
        DataError: a column is missing or ambiguous, or rows that cannot be used: no label, or a file
            that is not there or lies outside.
        MissingExtraError: pyarrow, which reads Parquet, is not installed.
    """
    problems: list[Text] = []
    rows = [row for table in tables for row in _rows(name, root, table, problems)]
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
    if not rows:
        raise DataError(_("'{path}' has no rows; it needs one for each photo", path=name))
    listing = _listing(name, rows, photos)
    if origin.name in METADATA:
        _note_unlisted(root, photos, listing)
    found = {row.file: row.values for row, _photo in photos.values()}
    return dataclasses.replace(photos_of(name, root, listing), origin=origin, rows=found)


# From files to rows


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a table, by column.

    Raises:
        DataError: it is damaged, or not in UTF-8.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    if path.suffix.lower() == ".parquet":
        from olhar.datasets.forms.arrow_files import read_plain_rows

        return read_plain_rows(path)
    with explain_os_errors(path):
        content = path.read_bytes()
    try:
        text = _decode(content)
        if path.suffix.lower() == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            if not all(isinstance(row, dict) for row in rows):
                raise ValueError(str(_("a line is no JSON object")))
            return rows
        # A spreadsheet in a country with decimal commas separates by semicolons.
        delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return list(reader)
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataError(
            _(
                "'{path}' cannot be read as a table ({reason}); save it as CSV in UTF-8",
                path=path,
                reason=error,
            )
        ) from error


def _decode(content: bytes) -> str:
    """UTF-8, or UTF-16 where it says so at its beginning, as Excel's "Unicode text" does."""
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if wide else "utf-8-sig")


def _has(columns: Iterable[str], names: Sequence[str]) -> bool:
    return any(str(column).strip().lower() in names for column in columns)


def choose_column(name: str, columns: Iterable[Any], names: Sequence[str]) -> str:
    """The one column that is called by one of `names`; the first of them comes first.

    Returns:
        Its name as the table spells it, "" where there is none.

    Raises:
        DataError: there are several.
    """
    found = {str(column).strip().lower(): str(column) for column in columns if column is not None}
    given = [found[known] for known in names if known in found]
    if len(given) > 1 and names[0] not in found:
        raise DataError(
            _(
                "'{path}' has several columns that may be the {standard}: {columns}; call the right "
                "one {standard}",
                path=name,
                standard=names[0],
                columns=", ".join(given),
            )
        )
    return given[0] if given else ""


def _rows(name: str, root: Path, table: Table, problems: list[Text]) -> list[_Row]:
    """The usable rows of a table; what is wrong with the others goes into `problems`."""
    given = read_rows(table.path)
    if not given:
        return []
    columns = list(given[0])
    file_key = choose_column(name, columns, FILE_COLUMNS)
    label_key = choose_column(name, columns, LABEL_COLUMNS)
    split_key = choose_column(name, columns, SPLIT_COLUMNS)
    if not file_key or not label_key:
        raise DataError(
            _(
                "'{path}' needs a column file_name, the path of each photo, and a column label, its "
                "class; it has: {given}",
                path=name,
                given=", ".join(map(str, columns)),
            )
        )
    prefix = table.path.parent.relative_to(root)
    rows = []
    for number, values in enumerate(given, start=1 if table.path.suffix == ".jsonl" else 2):
        place = f"{table.path.name}:{number}"
        file = _inside(root, prefix, str(values.get(file_key) or "").strip())
        label = label_text(values.get(label_key))
        split = str(values.get(split_key) or "").strip() if split_key else ""
        part = table.part if not split_key else PART_NAMES.get(split.lower(), "")
        problem = _problem(values, file, file_key, label, split, part, divided=bool(split_key))
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
    file_key: str,
    label: str,
    split: str,
    part: str,
    *,
    divided: bool,
) -> Text | None:
    """Why a row cannot be used."""
    if None in values:
        return _("it has more values than the table has columns")
    given = str(values.get(file_key) or "").strip()
    if not given:
        return _("no file name")
    if not file:
        return _("'{file}' lies outside of the table's folder", file=given)
    if not label:
        return _("'{file}' has no label", file=given)
    if divided and not part:
        return _(
            "'{split}' is no split; allowed: {allowed}", split=split, allowed=", ".join(PART_NAMES)
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
        found[row.file] = row, (row.file, facts.st_size, facts.st_mtime_ns)
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
