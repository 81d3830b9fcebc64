"""Making a version: the order of a push, the same for every backend.

A push uploads files that are not there yet, claims the next number, and writes the manifest last: a
push that is killed at any byte leaves no version. Two pushes never claim one number. A number whose
push was killed between the two last steps stays unused, so numbers may have gaps.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, DataError, StoreError, explain_os_errors
from olhar.files import sha256_file
from olhar.i18n import _
from olhar.progress import Progress, byte_count
from olhar.stores.contract import PersistentStore
from olhar.stores.manifest import FORMAT, Manifest, StoredFile, now
from olhar.stores.names import check_name
from olhar.stores.space import pushing
from olhar.stores.versions import (
    MARKER,
    file_key,
    is_store,
    stored_names,
    version_key,
    version_numbers,
)

_READERS = 16
_TRIES = 200
_LONGEST_PAUSE_S = 2.0


def hash_files(files: Mapping[str, Path]) -> dict[str, StoredFile]:
    """Hash the files of a version to be.

    Args:
        files: where each lies on this computer, by relative path with slashes.
    """
    planned = {}
    for path, source in files.items():
        with explain_os_errors(source):
            planned[path] = StoredFile(sha256_file(source), source.stat().st_size)
    return planned


def missing_files(store: PersistentStore, files: Mapping[str, StoredFile]) -> set[str]:
    """The sha256 of the files that the store does not have yet."""
    digests = {file.sha256 for file in files.values()}
    with ThreadPoolExecutor(_READERS) as pool:
        there = pool.map(lambda digest: (digest, store.has(file_key(digest))), digests)
        return {digest for digest, is_there in there if not is_there}


def push_version(
    store: PersistentStore,
    kind: str,
    name: str,
    files: Mapping[str, Path],
    facts: Mapping[str, Any],
    progress: Progress,
) -> Manifest:
    """Store files as the next version of a name.

    Args:
        store: the store; it becomes one with its first version.
        kind: `MODELS` or `DATASETS`.
        name: of what; allowed names are those of names.py.
        files: where each lies on this computer, by relative path with slashes.
        facts: what a list shows of it.
        progress: hears of the bytes.

    Raises:
        ConfigError: the name is not allowed, or differs from one in the store in case only.
        DataError: a file changed while it was read.
        StoreError: the store failed for longer than is waited for.
    """
    check_name(name, _("the name of a model or data set"))
    mark_store(store)
    _refuse_twin(store, kind, name)
    planned = hash_files(files)
    with pushing(store):
        _upload(store, files, planned, progress)
        number = _claim_number(store, kind, name)
        manifest = Manifest(kind, name, number, now(), planned, facts)
        store.write(version_key(kind, name, number), manifest.to_bytes())
    return manifest


def _upload(
    store: PersistentStore,
    sources: Mapping[str, Path],
    files: Mapping[str, StoredFile],
    progress: Progress,
) -> None:
    missing = missing_files(store, files)
    todo = {file.sha256: (sources[path], file) for path, file in files.items()}
    todo = {digest: entry for digest, entry in todo.items() if digest in missing}
    total = sum(file.size_bytes for _path, file in todo.values())
    report = byte_count(progress, _("files"), total)
    for digest, (source, file) in todo.items():
        before = source.stat()
        store.upload(file_key(digest), source, report)
        after = source.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, file.size_bytes):
            store.remove(file_key(digest))
            raise DataError(
                _("'{path}' changed while it was pushed; push again when it is whole", path=source)
            )


def _claim_number(store: PersistentStore, kind: str, name: str) -> int:
    """A number that nobody else has, has had, or will have."""
    number = max(version_numbers(store, kind, name), default=0)
    for tried in range(_TRIES):
        number += 1
        start = time.monotonic()
        if store.claim(f"claims/{kind}/{name}/{number:09d}"):
            return number
        # Perhaps others claim at this moment: spread over some times what a claim takes.
        took = time.monotonic() - start
        time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, took * min(tried + 1, 8))))
    raise StoreError(
        _("too many push to '{name}' in '{store}' at once; try again", name=name, store=store.shown)
    )


def _refuse_twin(store: PersistentStore, kind: str, name: str) -> None:
    """Two names that differ in case only would be one on many disks."""
    for other in stored_names(store, kind):
        if other.lower() == name.lower() and other != name:
            raise ConfigError(
                _(
                    "'{name}' differs from '{other}', which is in the store, in case only; push to "
                    "--name {other}, or choose another name",
                    name=name,
                    other=other,
                )
            )


def mark_store(store: PersistentStore) -> None:
    """Make the place a store, where it is none yet.

    Raises:
        ModelError: a newer olhar has made it.
    """
    if not is_store(store):
        store.write(MARKER, (json.dumps({"format": FORMAT}) + "\n").encode())
