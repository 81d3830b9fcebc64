"""The files of a folder of photos, by part and class. Lists names; opens few files.

Does not know: whether a class's name means the same as another's, or what is in a photo.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from olhar.datasets.copies import check_copies, check_fillers
from olhar.datasets.divided import find_division
from olhar.datasets.name_labels import guess_rule, labels_text
from olhar.datasets.part_folders import (
    PART_NAMES,
    is_filler,
    part_of,
)
from olhar.datasets.photo_files import (
    ALLOWED,
    LeftOut,
    PhotoFile,
    content,
    is_hidden,
    is_photo,
    walk_photos,
)
from olhar.errors import DataError, explain_os_errors
from olhar.i18n import Text, _
from olhar.shown import readable_name

GROUPS = "groups.csv"  # says which photos belong together; no table of labels
__all__ = [
    "GROUPS",
    "METADATA",
    "PART_NAMES",
    "Listing",
    "PhotoFile",
    "is_hidden",
    "is_photo",
    "label_text",
    "list_photos",
]

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # tables that list photos


@dataclass
class Listing:
    """What is in a folder of photos.

    Attributes:
        photos: part → class → photos; the one part of the flat layout is "".
        left: what is not used.
        notes: what the user should know of the layout.
    """

    photos: dict[str, dict[str, list[PhotoFile]]] = field(default_factory=dict)
    left: LeftOut = field(default_factory=LeftOut)
    notes: list[Text] = field(default_factory=list)

    @property
    def skipped(self) -> Counter[str]:
        """How many files are no photos, by suffix."""
        return self.left.others


@dataclass(frozen=True)
class _Folder:
    """A folder that holds classes or parts: what messages call it, and where it is."""

    name: str
    root: Path  # paths of photos begin in it
    prefix: str = ""  # from the root to the folder itself
    by_name: bool = False  # labels stand in the names of files

    @property
    def path(self) -> Path:
        return self.root / self.prefix

    def inner(self, folder: str) -> _Folder:
        prefix = (PurePosixPath(self.prefix) / folder).as_posix()
        return _Folder(f"{self.name}/{folder}", self.root, prefix, self.by_name)


def list_photos(
    name: str, root: Path, without: Collection[str] = (), *, labels_from: str = "folder"
) -> Listing:
    """Find out the layout of a folder, and list the photos of each part and class.

    Args:
        name: what to call the folder in messages.
        root: its absolute path.
        without: folders that are passed over.
        labels_from: folder, or name: that of a photo's file.

    Raises:
        DataError: there are no photos, or their labels cannot be found out, or may be several.
        MissingFileError, NoPermissionError: the folder or one in it cannot be read.
    """
    listing = Listing()
    with explain_os_errors(name):
        _list_parts(_Folder(name, root, by_name=labels_from == "name"), without, listing)
    listing.notes += listing.left.sentences()
    if listing.skipped:
        kinds = ", ".join(f"{readable_name(k)} {n}" for k, n in listing.skipped.most_common(5))
        listing.notes.append(
            _(
                "{count} file(s) skipped that are no photos, neither by their names nor by how they "
                "begin ({kinds}); allowed: {allowed}",
                count=listing.skipped.total(),
                kinds=kinds,
                allowed=ALLOWED,
            )
        )
    return listing


def _list_parts(top: _Folder, without: Collection[str], listing: Listing) -> None:
    """Find out the layout, and list the photos of each part."""
    folders, loose = content(top.path, listing.left)
    folders = [folder for folder in folders if folder not in without]
    top, folders, loose = _descend(top, folders, loose, listing)
    parts, notes = find_division(top.name, top.path, folders, loose)
    listing.notes += notes
    if not parts:
        if not top.by_name:
            listing.notes += check_copies(top.name, top.path, folders, loose)
            listing.notes += check_fillers(top.name, folders)
        _list_labels(top, "", folders, loose, listing)
        return
    if loose:
        listing.notes.append(_loose_text(top, loose))
    for part, folder in parts.items():
        _list_part(top.inner(folder), part, listing)
    if "val" in listing.photos and "test" not in listing.photos:
        listing.notes.append(
            _(
                "there is no test/, so {val}/ is the test split, and validation images are cut "
                "from {train}/",
                val=parts["val"],
                train=parts["train"],
            )
        )


def _list_part(folder: _Folder, part: str, listing: Listing) -> None:
    """List the photos of a part by class; a part without labels is named, and not used."""
    folders, loose = content(folder.path, listing.left)
    known = set(listing.photos.get("train", ()))
    if not known.intersection(folders):
        folder, folders, loose = _descend(folder, folders, loose, listing)
    if known and len(folders) == 1 and is_filler(folders[0]) and folders[0] not in known:
        folders = []  # val/images/1.jpg: no class is called images in one part alone
    called = PurePosixPath(folder.prefix).name
    try:
        _list_labels(folder, part, folders, loose, listing)
    except DataError:
        if part == "train":
            raise
        listing.photos.pop(part, None)
        listing.notes.append(
            _(
                "{part}/ has photos whose names show no labels, and is not used; photos without a "
                "class cannot measure a classifier",
                part=called,
            )
            if folder.by_name
            else _(
                "{part}/ has no class folders with photos and is not used; photos without a "
                "class cannot measure a classifier",
                part=called,
            )
        )


def _descend(
    folder: _Folder, folders: list[str], loose: list[str], listing: Listing
) -> tuple[_Folder, list[str], list[str]]:
    """The folder that holds the classes or parts, where one or several hold nothing but it."""
    top = folder
    while len(folders) == 1 and not loose and (folder.prefix or not part_of(folders[0])):
        within = folder.inner(folders[0])
        inner, photos = content(within.path, LeftOut())
        if photos or not inner:
            break
        folder, folders = within, inner
    if folder is not top:
        inside = PurePosixPath(folder.prefix).relative_to(top.prefix or ".").as_posix()
        listing.notes.append(
            _(
                "'{path}' holds one folder alone, and the data is read from it: {inner}/",
                path=readable_name(top.name),
                inner=readable_name(inside),
            )
        )
        content(folder.path, listing.left)
    return folder, folders, loose


def _list_labels(
    folder: _Folder, part: str, folders: Sequence[str], loose: Sequence[str], listing: Listing
) -> None:
    """List the photos of a part, by the labels of their folders or names; there are some."""
    if folder.by_name:
        _list_by_name(folder, part, listing)
        return
    _list_classes(folder, part, folders, loose, listing)
    if not listing.photos[part]:
        raise _no_classes(folder, loose, listing.left)


def _list_by_name(folder: _Folder, part: str, listing: Listing) -> None:
    """List all photos in a folder and those below, by the labels in their names."""
    photos = list(walk_photos(str(folder.path), folder.prefix, listing.left))
    names = [PurePosixPath(photo[0]).name for photo in photos]
    rule = guess_rule(names)
    if rule is None:
        if not photos:
            raise _no_classes(folder, (), listing.left)
        raise DataError(
            _(
                "the names of the {count} photo(s) in '{path}' (such as {example}) show no labels; "
                "allowed: a label and a number, as in cat.12.jpg, dog_3.png or 0007-cat.png, with two "
                "photos of each label; or leave --labels-from out, and make a folder for each class",
                count=len(photos),
                path=folder.name,
                example=readable_name(min(names)),
            )
        )
    found = listing.photos[part] = {}
    for name, photo in zip(names, photos, strict=True):
        found.setdefault(rule(name), []).append(photo)
    counts = Counter({label: len(of_label) for label, of_label in found.items()})
    listing.notes.append(
        _(
            "labels from the names of files in {path}: {labels}",
            path=folder.name,
            labels=labels_text(counts),
        )
    )


def _list_classes(
    folder: _Folder, part: str, names: Sequence[str], loose: Sequence[str], listing: Listing
) -> None:
    """List the photos in each class's folder; a folder without any is refused in training data."""
    found = listing.photos[part] = {}
    empty: list[str] = []
    left_in_empty = LeftOut()
    for class_folder in names:
        within, left = folder.inner(class_folder), LeftOut()
        photos = list(walk_photos(str(within.path), within.prefix, left))
        listing.left.update(left)
        if photos:
            found[class_folder] = photos
        else:
            empty.append(class_folder)
            left_in_empty.update(left)
    if found and empty and part in {"", "train"}:
        raise DataError(
            _(
                "class folder(s) without photos in '{path}': {names}; add photos (allowed: "
                "{allowed}), or remove the folder(s){why}",
                path=readable_name(str(folder.path)),
                names=", ".join(map(readable_name, empty)),
                allowed=ALLOWED,
                why=_because(left_in_empty),
            )
        )
    if found and loose:
        listing.notes.append(_loose_text(folder, loose))


