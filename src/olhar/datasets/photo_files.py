"""Which files below a folder are photos, and what is said of the others. Opens few files.

A file is judged by its ending, and where that says nothing, by its first bytes.

Does not know: classes, parts, or what is in a photo.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from olhar.files import change_mark
from olhar.i18n import Text, _
from olhar.shown import readable_name
from olhar.signatures import (
    HEAD_BYTES,
    HEIF_SUFFIXES,
    IMAGE_SUFFIXES,
    OTHER_SUFFIXES,
    RAW_SUFFIXES,
    image_format,
    pointer_of,
)

PhotoFile = tuple[str, int, int]  # path with forward slashes, size in bytes, files.change_mark

ALLOWED = ", ".join(sorted(IMAGE_SUFFIXES))
PHOTO, OTHER = "photo", "other"
_POINTER_BYTES = 200  # what Git LFS and git-annex leave is shorter
# What systems, cameras' cards and network disks keep beside photos; lower case.
_PASSED_OVER = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found"}
    | {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__"}
)
_OWN_FILES = {  # a file in a folder that olhar made, and how it begins
    "config.toml": b'\nolhar = "',
    "sweep.toml": b"format = ",
    "log.jsonl": b'{"format": 1, "from"',
}
_LEFT_OUT = {
    "HEIF": _(
        "{count} HEIC photo(s), as phones make them, are not read; to read them: pip install "
        '"olhar[photos]"'
    ),
    "AVIF": _(
        "{count} AVIF photo(s) are not read by this Pillow; to read them: pip install -U pillow"
    ),
    "raw": _(
        "{count} raw file(s) of cameras (such as {example}) are not read; save them as JPEG or TIFF"
    ),
    "link": _(
        "{count} file(s) are links to what is not here (such as {example}); bring the files, with "
        "dvc pull, git annex get, or by copying what the links lead to"
    ),
    "lfs": _(
        "{count} file(s) are pointers of Git LFS (such as {example}), not the photos; bring the "
        "photos with: git lfs pull"
    ),
    "annex": _(
        "{count} file(s) are pointers of git-annex (such as {example}), not the photos; bring the "
        "photos with: git annex get"
    ),
    "own": _("{count} folder(s) that olhar made itself are passed over (such as {example}/)"),
}


@dataclass
class LeftOut:
    """What lies among photos and is not used.

    Attributes:
        others: files that are no photos, by suffix.
        kinds: what might be meant as photos, or is olhar's own, by kind (see `sentences`).
        examples: the first of each kind.
    """

    others: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, path: str) -> None:
        """Count a file, or a folder of olhar's own."""
        if kind == OTHER:
            name = PurePath(path).name
            self.others[PurePath(name).suffix.lower() or name] += 1
        else:
            self.kinds[kind] += 1
            self.examples.setdefault(kind, path)

    def update(self, other: LeftOut) -> None:
        """Add what another has counted."""
        self.others += other.others
        self.kinds += other.kinds
        self.examples = {**other.examples, **self.examples}

    def sentences(self) -> list[Text]:
        """What to say of `kinds`."""
        return [
            Text(
                _LEFT_OUT[kind].literal,
                {"count": count, "example": readable_name(self.examples[kind])},
            )
            for kind, count in self.kinds.items()
        ]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over."""
    return name.startswith(".") or name.lower() in _PASSED_OVER


def is_photo(name: str) -> bool:
    """Whether the ending of a file's name is that of an image."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and (dot + suffix).lower() in IMAGE_SUFFIXES


def is_own(folder: str) -> bool:
    """Whether olhar made a folder: a run, a sweep, a quarantine, or a folder of nothing but such."""
    if _is_marked(folder):
        return True
    found = False
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if not (entry.is_dir(follow_symlinks=False) and _is_marked(entry.path)):
                return False
            found = True
    return found


def _is_marked(folder: str) -> bool:
    for name, beginning in _OWN_FILES.items():
        with suppress(OSError), Path(folder, name).open("rb") as file:
            if beginning in file.read(HEAD_BYTES):
                return True
    return False


def content(folder: Path | str, left: LeftOut) -> tuple[list[str], list[str]]:
    """Names of the folders, and of the photos, directly in a folder; sorted, none hidden."""
    folders, photos = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                if is_own(entry.path):
                    left.add("own", entry.name)
                else:
                    folders.append(entry.name)
            elif (kind := kind_of(entry)) == PHOTO:
                photos.append(entry.name)
            elif kind != OTHER:
                left.add(kind, entry.name)
    return sorted(folders), sorted(photos)


def holds_photos(folder: Path | str) -> bool:
    """Whether a photo lies directly in a folder; looks no further than the first."""
    with os.scandir(folder) as entries:
        return any(
            not is_hidden(entry.name) and not entry.is_dir() and kind_of(entry) == PHOTO
            for entry in entries
        )


def walk_photos(folder: str, prefix: str, left: LeftOut) -> Iterator[PhotoFile]:
    """(path, size, mark of change) of each photo in a folder and those below; other files are counted.

    Links to folders are followed no further than the folder itself: they may go in circles.

    Args:
        folder: its path.
        prefix: what paths begin with in its place, "" for nothing.
        left: counts what is no photo.
    """
    pending = [(folder, f"{prefix}/" if prefix else "")]
    while pending:
        here, before = pending.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                path = f"{before}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if is_own(entry.path):
                        left.add("own", path)
                    else:
                        pending.append((entry.path, f"{path}/"))
                elif (kind := kind_of(entry)) == PHOTO:
                    facts = entry.stat()
                    yield path, facts.st_size, change_mark(facts)
                else:
                    left.add(kind, path)


def kind_of(entry: os.DirEntry[str]) -> str:
    """Whether a file is a photo, another file, or what kind of `LeftOut` it is."""
    if not entry.is_file():
        # Where its name says that it is something else, nobody misses it.
        is_lost = entry.is_symlink() and not Path(entry.path).exists()
        return "link" if is_lost and _suffix(entry.name) not in OTHER_SUFFIXES else OTHER
    if is_photo(entry.name):
        small = entry.stat().st_size < _POINTER_BYTES
        return (pointer_of(_head(entry.path)) if small else "") or PHOTO
    suffix = _suffix(entry.name)
    if suffix in HEIF_SUFFIXES:
        return "HEIF"
    if suffix in RAW_SUFFIXES:
        return "raw"
    if suffix in OTHER_SUFFIXES:
        return OTHER
    head = _head(entry.path)
    found = image_format(head)
    if f".{found.lower()}" in {".heif", ".avif"} - IMAGE_SUFFIXES:
        return found
    return PHOTO if found else pointer_of(head) or OTHER


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def _head(path: str) -> bytes:
    """The first bytes of a file, b"" where it may not be read: its name says it is no photo."""
    with suppress(OSError), Path(path).open("rb") as file:
        return file.read(HEAD_BYTES)
    return b""
