"""The photos below a folder, one by one in sorted order, however many there are.

Names of a folder are sorted in memory while they are few; of more, sorted runs are written aside and
merged, so that a folder of a million photos costs no memory.

Does not know: what is done with the photos.
"""

from __future__ import annotations

import heapq
import os
import pickle
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from olhar.datasets.photo_files import PHOTO, LeftOut, is_hidden, is_own, is_photo, kind_of
from olhar.errors import explain_os_errors

_SORTED_AT_ONCE = 50_000
_READ_AT_ONCE = 500
_FOLDER = (
    "\0"  # behind a folder's name while names are sorted; sorts it where its name alone would be
)


def walk_sorted(
    folder: str, left: LeftOut, suffix: str = ""
) -> Iterator[tuple[str, os.stat_result]]:
    """(path, what the system says of it) of each photo in a folder and those below.

    Links to folders are not followed: they may go in circles.

    Args:
        folder: its path, which the paths begin with.
        left: counts what is no photo.
        suffix: files that end so are given as photos are.

    Raises:
        NoPermissionError: a folder that may not be read.
    """
    pending = [_names(folder)]
    places = [folder]
    while pending:
        name = next(pending[-1], None)
        if name is None:
            pending.pop()
            places.pop()
            continue
        path = os.path.join(places[-1], name.removesuffix(_FOLDER))  # noqa: PTH118
        if name.endswith(_FOLDER):
            with suppress(FileNotFoundError):  # it went meanwhile
                if is_own(path):
                    left.add("own", path)
                else:
                    pending.append(_names(path))
                    places.append(path)
            continue
        entry = cast("os.DirEntry[str]", _Entry(path))
        with suppress(FileNotFoundError):
            kind = PHOTO if suffix and path.lower().endswith(suffix) else kind_of(entry)
            if kind == PHOTO:
                yield path, entry.stat()
            else:
                left.add(kind, path)


def count_photos(folder: str, stop: Callable[[], bool]) -> int | None:
    """How many files below a folder are photos by their names; None once `stop` says so, or on an error."""
    total, pending = 0, [folder]
    with suppress(OSError):
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif is_photo(entry.name):
                        total += 1
                        if total % _READ_AT_ONCE == 0 and stop():
                            return None
        return total
    return None


class _Entry:
    """A file by its path, as `kind_of` asks an entry of a folder."""

    def __init__(self, path: str) -> None:
        self.path, self.name = path, os.path.basename(path)  # noqa: PTH119
        self._facts: os.stat_result | None = None

    def is_file(self) -> bool:
        try:
            return stat.S_ISREG(self.stat().st_mode)
        except OSError:
            return False

    def is_symlink(self) -> bool:
        return Path(self.path).is_symlink()

    def stat(self) -> os.stat_result:
        if self._facts is None:
            self._facts = os.stat(self.path)  # noqa: PTH116
        return self._facts


def _names(folder: str) -> Iterator[str]:
    """Names in a folder, sorted, none hidden; those of folders with `_FOLDER` behind."""
    runs: list[IO[bytes]] = []
    names: list[str] = []
    with explain_os_errors(folder), os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            names.append(entry.name + _FOLDER if is_folder else entry.name)
            if len(names) == _SORTED_AT_ONCE:
                runs.append(_write_run(sorted(names)))
                names.clear()
    return heapq.merge(*map(_read_run, runs), sorted(names))


def _write_run(names: list[str]) -> IO[bytes]:
    with explain_os_errors(tempfile.gettempdir()):
        file = tempfile.TemporaryFile()  # noqa: SIM115  read to its end later, and gone then
        for at in range(0, len(names), _READ_AT_ONCE):
            pickle.dump(names[at : at + _READ_AT_ONCE], file)
        file.seek(0)
    return file


def _read_run(file: IO[bytes]) -> Iterator[str]:
    with file, suppress(EOFError):
        while True:
            yield from pickle.load(file)  # noqa: S301  what was written above
