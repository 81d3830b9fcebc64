"""How rows are written: lines of CSV or JSON in one file, or a folder of Parquet files.

Each writer says after `write` how far its output is good, and `cut_back` takes away what lies beyond: what
a process wrote that was killed, or a disk that was full. Does not know: which photos the rows are of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from olhar.bulk.answering import Row
from olhar.datasets.forms.arrow_files import pyarrow
from olhar.errors import ConfigError, explain_os_errors
from olhar.files import csv_text, write_atomic_with
from olhar.i18n import _

FORMATS = (".parquet", ".csv", ".jsonl")
COLUMNS = ("file", "label", "probability", "sure", "outlier", "inverted", "top", "error")
FEATURES = "features"
_PART_BYTES = 16 * 2**20


class Writer(Protocol):
    """Where rows go.

    Attributes:
        most_rows: after which, at the latest, those added are to be written.
        most_s: how long rows may wait for others, in seconds.
    """

    most_rows: int
    most_s: float

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows for the next `write`."""

    def is_full(self) -> bool:
        """Whether those kept are enough bytes to be written."""

    def write(self) -> int:
        """Write what was added; how far the output is good now."""

    def cut_back(self, end: int) -> None:
        """Take away what lies beyond an earlier answer of `write`; 0 is nothing."""

    def has(self, end: int) -> bool:
        """Whether the output reaches as far."""


def open_writer(out: Path, *, features: bool) -> Writer:
    """The writer of a path, by its ending; nothing is opened.

    Raises:
        ConfigError: another ending.
        MissingExtraError: it is .parquet, and pyarrow is not installed.
    """
    columns = (*COLUMNS, FEATURES) if features else COLUMNS
    suffix = out.suffix.lower()
    if suffix == ".parquet":
        return _Parts(out, columns)
    if suffix == ".csv":
        return _Lines(out, columns)
    if suffix == ".jsonl":
        return _Lines(out, ())
    raise ConfigError(
        _(
            "--out is '{path}'; allowed: a name that ends in {allowed}",
            path=out,
            allowed=", ".join(FORMATS),
        )
    )


class _Lines:
    """A file of CSV, with a line of its columns first, or of JSON; the end is in bytes."""

    most_rows, most_s = 1, 0.0

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, columns
        self._kept: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        self._kept += rows

    def is_full(self) -> bool:
        return True

    def write(self) -> int:
        kept, self._kept = self._kept, []
        with explain_os_errors(self._path), self._path.open("ab", buffering=0) as file:
            begun = file.seek(0, os.SEEK_END)
            content = memoryview(self._text(kept, with_head=begun == 0).encode())
            while content:
                content = content[file.write(content) :]
            return file.tell()

    def cut_back(self, end: int) -> None:
        with explain_os_errors(self._path):
            if self._path.exists():
                os.truncate(self._path, end)

    def has(self, end: int) -> bool:
        with explain_os_errors(self._path):
            return (self._path.stat().st_size if self._path.exists() else 0) >= end

    def _text(self, rows: Iterable[Row], *, with_head: bool) -> str:
        if not self._columns:
            return "".join(f"{_json(row)}\n" for row in rows)
        head = [self._columns] if with_head else []
        return csv_text(
            [*head, *([_cell(row.get(name)) for name in self._columns] for row in rows)]
        )


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda array: array.tolist())


class _Parts:
    """A folder of Parquet files of some thousand rows; the end is how many there are."""

    most_rows, most_s = 10_000, 30.0

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._folder = folder
        self._arrow = pyarrow()
        self._parquet = pyarrow("pyarrow.parquet")
        self._schema = self._arrow.schema([(name, _type(self._arrow, name)) for name in columns])
        self._kept: list[Any] = []
        self._end = 0

    def add(self, rows: Sequence[Row]) -> None:
        self._kept.append(self._arrow.Table.from_pylist(rows, schema=self._schema))

    def is_full(self) -> bool:
        return sum(int(table.nbytes) for table in self._kept) >= _PART_BYTES

    def write(self) -> int:
        table = self._arrow.concat_tables(self._kept)
        self._kept = []
        write_atomic_with(
            self._part(self._end), lambda aside: self._parquet.write_table(table, aside)
        )
        self._end += 1
        return self._end

    def cut_back(self, end: int) -> None:
        self._end = end
        with explain_os_errors(self._folder):
            for pattern in ("part-*.parquet", ".part-*.parquet"):  # ours, and those written aside
                for path in self._folder.glob(pattern):
                    if path.name.startswith(".") or path.name >= self._part(end).name:
                        path.unlink()

    def has(self, end: int) -> bool:
        return end == 0 or self._part(end - 1).is_file()

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:06d}.parquet"


def _type(arrow: Any, column: str) -> Any:
    top = [("label", arrow.string()), ("probability", arrow.float64())]
    kinds = {
        "probability": arrow.float64(),
        "sure": arrow.bool_(),
        "outlier": arrow.bool_(),
        "inverted": arrow.bool_(),
        "top": arrow.list_(arrow.struct(top)),
        FEATURES: arrow.list_(arrow.float32()),
    }
    return kinds.get(column, arrow.string())
