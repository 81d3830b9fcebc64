"""Files below a folder, or one file, as objects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from olhar.errors import MissingFileError, explain_os_errors
from olhar.files import change_mark, write_atomic_with
from olhar.i18n import _
from olhar.objects.contract import StoredObject, changed
from olhar.stores.contract import Report
from olhar.stores.folder import copy_pieces


class FolderObjects:
    """Files below a folder, as `Objects`. Links to folders are not followed: they may go in circles."""

    def __init__(self, place: Path, shown: str) -> None:
        with explain_os_errors(place):
            if not place.exists():
                raise MissingFileError(
                    _("there is no '{path}'; check the spelling and the current folder", path=shown)
                )
            self._only = "" if place.is_dir() else place.name
        self._root = place.parent if self._only else place
        self.shown = shown

    def list(self) -> Iterator[StoredObject]:
        """See `Objects`."""
        if self._only:
            yield _object(self._only, (self._root / self._only).stat())
            return
        pending = [(f"{self._root}{os.sep}", "")]
        while pending:
            path, key = pending.pop()
            if key and not key.endswith("/"):
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield _object(key, Path(path).stat())
                continue
            with explain_os_errors(path), os.scandir(path) as entries:
                found = [
                    (entry.path, f"{key}{entry.name}{'/' * entry.is_dir(follow_symlinks=False)}")
                    for entry in entries
                    if entry.is_file() or entry.is_dir(follow_symlinks=False)
                ]
            pending += sorted(found, key=lambda one: one[1], reverse=True)

    def read(self, key: str) -> bytes:
        """See `Objects`."""
        with explain_os_errors(self._root / key):
            try:
                return (self._root / key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise changed(self.shown, key) from None

    def fetch(
        self, key: str, path: Path, listed: StoredObject | None = None, report: Report | None = None
    ) -> None:
        """See `Objects`."""
        source = self._root / key

        def copy(aside: Path) -> None:
            try:
                with source.open("rb") as content, aside.open("wb") as file:
                    copy_pieces(content, file, report or (lambda _bytes: None))
                found = _object(key, source.stat())
            except (FileNotFoundError, NotADirectoryError):
                raise changed(self.shown, key) from None
            if listed is not None and found != listed:
                raise changed(self.shown, key)

        write_atomic_with(path, copy)

    def close(self) -> None:
        """Nothing is open."""


def _object(key: str, facts: os.stat_result) -> StoredObject:
    return StoredObject(key, facts.st_size, f"{change_mark(facts):016x}", facts.st_mtime)
