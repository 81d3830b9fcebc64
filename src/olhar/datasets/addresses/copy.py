"""The copy of an address in the cache: fetched once, and then only what differs.

    files/…       the objects, by their keys
    index.jsonl   key, size and ETag of each that has come, as it came
    new/…         what is under way; a fetch that was broken off goes on with it
    whole         there while the copy is what a listing said

Does not know: what form the data has, or what a class is.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from olhar import i18n
from olhar.errors import OlharError, StorageError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.objects import ObjectChanged, Objects, StoredObject
from olhar.progress import Progress, byte_count

_CONNECTIONS = 16
_SPARE_BYTES = 2**28  # left free on the disk

Known = tuple[int, str]  # size in bytes, ETag


class _StoppedError(Exception):
    """Another connection has failed, and this one is to stop."""


class CachedCopy:
    """The copy in a folder that this process has for itself.

    Attributes:
        files: the folder of the objects.
    """

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self._new = folder / "new"
        self._index = folder / "index.jsonl"
        self._whole = folder / "whole"

    @property
    def is_whole(self) -> bool:
        """Whether it is what a listing said, the last time."""
        return self._whole.exists()

    def follow(
        self, shown: str, objects: Objects, wanted: Iterable[StoredObject], progress: Progress
    ) -> int:
        """Fetch what is not here, and remove what is wanted no longer.

        Args:
            shown: what to call the address in messages.
            objects: where to fetch from.
            wanted: what the copy is to have, by a listing.
            progress: hears of the bytes.

        Returns:
            How many objects were changed or removed while they were read: list again.

        Raises:
            StorageError: the disk is full. What has come stays, and the next call goes on from there.
        """
        listed = {one.key: one for one in wanted}
        with explain_os_errors(self.files):
            for folder in (self.files, self._new):
                folder.mkdir(parents=True, exist_ok=True)
            here = self._read()
            todo = [one for one in listed.values() if here.get(one.key) != (one.size, one.etag)]
            gone = sorted(here.keys() - listed.keys())
            if not todo and not gone and self.is_whole:
                return 0
            self._say(shown, here, listed, todo, gone, progress)
            _check_space(shown, self.files, sum(one.size for one in todo))
            self._whole.unlink(missing_ok=True)
            self._remove(gone)
            with self._index.open("a", encoding="utf-8") as index:
                changed = self._fetch(objects, todo, here, index, progress)
            if not changed:
                self._finish(listed.values())
        return changed

    def _read(self) -> dict[str, Known]:
        """What is here, by key. Files of other sizes, and those that no index tells of, are not."""
        rows: dict[str, Known] = {}
        with suppress(FileNotFoundError), self._index.open(encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError):  # the last line of a process that was killed
                    key, size, etag = json.loads(line)
                    rows[key] = size, etag
        here, start = {}, len(f"{self.files}{os.sep}")
        for folder, _folders, names in os.walk(self.files):
            for name in names:
                path = Path(folder, name)
                key = str(path)[start:].replace(os.sep, "/")
                if key in rows and path.stat().st_size == rows[key][0]:
                    here[key] = rows[key]
                else:
                    path.unlink()
        return here

    def _say(
        self,
        shown: str,
        here: Mapping[str, Known],
        listed: Mapping[str, StoredObject],
        todo: Sequence[StoredObject],
        gone: Sequence[str],
        progress: Progress,
    ) -> None:
        if self.is_whole:
            other = sum(one.key in here for one in todo)
            progress.note(
                _(
                    "'{store}' is not what it was: {new} object(s) are new, {other} changed, {gone} gone",
                    store=shown,
                    new=len(todo) - other,
                    other=other,
                    gone=len(gone),
                )
            )
        megabytes = i18n.number(sum(one.size for one in todo) / 2**20, 1)
        if here and not self.is_whole:
            progress.note(
                _(
                    "fetching of '{store}' goes on: {here} of {total} object(s) are here, {size} MB are "
                    "missing",
                    store=shown,
                    here=len(listed) - len(todo),
                    total=len(listed),
                    size=megabytes,
                )
            )
        elif todo:
            progress.note(
                _(
                    "fetching {count} object(s) of '{store}' into the cache, {size} MB",
                    count=len(todo),
                    store=shown,
                    size=megabytes,
                )
            )

    def _remove(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders that are empty then: an empty folder is no class."""
        for key in keys:
            path = self.files / key
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.files or any(folder.iterdir()):
                    break
                folder.rmdir()

    def _fetch(
        self,
        objects: Objects,
        todo: Sequence[StoredObject],
        here: Container[str],
        index: IO[str],
        progress: Progress,
    ) -> int:
        """Fetch by many connections at once; how many objects were no longer as listed."""
        report = byte_count(progress, _("files"), sum(one.size for one in todo))
        waiting, lock, stop = iter(todo), threading.Lock(), threading.Event()
        changed: list[str] = []

        def count(size_bytes: int) -> None:
            if stop.is_set():
                raise _StoppedError
            with lock:
                report(size_bytes)

        def work(number: int) -> None:
            while not stop.is_set():
                with lock:
                    one = next(waiting, None)
                if one is None:
                    return
                aside = self._new / str(number)
                try:
                    objects.fetch(one.key, aside, one, count)
                except ObjectChanged:
                    changed.append(one.key)
                    continue
                target = self.files / one.key
                target.parent.mkdir(parents=True, exist_ok=True)
                if one.key in here:  # its old row is not true of the new content
                    with lock:
                        index.write(_row(replace(one, size=-1)))
                        index.flush()
                aside.replace(target)
                with lock:
                    index.write(_row(one))
                    index.flush()

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            try:
                workers = [pool.submit(work, number) for number in range(_CONNECTIONS)]
                for ended in as_completed(workers):
                    ended.result()
            except OlharError:
                progress.note(
                    _("what has come stays in the cache; the same command goes on from there")
                )
                raise
            finally:
                stop.set()
        return len(changed)

    def _finish(self, wanted: Iterable[StoredObject]) -> None:
        write_atomic(self._index, "".join(_row(one) for one in wanted))
        shutil.rmtree(self._new, ignore_errors=True)
        self._whole.touch()


def _row(one: StoredObject) -> str:
    return json.dumps([one.key, one.size, one.etag]) + "\n"


def _check_space(shown: str, folder: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(folder).free - _SPARE_BYTES
    if size_bytes > free:
        raise StorageError(
            _(
                "'{store}' needs {size} MB, more than the {free} MB that are free in the cache, {cache}; "
                "free some space, or set OLHAR_CACHE",
                store=shown,
                size=size_bytes // 10**6,
                free=max(free, 0) // 10**6,
                cache=folder,
            )
        )
