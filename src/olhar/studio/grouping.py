"""groups.csv of a project: which photos belong together, so that no split may divide them.

A recording of the studio's is a group from the moment when its photos come. Near-duplicates are written
beside them before a training (`write_near`), since explicit groups are all that is then looked at.

Does not know: how photos are compared, or how a split is made.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from olhar.datasets.forms.rows import read_rows
from olhar.errors import explain_os_errors
from olhar.files import csv_text, write_atomic

NEAR = "alike-"  # how groups begin that were found, not recorded


class GroupFile:
    """The file, read and written whole. What others wrote into it stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._elsewhere: dict[str, str] = {}  # of photos that have no class yet
        self._unwritten: dict[str, str] = {}  # what the file should say, since the disk was full

    def read(self) -> dict[str, str]:
        """The group of each photo that has one, by `class/name`."""
        with explain_os_errors(self.path):
            if not self.path.is_file():
                return dict(self._unwritten)
        found = {}
        for _number, row in read_rows(self.path):
            values = {
                str(key).strip().lower(): str(value or "").strip() for key, value in row.items()
            }
            if values.get("file") and values.get("group"):
                found[values["file"].replace("\\", "/").removeprefix("./")] = values["group"]
        return found | self._unwritten

    def add(self, files: Sequence[str], group: str) -> None:
        """Say that photos belong together; of those without a class when they get one."""
        here = {file: group for file in files if not file.startswith(".")}
        self._elsewhere |= {file: group for file in files if file.startswith(".")}
        if here:
            self._write({**self.read(), **here})

    def write_missing(self) -> None:
        """Write what could not be written when it was said."""
        with self._lock:
            if self._unwritten:
                self._write(self._of_photos_there())

    def rename(self, files: Sequence[tuple[str, str]]) -> None:
        """Photos have moved: (old, new) of each."""
        known = {**self._elsewhere, **self.read()}
        moved = {new: known.pop(old) for old, new in files if old in known}
        if moved:
            known |= moved
            self._elsewhere = {file: known[file] for file in known if file.startswith(".")}
            self._write({file: known[file] for file in known if not file.startswith(".")})

    def rename_class(self, old: str, new: str) -> None:
        """A class has another name."""
        known = self.read()
        files = [file for file in known if file.startswith(f"{old}/")]
        self.rename([(file, new + file.removeprefix(old)) for file in files])

    def restore(self, groups: Mapping[str, str]) -> None:
        """What was said before comes back, for photos that are there."""
        self._write({**groups, **self.read()})
        self.forget_missing()

    def forget_missing(self) -> None:
        """Take out photos that are not there."""
        there = self._of_photos_there()
        if there != self.read():
            self._write(there)

    def write_near(self, alike: Iterable[Sequence[str]]) -> None:
        """Put photos that look alike into one group, with the recordings that they come from.

        Args:
            alike: the photos of each group that was found.
        """
        known = {f: group for f, group in self.read().items() if not group.startswith(NEAR)}
        for number, files in enumerate(alike, 1):
            groups = {known[file] for file in files if file in known}
            name = min(groups, default=f"{NEAR}{number}")
            together = {file for file, group in known.items() if group in groups}
            known |= dict.fromkeys([*together, *files], name)
        if known or self.path.is_file():
            self._write(known)

    def _of_photos_there(self) -> dict[str, str]:
        home = self.path.parent
        return {file: group for file, group in self.read().items() if (home / file).is_file()}

    def _write(self, groups: Mapping[str, str]) -> None:
        with self._lock, explain_os_errors(self.path):
            self._unwritten = dict(groups)
            if groups:
                write_atomic(self.path, csv_text([("file", "group"), *sorted(groups.items())]))
            else:
                self.path.unlink(missing_ok=True)
            self._unwritten = {}
