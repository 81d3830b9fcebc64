"""Where the cache lies: what the user chose, the platform's place, or a private folder of this user's own.

Does not know: what is kept there.
"""

from __future__ import annotations

import functools
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

# Folders that stand in for the platform's place, which cannot be written; for whoever tells the user.
STANDING_IN: list[Path] = []


def cache_folder() -> Path:
    """Where olhar keeps what it can make again: `OLHAR_CACHE`, else the platform's cache folder.

    Where the platform's place cannot be written, as for the unknown users of clusters whose home is /, a
    folder of this user's own among the temporary files stands in for it.
    """
    chosen = os.environ.get("OLHAR_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    usual = platformdirs.user_cache_path("olhar", appauthor=False)
    return usual if _can_be_written(usual) else _stand_in(usual)


def _can_be_written(folder: Path) -> bool:
    """Whether a folder can be written, or made."""
    if not folder.is_absolute():  # nobody knows where this user's home is
        return False
    with suppress(OSError):
        nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        own = os.access in os.supports_effective_ids
        return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK, effective_ids=own)
    return False


@functools.cache
def _stand_in(usual: Path) -> Path:
    """A folder that only this user can use; the usual one where there is none, and its error is told."""
    with suppress(OSError):
        folder = Path(tempfile.gettempdir(), f"olhar-cache-{getattr(os, 'geteuid', int)()}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        if not (stat.S_ISDIR(found.st_mode) and is_own and not found.st_mode & 0o022):
            folder = Path(tempfile.mkdtemp(prefix="olhar-cache-"))  # somebody else took the name
        STANDING_IN.append(folder)
        return folder
    return usual
