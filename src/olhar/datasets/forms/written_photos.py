"""Photos that lie in tables or shards as bytes, written as files into a folder, with a list of them.

From there on they are files like any others: decoded once, set aside with a reason where they cannot
be read, known by their content.

Does not know: where the photos come from.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

from olhar.data_settings import SourceSettings
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms.shards import read_json
from olhar.datasets.forms.tables import Table, read_tables
from olhar.datasets.layout import METADATA
from olhar.errors import DataError
from olhar.files import csv_text
from olhar.i18n import _
from olhar.stores.names import is_portable

_TALLY = "tally.json"  # what was left out, beside metadata.csv
_SUFFIXES = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


class PhotoWriter:
    """Writes photos into a folder that is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[tuple[str, str, str]] = []
        self._taken = {METADATA[0], _TALLY}
        self._unlabelled: Counter[str] = Counter()

    def add(self, content: bytes, called: str, label: str, split: str) -> None:
        """Write one photo.

        Args:
            content: its bytes, b"" for none.
            called: what its makers called it, "" where nothing tells; a name is found where it can be none.
            label: of its class.
            split: train, val or test, as its makers say, or "".
        """
        fallback = f"{split or 'photo'}-{len(self._rows):06d}"
        file = _file_name(called, content, fallback, self._taken)
        target = self._folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self._rows.append((file, label, split))

    def pass_over(self, place: str) -> None:
        """Count a photo without a label, by the split or file that it is in."""
        self._unlabelled[place] += 1

    def finish(self, name: str) -> None:
        """Write the list of the photos.

        Raises:
            DataError: there are none.
        """
        if not self._rows:
            raise DataError(_("'{path}' has no rows with a photo and a label", path=name))
        width = 3 if any(split for _file, _label, split in self._rows) else 2
        table = [("file_name", "label", "split")[:width], *(row[:width] for row in self._rows)]
        (self._folder / METADATA[0]).write_text(csv_text(table), encoding="utf-8")
        tally = json.dumps({"format": 1, "unlabelled": self._unlabelled})
        (self._folder / _TALLY).write_text(tally, encoding="utf-8")


def read_written(name: str, folder: Path, origin: Path) -> PhotoFolder:
    """The photos that a `PhotoWriter` wrote.

    Args:
        name: what to call the data.
        folder: that they were written into.
        origin: what PhotoFolder.origin is to be.
    """
    photos = read_tables(SourceSettings(name), folder, [Table(folder / METADATA[0])], origin)
    notes = [
        _("{count} photo(s) of {split} have no label and are not used", count=count, split=split)
        for split, count in read_json(folder / _TALLY).get("unlabelled", {}).items()
    ]
    return dataclasses.replace(photos, notes=(*photos.notes, *notes))


def _file_name(called: str, content: bytes, fallback: str, taken: set[str]) -> str:
    """A path that no other photo has: what it was called, where that can be one."""
    called = called.replace("\\", "/")
    if called.startswith("/") or PureWindowsPath(called).drive:
        called = PurePosixPath(called).name
    if not is_portable(called) or not _free(called, taken):
        suffix = next((end for start, end in _SUFFIXES if content.startswith(start)), "")
        webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
        called = f"{fallback}{'.webp' if webp else suffix}"
        while not _free(called, taken):
            called = f"_{called}"
    return called


def _free(path: str, taken: set[str]) -> bool:
    """Whether no other file has the path, or is or would be a folder of it; it is taken then."""
    folded = unicodedata.normalize("NFC", path).casefold()
    parents = [f"{parent}/" for parent in PurePosixPath(folded).parents if str(parent) != "."]
    if folded in taken or f"{folded}/" in taken or any(p[:-1] in taken for p in parents):
        return False
    taken.update([folded, *parents])
    return True
