"""One driver a sweep: a lock on its folder that the operating system lets go when the driver dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import _

_BYTE = 1024  # Windows locks bytes against reading too: one behind the text


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` (made where it is not there) for this process.

    Raises:
        ConfigError: another process holds it.
    """
    path = folder / ".lock"
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        if not _take(file):
            file.seek(0)
            raise ConfigError(
                _(
                    "'{path}' is in use: another sweep (process {pid}) works on it; wait for it, or "
                    "choose another --out",
                    path=folder,
                    pid=file.read(32).strip() or "?",
                )
            )
        with explain_os_errors(folder):
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        yield


def _take(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
