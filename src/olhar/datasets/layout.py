"""The files of a folder of photos, by part and class. Lists names; opens no file.

Does not know: whether a class's name means the same as another's, or what is in a photo.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from olhar.datasets.dataset import PARTS
from olhar.errors import DataError, explain_os_errors
from olhar.i18n import Text, _
from olhar.images import IMAGE_SUFFIXES

PART_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
GROUPS = "groups.csv"  # says which photos belong together; no table of labels
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # tables that list photos
_ALLOWED = ", ".join(sorted(IMAGE_SUFFIXES))

PhotoFile = tuple[str, int, int]  # path with forward slashes, size in bytes, time of change in ns


@dataclass
class Listing:
    """What is in a folder of photos.

    Attributes:
        photos: part → class folder → photos; the one part of the flat layout is "".
        skipped: how many files are no photos by their names, by suffix.
        notes: what the user should know of the layout.
    """

    photos: dict[str, dict[str, list[PhotoFile]]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[Text] = field(default_factory=list)


def readable_name(name: str) -> str:
    """A file's name as text that can be written anywhere: composed Unicode, no stray bytes."""
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name).encode("utf-8", "backslashreplace").decode()


def list_photos(name: str, root: Path, without: Collection[str] = ()) -> Listing:
    """Find out the layout of a folder, and list the photos of each part and class.

    Args:
        name: what to call the folder in messages.
        root: its absolute path.
        without: folders that are passed over.

    Raises:
        DataError: there are no photos, or they lie in no class folders.
        MissingFileError, NoPermissionError: the folder or one in it cannot be read.
    """
    listing = Listing()
    with explain_os_errors(name):
        _list_parts(name, root, without, listing)
    if listing.skipped:
        kinds = ", ".join(f"{readable_name(k)} {n}" for k, n in listing.skipped.most_common(5))
        listing.notes.append(
            _(
                "{count} file(s) skipped that are no photos by their names ({kinds}); allowed: "
                "{allowed}",
                count=listing.skipped.total(),
                kinds=kinds,
                allowed=_ALLOWED,
            )
        )
    return listing


def _list_parts(name: str, root: Path, without: Collection[str], listing: Listing) -> None:
    """Find out the layout, and list the photos of each part."""
    folders, loose = _content(root)
    folders = [folder for folder in folders if folder not in without]
    parts = _part_folders(name, root, folders, has_loose_photos=bool(loose))
    if not parts:
        _list_classes(str(root), "", folders, loose, listing)
        if not listing.photos[""]:
            raise _no_classes(name, loose, listing)
        return
    others = sorted(set(folders) - set(parts.values()))
    if others:
        listing.notes.append(
            _(
                "folders beside {train}/ that are not used: {names}",
                train=parts["train"],
                names=", ".join(map(readable_name, others)),
            )
        )
    for part, part_folder in parts.items():
        inner, inner_loose = _content(root / part_folder)
        _list_classes(f"{root}/{part_folder}", part, inner, inner_loose, listing, f"{part_folder}/")
        if not listing.photos[part] and part == "train":
            raise _no_classes(f"{name}/{part_folder}", inner_loose, listing)
        if not listing.photos[part]:
            del listing.photos[part]
            listing.notes.append(
                _(
                    "{part}/ has no class folders with photos and is not used; photos without a "
                    "class cannot measure a classifier",
                    part=part_folder,
                )
            )
    if "val" in listing.photos and "test" not in listing.photos:
        listing.notes.append(
            _(
                "there is no test/, so {val}/ is the test split, and validation images are cut "
                "from {train}/",
                val=parts["val"],
                train=parts["train"],
            )
        )


def _content(folder: Path | str) -> tuple[list[str], list[str]]:
    """Names of the folders, and of the photos, directly in a folder; sorted, none hidden."""
    folders, photos = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif is_photo(entry.name):
                photos.append(entry.name)
    return sorted(folders), sorted(photos)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over."""
    return name.startswith(".") or name == "__MACOSX"


def is_photo(name: str) -> bool:
    """As images.is_image_name, without a Path for every file."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and (dot + suffix).lower() in IMAGE_SUFFIXES


