"""A result that goes on where it was cut off: rows, and beside them a journal of what they answer.

    r.parquet/_olhar.jsonl     of a folder of parts
    r.csv.olhar/_olhar.jsonl   of a file

Its first line says of which model and source the result is. Each other line follows rows that are written:
how far the output is good with them, and 16 bytes for each photo by which it is known again. A line is
written after its rows, so what is killed between the two loses the rows, and none counts twice.

Does not know: how photos are answered.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olhar.bulk.answering import Row
from olhar.bulk.formats import Writer, open_writer
from olhar.bulk.items import Block, Known, Mark, pack_marks, unpack_marks
from olhar.errors import ConfigError, DataError, OlharError, RunExistsError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import Text, _
from olhar.locks import lock_folder

JOURNAL = "_olhar.jsonl"
FORMAT = 1


@dataclass
class Result:
    """An output that rows are added to.

    Attributes:
        known: marks of all photos that it answers, and of those on their way.
        rows: how many it has.
        errors: how many of them are errors.
    """

    _writer: Writer
    _journal: Path
    known: Known = field(default_factory=Known)
    rows: int = 0
    errors: int = 0
    _end: int = 0
    _marks: list[Mark] = field(default_factory=list)
    _bad: int = 0
    _written: float = field(default_factory=time.monotonic)

    def add(self, block: Block, rows: Sequence[Row]) -> None:
        """Add the rows of a block; those that are enough are written.

        Raises:
            StorageError: the disk is full; what was written before is good.
        """
        self._writer.add(rows)
        self._marks += [item.mark for item in block]
        self._bad += sum("error" in row for row in rows)
        self.rows += len(rows)
        self.errors += sum("error" in row for row in rows)
        waited = time.monotonic() - self._written
        enough = len(self._marks) >= self._writer.most_rows or waited >= self._writer.most_s
        if enough or self._writer.is_full():
            self.write()

    def write(self) -> None:
        """Write all that was added, and what is known of it.

        Raises:
            StorageError: the disk is full; what was written before is good.
        """
        if not self._marks:
            return
        try:
            end = self._writer.write()
            line = {
                "rows": len(self._marks),
                "errors": self._bad,
                "end": end,
                "photos": base64.b64encode(pack_marks(self._marks)).decode(),
            }
            _append(self._journal, f"{json.dumps(line)}\n".encode())
        except BaseException:
            with suppress(OSError, OlharError):
                self._writer.cut_back(self._end)
            self._marks = []
            raise
        self._end, self._marks, self._bad = end, [], 0
        self._written = time.monotonic()

    def take_up(self) -> None:
        """Find what is written already, and take away what is not whole.

        Raises:
            DataError: the journal is damaged.
        """
        good = 0
        with explain_os_errors(self._journal), self._journal.open("rb") as lines:
            good += len(next(lines))
            for number, line in enumerate(lines, 2):
                if not line.endswith(b"\n"):
                    break
                said = _read_line(self._journal, number, line)
                if not self._writer.has(said["end"]):
                    break
                for mark in unpack_marks(base64.b64decode(said["photos"])):
                    self.known.add(mark)
                self.rows += said["rows"]
                self.errors += said["errors"]
                self._end = said["end"]
                good += len(line)
        self._writer.cut_back(self._end)
        with explain_os_errors(self._journal):
            os.truncate(self._journal, good)


@contextmanager
def open_result(out: Path, record: Mapping[str, Any], *, features: bool) -> Iterator[Result]:
    """A result, new or gone on with, that this process alone writes while the block runs.

    What was added is written when the block ends, in whatever way.

    Args:
        out: a path that ends in .parquet, .csv or .jsonl.
        record: what the result must be of: model, sources, and what is asked, by name.
        features: whether rows have them.

    Raises:
        ConfigError: another ending; another process writes it; it is of another model or source.
        RunExistsError: something lies there that olhar did not write.
        StorageError: the disk is full.
    """
    writer = open_writer(out, features=features)
    is_folder = out.suffix.lower() == ".parquet"
    folder = out if is_folder else out.with_name(f"{out.name}.olhar")
    journal = folder / JOURNAL
    _check_ours(out, folder, journal)
    with lock_folder(folder, lambda number: _busy(out, number)):
        with explain_os_errors(journal):
            if not journal.exists():
                write_atomic(journal, f"{json.dumps({'format': FORMAT, **record})}\n")
        _check_record(out, journal, record)
        result = Result(writer, journal)
        result.take_up()
        try:
            yield result
        except BaseException:
            with suppress(OlharError):  # what has ended it is said, not this
                result.write()
            raise
        result.write()


def _busy(out: Path, number: str) -> Text:
    return _(
        "another process ({number}) is writing '{path}'; wait for it, or choose another --out",
        number=number,
        path=out,
    )


def _check_ours(out: Path, folder: Path, journal: Path) -> None:
    """Refuse a path where something lies that has no journal."""
    with explain_os_errors(out):
        if journal.is_file() or not os.path.lexists(out):
            return
        if out == folder and out.is_dir() and set(os.listdir(out)) <= {".lock"}:  # noqa: PTH208
            return
    raise RunExistsError(
        _(
            "'{path}' exists already, and olhar did not write it; choose another name, or move "
            "it elsewhere",
            path=out,
        )
    )


def _check_record(out: Path, journal: Path, record: Mapping[str, Any]) -> None:
    with explain_os_errors(journal), journal.open("rb") as lines:
        kept = _read_line(journal, 1, lines.readline())
    if kept.get("format") != FORMAT:
        raise DataError(
            _(
                "'{path}' has format {version}; this olhar reads format {known}: update olhar",
                path=journal,
                version=kept.get("format"),
                known=FORMAT,
            )
        )
    for key, value in record.items():
        if kept.get(key) != value:
            given = {"path": out, "kept": _short(kept.get(key)), "given": _short(value)}
            raise ConfigError(Text(_OTHERS.get(key, _OTHER_SETTING).literal, {**given, "key": key}))


_OTHERS = {
    "model": _(
        "'{path}' is the result of another model ({kept}; here {given}); choose another --out, or move "
        "that one elsewhere"
    ),
    "sources": _(
        "'{path}' is the result of another source ({kept}; here {given}); choose another --out, or move "
        "that one elsewhere"
    ),
    "sources_sha256": _(
        "'{path}' is the result of another source: the words are the same, the folder, the list or the "
        "column is not; choose another --out, or move that one elsewhere"
    ),
}
_OTHER_SETTING = _(
    "'{path}' was begun with another --{key} ({kept}; here {given}); give the same, choose another "
    "--out, or move that one elsewhere"
)


def _short(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else json.dumps(value, ensure_ascii=False)
    text = text.strip('"')
    return f"{text[:16]}…" if len(text) == 64 and text.isalnum() else text


def _read_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
        if number > 1:
            said["rows"] + said["errors"] + said["end"]
            assert len(base64.b64decode(said["photos"])) == 16 * said["rows"]
        return dict(said)
    except (ValueError, TypeError, KeyError, AssertionError) as error:
        raise DataError(
            _(
                "'{path}' is damaged in line {number}; move the result elsewhere and begin anew",
                path=path,
                number=number,
            )
        ) from error


def _append(path: Path, content: bytes) -> None:
    """Add to a file, or leave it as it was."""
    with explain_os_errors(path), path.open("ab", buffering=0) as file:
        begun = file.seek(0, os.SEEK_END)
        left = memoryview(content)
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            with suppress(OSError):
                os.truncate(path, begun)
            raise
