"""Features that were computed before, found again image by image.

Each network, preprocess and view has a table of SQLite, `<cache>/features/<key>.sqlite`: where a data
set changes, or is divided anew, only what is new is computed. A table that is damaged counts as absent;
one that cannot be written costs the time of computing again, and no more. What is computed for an image
does not depend on the others beside it (tests hold that), so neither does a model on what was known.

Does not know: what computes them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.cache_place import cache_folder

_WAIT_S = 30.0  # for another process that writes

Features = NDArray[np.float32]


def cached_features(
    key: str, names: Sequence[bytes], compute: Callable[[NDArray[np.int64]], Features]
) -> Features:
    """The features (n, F) of images, of which those that are not known yet are computed and kept.

    Args:
        key: a file name for all else that they depend on.
        names: of n images; equal images may have equal names.
        compute: positions (m,) among the names → (m, F) float32.
    """
    path = cache_folder() / "features" / f"{key}.sqlite"
    known = _read(path, names)
    missing = np.array([at for at, name in enumerate(names) if name not in known], np.int64)
    if len(missing):
        # One of several equal images is enough.
        _first, rows = np.unique(np.array([names[at] for at in missing], object), return_index=True)
        missing = missing[np.sort(rows)]
        made = compute(missing)
        new = {names[at]: row for at, row in zip(missing, made, strict=True)}
        _write(path, new)
        known |= new
    return np.stack([known[name] for name in names])


def _read(path: Path, names: Sequence[bytes]) -> dict[bytes, Features]:
    found: dict[bytes, Features] = {}
    if not path.is_file():
        return found
    with suppress(sqlite3.Error, ValueError), _table(path) as table:
        for name in names:
            row = table.execute("SELECT vector FROM features WHERE name = ?", (name,)).fetchone()
            if row is not None:
                found[name] = np.frombuffer(row[0], np.float32)
    widths = {len(vector) for vector in found.values()}
    return found if len(widths) <= 1 else {}


def _write(path: Path, rows: dict[bytes, Features]) -> None:
    with suppress(sqlite3.Error, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _insert(path, rows)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # it is locked, or the disk is full
                raise
            path.unlink()
            _insert(path, rows)


def _insert(path: Path, rows: dict[bytes, Features]) -> None:
    with _table(path) as table, table:
        table.execute("CREATE TABLE IF NOT EXISTS features (name BLOB PRIMARY KEY, vector BLOB)")
        table.executemany(
            "INSERT OR REPLACE INTO features VALUES (?, ?)",
            ((name, np.ascontiguousarray(row, np.float32).tobytes()) for name, row in rows.items()),
        )


@contextmanager
def _table(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=_WAIT_S)) as table:
        table.execute(
            "PRAGMA synchronous=OFF"
        )  # after a power cut it may be damaged: then it is absent
        yield table