def _part_folders(
    name: str, root: Path, folders: Sequence[str], *, has_loose_photos: bool
) -> dict[str, str]:
    """The folder of each part, in the order of PARTS; empty for the flat layout.

    A folder called "train" may be a class (bus, car, train): it is the training part if it holds
    folders and no photos, or if nothing but parts is beside it.
    """
    found: dict[str, str] = {}
    for folder in folders:
        part = PART_NAMES.get(folder.lower())
        if part in found:
            raise DataError(
                _(
                    "'{path}' has both {first}/ and {second}/ for the same part; join them or "
                    "rename one",
                    path=name,
                    first=found[part],
                    second=folder,
                )
            )
        if part is not None:
            found[part] = folder
    only_parts = len(found) == len(folders) and not has_loose_photos
    if "train" not in found:
        if found and only_parts:
            raise DataError(
                _(
                    "'{path}' has {parts} but no train/; add train/ with a folder of photos for "
                    "each class, or give the folder that holds the class folders",
                    path=name,
                    parts=", ".join(f"{folder}/" for folder in found.values()),
                )
            )
        return {}
    inner, photos = _content(root / found["train"])
    if not only_parts and not (inner and (not photos or len(found) > 1)):
        return {}
    return {part: found[part] for part in PARTS if part in found}


def _list_classes(
    folder: str,
    part: str,
    names: Sequence[str],
    loose: Sequence[str],
    listing: Listing,
    prefix: str = "",
) -> None:
    """List the photos in each class's folder; a folder without any is refused in training data."""
    found = listing.photos[part] = {}
    empty = []
    for class_folder in names:
        photos = list(_walk(f"{folder}/{class_folder}", f"{prefix}{class_folder}", listing.skipped))
        if photos:
            found[class_folder] = photos
        else:
            empty.append(class_folder)
    if found and empty and part in {"", "train"}:
        raise DataError(
            _(
                "class folder(s) without photos in '{path}': {names}; add photos (allowed: "
                "{allowed}), or remove the folder(s)",
                path=folder,
                names=", ".join(map(readable_name, empty)),
                allowed=_ALLOWED,
            )
        )
    if found and loose:
        listing.notes.append(
            _(
                "{count} photo(s) directly in '{path}' have no class and are not used",
                count=len(loose),
                path=readable_name(folder),
            )
        )


def _walk(folder: str, prefix: str, skipped: Counter[str]) -> Iterator[PhotoFile]:
    """(path, size, time) of each photo in a folder and those below; other files are counted.

    Links to folders are followed no further than a class's own folder: they may go in circles.
    """
    pending = [(folder, prefix)]
    while pending:
        here, before = pending.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{before}/{entry.name}"))
                elif is_photo(entry.name) and entry.is_file():
                    facts = entry.stat()
                    yield f"{before}/{entry.name}", facts.st_size, facts.st_mtime_ns
                else:
                    skipped[PurePath(entry.name).suffix.lower() or entry.name] += 1


def _no_classes(name: str, loose: Sequence[str], listing: Listing) -> DataError:
    """Why there is nothing to learn from in a folder without class folders."""
    arrange = _(
        "make one folder for each class and put its photos into it, as in {path}/cat/1.jpg and "
        "{path}/dog/1.jpg",
        path=name,
    )
    if loose:
        return DataError(
            _(
                "the {count} photo(s) in '{path}' lie in no class folder; {arrange}",
                count=len(loose),
                path=name,
                arrange=arrange,
            )
        )
    return DataError(
        _(
            "there are no photos in '{path}' (other files: {others}; allowed: {allowed}); {arrange}",
            path=name,
            others=listing.skipped.total(),
            allowed=_ALLOWED,
            arrange=arrange,
        )
    )


def label_text(value: Any) -> str:
    """A label as text: 3 and 3.0 are "3"; "" where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return readable_name(str(value).strip())
