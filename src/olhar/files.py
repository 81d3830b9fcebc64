"""Writing aside, then renaming: what is at a path is always whole.

Whole, that is, whenever a process is killed. Nothing waits for the disk itself: an fsync cost 60 ms
a file where it was measured, more than an epoch of a small network.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olhar.errors import RunExistsError, explain_os_errors
from olhar.i18n import _


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` to a file beside `path`, and rename it to `path`."""
    data = content.encode() if isinstance(content, str) else content
    write_atomic_with(path, lambda aside: _write(aside, data))


def decode_text(content: bytes) -> str:
    """The text of a file that a person has written: UTF-8, or UTF-16 as Windows' Notepad marks it.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


_SPREAD = 0x9E3779B97F4A7C15  # odd, its bits mixed: 2 ** 64 over the golden ratio


def change_mark(facts: os.stat_result) -> int:
    """A number that is another when a file may have changed, to be kept beside its size.

    The time of change alone stays where a program keeps it (`cp -p`, `rsync -t`, unpacking) while the
    content is another; the time that the system itself notes does not. Windows notes none: there a file
    of equal size and time counts as the same.

    Returns:
        0 to 2 ** 63 - 1.
    """
    # No hash, as there may be millions of files; two times of change are as unlikely to meet.
    return (facts.st_mtime_ns * _SPREAD + facts.st_ctime_ns) & (2**63 - 1)


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV whose lines end in a newline; a field with any line break in it is quoted."""
    lines = []
    for row in rows:
        text = io.StringIO()
        # The writer quotes a lone "\r" only where that is part of its own line ends.
        csv.writer(text, lineterminator="\r\n").writerow(row)
        lines.append(text.getvalue().removesuffix("\r\n"))
    return "".join(f"{line}\n" for line in lines)


def write_atomic_with(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path` (same suffix), then rename it to `path`."""
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            write(aside)
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


# What stands near the beginning of each page, picture, card and shortcut that olhar writes for people.
PNG_MARK, SVG_MARK = {"Software": "olhar"}, {"Creator": "olhar"}
HTML_MARK = '<meta name="generator" content="olhar">'
CARD_MARK = b"library_name: olhar"
SHORTCUT_MARK = "what a double click opens, written by olhar studio --shortcut"
_MARKS = (
    b"Software\0olhar",
    b"<dc:title>olhar</dc:title>",
    HTML_MARK.encode(),
    CARD_MARK,
    SHORTCUT_MARK.encode(),
)
_MARKED_BYTES = 4096


def check_replaceable(path: Path) -> None:
    """Refuse a file to write where something lies that is no page, picture, card or shortcut of olhar's.

    Raises:
        RunExistsError: something else lies there.
    """
    with explain_os_errors(path):
        if not os.path.lexists(path):
            return
        content = b""
        if path.is_file():
            with path.open("rb") as file:
                content = file.read(_MARKED_BYTES)
    if not any(mark in content for mark in _MARKS):
        raise RunExistsError(
            _(
                "'{path}' exists already, and olhar did not write it; choose another name, or move "
                "it elsewhere",
                path=path,
            )
        )


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A fresh folder beside `path` that becomes `path` when the block ends well, and goes otherwise.

    If another process has made `path` meanwhile, theirs stays and ours goes.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        aside.chmod(0o755)
        try:
            yield aside
            try:
                aside.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    import hashlib

    with explain_os_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
