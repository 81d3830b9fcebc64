"""Giving back the space of removed versions, without taking a file from a push that is under way.

A push says that it is at work, then looks whether somebody collects; who collects says so, then looks
whether somebody pushes. Whichever came second sees the other: the push waits, the collector gives
up and leaves the space to the next `olhar rm`. (The flags of E. W. Dijkstra, "Cooperating sequential
processes", 1965.) Whoever is killed leaves a flag that goes out of date.
"""

from __future__ import annotations

import datetime
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from olhar.errors import OlharError
from olhar.stores.contract import PersistentStore
from olhar.stores.manifest import now, read_manifest

_COLLECT_S = 60.0  # a collector stops after this time, so that one who waits longer may go on
_WAIT_S = 3 * _COLLECT_S
_PUSH_AGE = datetime.timedelta(days=1)
_READERS = 16
# A folder or bucket may hold other things of its owner's under these names: only what olhar itself
# has written, by its name, is ever removed.
_FLAG = re.compile(r"(?:pushing|collecting)/[0-9a-f]{32}")
_FILE = re.compile(r"files/([0-9a-f]{2})/(\1[0-9a-f]{62})")


@contextmanager
def pushing(store: PersistentStore) -> Iterator[None]:
    """Nothing is collected while the block runs."""
    flag = f"pushing/{uuid.uuid4().hex}"
    store.write(flag, now().encode())
    try:
        _wait_for_collectors(store)
        yield
    finally:
        with suppress(OlharError):  # an error in the block is the one to tell
            store.remove(flag)


def _wait_for_collectors(store: PersistentStore) -> None:
    first_seen: dict[str, float] = {}
    while flags := _flags(store, "collecting/"):
        for flag in flags:
            if time.monotonic() - first_seen.setdefault(flag, time.monotonic()) > _WAIT_S:
                store.remove(flag)  # its owner was killed
        time.sleep(0.2)


def _flags(store: PersistentStore, prefix: str) -> list[str]:
    return [key for key in store.keys(prefix) if _FLAG.fullmatch(key)]


def collect(store: PersistentStore) -> int | None:
    """Remove the files that no version needs.

    Returns:
        How many were removed; None where that has to wait: somebody pushes, or a manifest cannot
        be read, so that nobody knows what it needs.
    """
    end = time.monotonic() + _COLLECT_S
    flag = f"collecting/{uuid.uuid4().hex}"
    store.write(flag, now().encode())
    try:
        if _somebody_pushes(store):
            return None
        needed = _needed_files(store)
        if needed is None:
            return None
        removed = 0
        for key in store.keys("files/"):
            own = _FILE.fullmatch(key)
            if own and own[2] not in needed and time.monotonic() < end:
                store.remove(key)
                removed += 1
        store.tidy()
        return removed
    finally:
        with suppress(OlharError):
            store.remove(flag)


def _somebody_pushes(store: PersistentStore) -> bool:
    busy = False
    for flag in _flags(store, "pushing/"):
        content = store.read(flag)
        if content is None:
            continue
        try:
            since = datetime.datetime.fromisoformat(content.decode())
            is_old = datetime.datetime.now(datetime.UTC) - since > _PUSH_AGE
        except (ValueError, TypeError):
            is_old = False
        if is_old:
            store.remove(flag)
        busy = busy or not is_old
    return busy


def _needed_files(store: PersistentStore) -> set[str] | None:
    def digests(key: str) -> set[str]:
        content = store.read(key)
        if content is None:
            return set()  # removed meanwhile
        return {file.sha256 for file in read_manifest(content, key).files.values()}

    try:
        with ThreadPoolExecutor(_READERS) as pool:
            return set().union(*pool.map(digests, store.keys("versions/")))
    except OlharError:
        return None
