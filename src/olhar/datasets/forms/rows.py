"""The rows of a table, as text: CSV as spreadsheets write it, JSON lines, Parquet.

Does not know: what a column means. CSV comes row by row, so that a table of pixels need not
fit into memory.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from olhar.errors import DataError, explain_os_errors
from olhar.i18n import _

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
WINDOWS = "cp1252"
_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # what Excel reads, and some write
_QUOTED = re.compile(r'"[^"]*"')
_CHUNK_BYTES = 2**20
_LISTED, _LONGEST = 10, 40
_LONGEST_FIELD = (
    2**24
)  # pixels in one column: the limit of csv, 131,072, is less than a photo of 200×200

Row = tuple[int, dict[Any, Any]]  # the line, for messages; its values by column


def listed(names: Iterable[Any]) -> str:
    """Names of columns for a message, cut."""
    given = [str(name) for name in names if name is not None]
    shown = [n if len(n) <= _LONGEST else f"{n[:_LONGEST]}…" for n in given[:_LISTED]]
    return ", ".join(shown) + (f", … ({len(given)})" if len(given) > _LISTED else "")


def read_rows(path: Path) -> list[Row]:
    """The rows of a table, by column.

    Raises:
        DataError: it is damaged, or text of an unknown encoding.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    if path.suffix.lower() == ".parquet":
        from olhar.datasets.forms.arrow_files import read_plain_rows

        return list(enumerate(read_plain_rows(path), start=1))
    if path.suffix.lower() == ".jsonl":
        return list(_json_rows(path))
    with explain_table(path):
        lines = csv_rows(path)
        columns = next(lines, (0, []))[1]
        return [(number, _by_column(columns, values)) for number, values in lines]


def _by_column(columns: list[str], values: list[str]) -> dict[Any, Any]:
    """As csv.DictReader has it: values without a column are under None."""
    row: dict[Any, Any] = dict(zip(columns, values, strict=False))
    if len(values) > len(columns):
        row[None] = values[len(columns) :]
    return row


def _json_rows(path: Path) -> Iterator[Row]:
    with explain_table(path), path.open(encoding=encoding_of(path)) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(str(_("a line is no JSON object")))
                yield number, row


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line and the values of each row of a CSV file that is not empty, its header first.

    Raises:
        DataError: it is damaged, or text of an unknown encoding.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    with explain_table(path), path.open(encoding=encoding_of(path), newline="") as file:
        first = file.readline()
        said = _SEPARATOR_LINE.fullmatch(first.strip("\r\n"))
        if said is None:
            # A spreadsheet in a country with decimal commas separates by semicolons.
            delimiter = max(_DELIMITERS, key=_QUOTED.sub("", first).count)
            file.seek(0)
        else:
            delimiter = said[1]
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for values in reader:
            if any(values):  # spreadsheets end in rows of separators alone
                yield reader.line_num + (said is not None), values


def encoding_of(path: Path) -> str:
    """UTF-8; UTF-16 where it says so at its beginning, as Excel's "Unicode text" does; else Windows-1252.

    Raises:
        DataError: it is none of them.
    """
    with explain_os_errors(path), path.open("rb") as file:
        if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            return "utf-16"
        file.seek(0)
        is_utf8 = _decodes(file, "utf-8")
        file.seek(0)
        if is_utf8 or _decodes(file, WINDOWS):
            return "utf-8-sig" if is_utf8 else WINDOWS
    raise _unreadable(path, _("it is text of an unknown encoding"))


def _decodes(file: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(_CHUNK_BYTES):
            if "\0" in decoder.decode(chunk):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def explain_table(path: Path) -> Iterator[None]:
    """Tell what is wrong with a table's text."""
    with explain_os_errors(path):
        try:
            yield
        except DataError:
            raise
        except (ValueError, RecursionError, csv.Error) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Path, reason: object) -> DataError:
    return DataError(
        _(
            "'{path}' cannot be read as a table ({reason}); save it as CSV in UTF-8",
            path=path,
            reason=reason,
        )
    )