def _loose_text(folder: _Folder, loose: Sequence[str]) -> Text:
    return _(
        "{count} photo(s) directly in '{path}' have no class and are not used",
        count=len(loose),
        path=readable_name(str(folder.path)),
    )


def _because(left: LeftOut) -> str:
    """What lies there instead of photos, to end a sentence with."""
    return "".join(f"; {sentence}" for sentence in left.sentences())


def _no_classes(folder: _Folder, loose: Sequence[str], left: LeftOut) -> DataError:
    """Why there is nothing to learn from in a folder without class folders."""
    arrange = _(
        "make one folder for each class and put its photos into it, as in {path}/cat/1.jpg and "
        "{path}/dog/1.jpg",
        path=folder.name,
    )
    if not loose and left.kinds:
        return DataError(
            _("there are no photos in '{path}'{why}", path=folder.name, why=_because(left))
        )
    if not loose:
        return DataError(
            _(
                "there are no photos in '{path}' (other files: {others}; allowed: {allowed}); {arrange}",
                path=folder.name,
                others=left.others.total(),
                allowed=ALLOWED,
                arrange=arrange,
            )
        )
    rule = guess_rule(loose)
    if rule is None:
        table = _table_beside(folder)
        return DataError(
            _(
                "the {count} photo(s) in '{path}' lie in no class folder; if {table} lists them with "
                "their labels, give it as --data; else {arrange}",
                count=len(loose),
                path=folder.name,
                table=table,
                arrange=arrange,
            )
            if table
            else _(
                "the {count} photo(s) in '{path}' lie in no class folder; {arrange}",
                count=len(loose),
                path=folder.name,
                arrange=arrange,
            )
        )
    return DataError(
        _(
            "the {count} photo(s) in '{path}' lie in no class folder, but their names show labels "
            "({labels}): add --labels-from name to read them so; or {arrange}",
            count=len(loose),
            path=folder.name,
            labels=labels_text(Counter(map(rule, loose))),
            arrange=arrange,
        )
    )


def _table_beside(folder: _Folder) -> str:
    """A table in a folder, or beside it in the data; "" where there is none."""
    for place in (folder.path, *([folder.path.parent] if folder.prefix else [])):
        found = sorted(path.name for path in place.glob("*.csv"))
        if found:
            return readable_name(found[0])
    return ""


def label_text(value: Any) -> str:
    """A label as text: 3 and 3.0 are "3"; "" where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return readable_name(str(value).strip())
