"""Writing aside, then renaming: what is at a path is always whole.

Whole, that is, whenever a process is killed. Nothing waits for the disk itself: an fsync cost 60 ms
a file where it was measured, more than an epoch of a small network.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olhar.errors import explain_os_errors


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` to a file beside `path`, and rename it to `path`."""
    data = content.encode() if isinstance(content, str) else content
    write_atomic_with(path, lambda aside: _write(aside, data))


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
    with explain_os_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
