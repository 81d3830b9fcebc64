"""Locks between processes: a folder that one process holds, and work that one does while others wait.

The system lets go of a lock when its process ends, however it ends. Where a file system has no locks,
nobody is stopped.

Not the library filelock: on Windows it locks the first byte of a file, which hides from whoever is refused
the number of the process that holds it; older versions empty the file of the one that they wait for; and
where there are no locks it takes the mere existence of a file for one, which outlives its process.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import Text

_LOCKED_BYTE = 1024  # Windows locks bytes against reading too: one behind the text
_LOCKED_BY_ANOTHER = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_AGAIN_S = 0.2


@contextmanager
def lock_folder(folder: Path, busy: Callable[[str], Text]) -> Iterator[None]:
    """Hold `folder` (made where it is not there) for this process.

    Args:
        folder: its file `.lock` has the number of the process that holds it.
        busy: what to say where another process does, given its number ("?" if unknown).

    Raises:
        ConfigError: another process holds it.
    """
    path = folder / ".lock"
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        if _is_taken(file, path):
            file.seek(0)
            raise ConfigError(busy(file.read(32).strip() or "?"))
        with explain_os_errors(folder):
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no file that is open
                path.unlink()


def is_held(folder: Path) -> bool:
    """Whether another process holds `folder` (see `lock_folder`)."""
    path = folder / ".lock"
    try:
        with path.open("r+") as file:
            return _is_taken(file, path)
    except OSError:
        return False


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same file `path`, which is made and stays."""
    while True:
        with path.open("a+") as file:
            if not _is_taken(file, path):
                yield
                return
        time.sleep(_AGAIN_S)


def _is_taken(file: IO[str], path: Path) -> bool:
    """Whether another process has the lock; else it is ours until `file` is closed."""
    try:
        _lock(file)
    except OSError as error:
        return error.errno in _LOCKED_BY_ANOTHER  # else there are no locks here
    # A file that is no longer at its path was locked by a process that has just let go.
    return sys.platform != "win32" and not _is_at(file, path)


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
