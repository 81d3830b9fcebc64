"""Folders of photos: which photo shows which class, and in which part of the data it is.

Does not know: pixels, the cache, or how photos are divided for training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.class_names import match_class_names, same_class
from olhar.datasets.headers import header_notes, typical_shape
from olhar.datasets.layout import Listing, list_photos
from olhar.datasets.photo_files import PhotoFile
from olhar.errors import DataError
from olhar.i18n import Text, _
from olhar.shown import readable_name


@dataclass(frozen=True)
class PhotoFolder:
    """Labelled photos in files, not yet decoded, in pool order: by part, class, and path.

    Attributes:
        name: the path as it was given.
        path: the same, absolute.
        class_names: in index order.
        files: path of each photo in `path`, with forward slashes.
        labels: (N,) int64, indices into `class_names`.
        stamps: (N, 2) int64, size in bytes and `files.change_mark`.
        parts: index arrays into the pool, by "train", "val", "test"; empty for the flat layout.
        image_shape: (C, H, W), the typical one.
        skipped: how many files are no photos by their names, by suffix.
        notes: what the user should know of the layout.
        set_aside: empty; what is bad is known only once it is decoded (see datasets.decode).
        origin: the table or archive that the photos are listed in or come from, or the folder itself
            where their names are their labels; None for a plain folder of photos. Where there is one,
            folders are no classes, and no file may be moved.
        rows: of the table, if any: the columns of each photo's row, by its path in `path`.
    """

    name: str
    path: Path
    class_names: tuple[str, ...]
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    stamps: NDArray[np.int64]
    parts: Mapping[str, NDArray[np.int64]]
    image_shape: tuple[int, int, int]
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    origin: Path | None = None
    rows: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def digest(self) -> str:
        """Hex sha256 of what is listed; another when a photo may have changed."""
        found = hashlib.sha256(json.dumps([self.class_names, len(self)]).encode())
        for array in (self.labels, self.stamps):
            found.update(np.ascontiguousarray(array, "<i8").data)
        found.update("\0".join(self.files).encode("utf-8", "surrogatepass"))
        return found.hexdigest()


def scan_folder(
    name: str,
    root: Path | None = None,
    without: Collection[str] = (),
    *,
    labels_from: str = "folder",
    distinct_classes: bool = False,
) -> PhotoFolder:
    """List a folder of photos; opens none but a few, for their size.

    Two layouts, one folder a class: flat (`FOLDER/cat/1.jpg`), and divided by whoever made it
    (`FOLDER/train/cat/1.jpg`, `val/`, `test/`, or what part_folders takes for these). Folders in a
    class's folder belong to the class. Classes are those of `train/`, sorted by name; those of the
    other parts are matched to them (see class_names.class_key). What starts with a dot is passed
    over, as is what olhar made itself and files that are no photos (see photo_files).

    Args:
        name: path of the folder, or what to call it where `root` is given.
        root: path of the folder.
        without: folders in it that are passed over.
        labels_from: folder, or name: that of a photo's file.
        distinct_classes: names that differ at all are classes of their own.

    Raises:
        DataError: there are no photos, no classes, or classes that cannot be told apart.
        MissingFileError, NoPermissionError: the folder or one in it cannot be read.
    """
    place = Path(name).expanduser().absolute() if root is None else root
    listing = list_photos(name, place, without, labels_from=labels_from)
    photos = photos_of(name, place, listing, distinct_classes=distinct_classes)
    return photos if labels_from == "folder" else dataclasses.replace(photos, origin=place)


def photos_of(
    name: str, root: Path, listing: Listing, *, distinct_classes: bool | None = None
) -> PhotoFolder:
    """The photos of a listing, by part, class and path, their labels matched to those of train.

    Args:
        name: what to call them.
        root: the folder that their paths begin in.
        listing: parts in the order of PARTS.
        distinct_classes: names that differ at all are classes of their own; None where nobody can
            say so.

    Raises:
        DataError: classes that cannot be told apart, or other classes in other parts.
    """
    class_names = _class_names(name, next(iter(listing.photos.values())), distinct=distinct_classes)
    notes, pool, counts, sizes = list(listing.notes), list[PhotoFile](), list[int](), {}
    for part, photos in listing.photos.items():
        by_class = _by_class(name, part, photos, class_names, exactly=bool(distinct_classes))
        for of_class in by_class:
            pool += of_class
        counts += map(len, by_class)
        sizes[part] = sum(map(len, by_class))
        missing = [class_names[index] for index, found in enumerate(by_class) if not found]
        if missing:
            names = ", ".join(missing)
            notes.append(_("{part}/ has no photos of: {names}", part=part, names=names))
    files = tuple(photo[0] for photo in pool)
    labels = np.tile(np.arange(len(class_names), dtype=np.int64), len(sizes))
    image_shape = typical_shape(name, root, files)
    notes += header_notes(root, files)
    return PhotoFolder(
        name=name,
        path=root,
        class_names=class_names,
        files=files,
        labels=np.repeat(labels, counts),
        stamps=np.array([[photo[1] for photo in pool], [photo[2] for photo in pool]], np.int64).T,
        parts=_part_indices(sizes),
        image_shape=image_shape,
        skipped=dict(listing.skipped),
        notes=tuple(notes),
    )


def _part_indices(sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    if "" in sizes:  # the flat layout
        return {}
    indices, start = {}, 0
    for part, size in sizes.items():
        indices[part] = np.arange(start, start + size, dtype=np.int64)
        start += size
    return indices


def _class_names(
    name: str, photos: Mapping[str, Sequence[PhotoFile]], *, distinct: bool | None
) -> tuple[str, ...]:
    """The class folders of the training part, sorted."""
    names = sorted(map(readable_name, photos))
    twice = None if distinct else same_class(names)
    if twice:
        advice = _("; if they are two, add --distinct-classes") if distinct is not None else ""
        raise DataError(
            _(
                "classes '{first}' and '{second}' in '{path}' mean the same (their names differ by "
                "case or separators only, or are synonyms); join the two folders or rename one{advice}",
                first=twice[0],
                second=twice[1],
                path=name,
                advice=advice,
            )
        )
    return tuple(names)


def _by_class(
    name: str,
    part: str,
    photos: Mapping[str, Sequence[PhotoFile]],
    class_names: tuple[str, ...],
    *,
    exactly: bool,
) -> list[list[PhotoFile]]:
    """The photos of a part, of each class by path."""
    given = [readable_name(folder) for folder in photos]
    labels = match_class_names(given, class_names, exactly=exactly)
    if None in labels:
        raise DataError(
            _(
                "the classes of {part}/ in '{path}' are not those of train/: {part}/ has {given}; "
                "train/ has {known}; rename or remove what differs",
                part=part,
                path=name,
                given=", ".join(sorted(given)),
                known=", ".join(class_names),
            )
        )
    by_class: list[list[PhotoFile]] = [[] for _name in class_names]
    for label, files in zip(labels, photos.values(), strict=True):
        if label is not None:
            by_class[label] += files
    for of_class in by_class:
        of_class.sort(key=lambda photo: readable_name(photo[0]))
    return by_class
