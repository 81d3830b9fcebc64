"""What killed processes left in the cache, and entries that are damaged."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from olhar.cache_place import cache_folder
from olhar.classifier import load_classifier
from olhar.datasets.cache import is_entry, load_cached
from olhar.errors import OlharError, explain_os_errors

_ABANDONED_S = 3600.0
# What olhar writes below the cache. OLHAR_CACHE may name a folder with other things in it, and only
# what is called as olhar calls it may go.
_ROOMS = ("datasets", "downloads", "features", "groups", "models", "unpacked", "weights")
_ASIDE = re.compile(r"\..+\.(?:[a-z0-9_]{8}|[0-9]+(?:\.[a-z]+)?)")  # see files
_MODEL = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may go.

    Attributes:
        path: of it.
        damaged: an entry that is not whole; else something left aside.
        size_bytes: of all files in it.
    """

    path: Path
    damaged: bool
    size_bytes: int


def find_leftovers() -> list[Leftover]:
    """In the cache: what was written aside and not touched for an hour, and damaged entries.

    Downloads that were cut (`*.part`) are none: they go on where they stopped.

    Raises:
        NoPermissionError: the cache cannot be read.
    """
    found = []
    cache = cache_folder()
    with explain_os_errors(cache):
        for room in (cache / name for name in _ROOMS if (cache / name).is_dir()):
            for path in sorted(room.iterdir()):
                if _ASIDE.fullmatch(path.name):
                    if time.time() - _last_change(path) > _ABANDONED_S:
                        found.append(Leftover(path, damaged=False, size_bytes=_size(path)))
                elif path.is_dir() and _is_damaged(room.name, path):
                    found.append(Leftover(path, damaged=True, size_bytes=_size(path)))
    return found


def _is_damaged(room: str, path: Path) -> bool:
    if room == "datasets":
        return is_entry(path) and load_cached(path.name) is None
    if room == "models" and _MODEL.fullmatch(path.name):
        try:
            load_classifier(path)
        except OlharError:
            return True
    return False


def _files(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        yield from path.rglob("*")


def _last_change(path: Path) -> float:
    """Seconds since the epoch; a file that has gone meanwhile was changed just now."""
    latest = 0.0
    for file in _files(path):
        try:
            latest = max(latest, file.lstat().st_mtime)
        except FileNotFoundError:
            return time.time()
    return latest


def _size(path: Path) -> int:
    total = 0
    for file in _files(path):
        with suppress(FileNotFoundError):
            total += file.lstat().st_size if file.is_file() else 0
    return total


def remove_leftovers(leftovers: Sequence[Leftover]) -> int:
    """Remove them, each renamed first so that nobody sees it half removed; returns the bytes freed.

    Raises:
        NoPermissionError: one may not be removed.
    """
    freed = 0
    for leftover in leftovers:
        with explain_os_errors(leftover.path), suppress(FileNotFoundError):
            grave = Path(tempfile.mkdtemp(prefix=".removed.", dir=leftover.path.parent))
            try:
                leftover.path.rename(grave / "removed")
                freed += leftover.size_bytes
            finally:
                shutil.rmtree(grave, ignore_errors=True)
    return freed
