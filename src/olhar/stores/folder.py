"""A store in a folder: on a disk, a stick, or a drive that many machines share.

A file is written in `incoming/` under a name that nobody else has, then renamed; a claim is a
`mkdir`. Both are atomic on every file system, network drives included, without hard links or locks.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from olhar.errors import explain_os_errors
from olhar.stores.address import StoreUrl
from olhar.stores.contract import Report

_PIECE_BYTES = 4 * 2**20
_ASIDE = re.compile(r"[0-9a-f]{32}")  # what _write_aside calls a file
_ABANDONED_S = 24 * 3600.0


class FolderStore:
    """A folder as a `Store`; it is made when the first thing is written."""

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        self._root = Path(url.place)

    def read(self, key: str) -> bytes | None:
        """See `Store`."""
        path = self._root / key
        with explain_os_errors(path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, key: str, content: bytes) -> None:
        """See `Store`."""
        self._write_aside(key, lambda file: file.write(content))

    def claim(self, key: str) -> bool:
        """See `Store`."""
        path = self._root / key
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.mkdir()
            except FileExistsError:
                return False
            return True

    def has(self, key: str) -> bool:
        """See `Store`."""
        with explain_os_errors(self._root / key):
            return (self._root / key).is_file()

    def upload(self, key: str, path: Path, report: Report) -> None:
        """See `Store`."""
        with explain_os_errors(path), path.open("rb") as source:
            self._write_aside(key, lambda file: copy_pieces(source, file, report))

    def download(self, key: str, path: Path, report: Report) -> bool:
        """See `Store`."""
        with explain_os_errors(path):
            try:
                source = (self._root / key).open("rb")
            except FileNotFoundError:
                return False
            with source, path.open("wb") as file:
                copy_pieces(source, file, report)
            return True

    def keys(self, prefix: str) -> list[str]:
        """See `Store`."""
        with explain_os_errors(self._root / prefix):
            found = (self._root / prefix).rglob("*")
            return sorted(p.relative_to(self._root).as_posix() for p in found if p.is_file())

    def remove(self, key: str) -> None:
        """See `Store`."""
        with explain_os_errors(self._root / key):
            (self._root / key).unlink(missing_ok=True)

    def tidy(self) -> None:
        """See `Store`."""
        with explain_os_errors(self._root):
            for path in (self._root / "incoming").glob("*"):
                if not _ASIDE.fullmatch(path.name):
                    continue  # whoever chose the folder may have one of this name
                try:
                    if time.time() - path.stat().st_mtime > _ABANDONED_S:
                        path.unlink()
                except FileNotFoundError:
                    continue  # its writer has renamed it

    def close(self) -> None:
        """Nothing is open."""

    # files.write_atomic names what it writes aside after the process, and on a drive that machines
    # share two processes may have one number.
    def _write_aside(self, key: str, fill: Callable[[BinaryIO], object]) -> None:
        target, aside = self._root / key, self._root / "incoming" / uuid.uuid4().hex
        with explain_os_errors(target):
            for folder in (aside.parent, target.parent):
                folder.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    fill(file)
                aside.replace(target)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise


def copy_pieces(source: BinaryIO, target: BinaryIO, report: Report) -> None:
    """Copy what is left of `source`, and report each piece."""
    while piece := source.read(_PIECE_BYTES):
        target.write(piece)
        report(len(piece))
