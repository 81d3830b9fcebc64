"""What a store does: ten operations on keys, the same for every backend, and the order to try again.

A key is a path of names, `versions/models/cifar/000000003.json`. Small contents are read and written
whole; files are moved in pieces. What is at a key is whole at any moment, whoever is killed. The
backends differ in how they keep that promise, and above all in how they keep the one of `claim`:

    folder    a claim is `mkdir`; files are written aside and renamed
    s3        a claim is a splitter over two objects (see s3.py); one PUT is whole or is not there
    mongodb   a claim is an insert under a unique index; GridFS names a file after its last chunk

Does not know: versions, models, what is in a file.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from olhar.errors import StoreError

Report = Callable[[int], None]  # hears of each piece: how many bytes have been moved since the last
Result = TypeVar("Result")

CONNECT_S = 2.4
_RETRY_S = 20.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 3.0


class TransientStoreError(StoreError):
    """A failure that may pass: a broken connection, a server that is busy."""


class Store(Protocol):
    """What every backend does. Each operation may be repeated without harm."""

    shown: str

    def read(self, key: str) -> bytes | None:
        """The content at `key`; None where there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Put a small content at `key`, in place of what is there."""

    def claim(self, key: str) -> bool:
        """True to at most one caller for all time, wherever the callers are; perhaps to none."""

    def has(self, key: str) -> bool:
        """Whether a file was uploaded to `key`."""

    def upload(self, key: str, path: Path, report: Report) -> None:
        """Put a file at `key`; what is there already is the same file."""

    def download(self, key: str, path: Path, report: Report) -> bool:
        """Write the file at `key` to `path`; False where there is none."""

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix`, which ends with a slash; sorted."""

    def remove(self, key: str) -> None:
        """Remove what is at `key`, content or file, where there is any."""

    def tidy(self) -> None:
        """Remove what killed writers left more than a day ago and nobody can see."""

    def close(self) -> None:
        """Close connections."""


def within(seconds: float, work: Callable[[], Result], late: StoreError) -> Result:
    """The result of `work`, or `late` raised: some libraries heed no limit, as for names in DNS."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 it is raised again by the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise late
    return results[0]


def persist(work: Callable[[], Result], limit_s: float = _RETRY_S) -> Result:
    """The result of `work`, tried again with growing pauses after a failure that may pass.

    Raises:
        StoreError: the failure lasted for `limit_s`, or was of another kind.
    """
    end, pause = time.monotonic() + limit_s, _FIRST_PAUSE_S
    while True:
        try:
            return work()
        except TransientStoreError:
            wait = pause * random.uniform(0.5, 1.5)  # so that many clients do not come back at once
            if time.monotonic() + wait > end:
                raise
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


class PersistentStore:
    """A store whose operations are tried again after failures that may pass. Closes itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.shown = store.shown

    def read(self, key: str) -> bytes | None:
        """See `Store`."""
        return persist(lambda: self._store.read(key))

    def write(self, key: str, content: bytes) -> None:
        """See `Store`."""
        persist(lambda: self._store.write(key, content))

    def claim(self, key: str) -> bool:
        """See `Store`. A claim whose answer was lost is lost itself: nobody has it."""
        return persist(lambda: self._store.claim(key))

    def has(self, key: str) -> bool:
        """See `Store`."""
        return persist(lambda: self._store.has(key))

    def upload(self, key: str, path: Path, report: Report) -> None:
        """See `Store`."""
        persist(lambda: _counted(report, lambda count: self._store.upload(key, path, count)))

    def download(self, key: str, path: Path, report: Report) -> bool:
        """See `Store`."""
        return persist(lambda: _counted(report, lambda n: self._store.download(key, path, n)))

    def keys(self, prefix: str) -> list[str]:
        """See `Store`."""
        return persist(lambda: self._store.keys(prefix))

    def remove(self, key: str) -> None:
        """See `Store`."""
        persist(lambda: self._store.remove(key))

    def tidy(self) -> None:
        """See `Store`."""
        persist(self._store.tidy)

    def close(self) -> None:
        """See `Store`."""
        self._store.close()

    def __enter__(self) -> PersistentStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close connections."""
        self.close()


def _counted(report: Report, move: Callable[[Report], Result]) -> Result:
    """Move a file; where that fails, take back what was reported."""
    moved, lock = 0, threading.Lock()

    def count(size_bytes: int) -> None:
        nonlocal moved
        with lock:  # pieces are moved by several threads
            moved += size_bytes
            report(size_bytes)

    try:
        return move(count)
    except BaseException:
        report(-moved)
        raise
