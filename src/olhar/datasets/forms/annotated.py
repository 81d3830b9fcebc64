"""Tiny ImageNet's folder: class folders to train on, and a list of labels for the photos to validate with.

    train/n01443537/images/n01443537_0.JPEG
    val/images/val_0.JPEG, val/val_annotations.txt     a file, its class and a box a line, tabs between
    words.txt                                          optional: what the classes are called

Source: https://cs231n.stanford.edu/tiny-imagenet-200.zip
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from olhar.datasets.folders import PhotoFolder, photos_of
from olhar.datasets.layout import Listing, PhotoFile, is_photo, list_photos
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import Text, _
from olhar.shown import readable_name

_PART, _LIST, _IMAGES, _WORDS = "val", "val_annotations.txt", "images", "words.txt"
_MOST_NAMED = 5


def holds_annotations(root: Path) -> bool:
    """Whether a folder is laid out as Tiny ImageNet."""
    return (root / "train").is_dir() and (root / _PART / _LIST).is_file()


def open_annotated(name: str, root: Path) -> PhotoFolder:
    """The photos of such a folder.

    Raises:
        DataError: a photo that the list names is not there, or its class is none of those of train/.
    """
    trained = list_photos(f"{name}/train", root / "train")
    listing = Listing(left=trained.left, notes=trained.notes)
    inner = trained.photos.get("", {})
    if not inner:
        raise DataError(
            _(
                "'{path}' has parts of its own; allowed: a folder for each class",
                path=f"{name}/train",
            )
        )
    listing.photos["train"] = {
        folder: [(f"train/{path}", size, time) for path, size, time in photos]
        for folder, photos in inner.items()
    }
    listing.photos[_PART] = _listed(name, root, listing)
    if (root / "test").is_dir():
        listing.notes.append(
            _(
                "{part}/ has no class folders with photos and is not used; photos without a "
                "class cannot measure a classifier",
                part="test",
            )
        )
    listing.notes.append(
        _(
            "there is no test/, so {val}/ is the test split, and validation images are cut "
            "from {train}/",
            val=_PART,
            train="train",
        )
    )
    words = _words(root, listing.photos["train"])
    listing.photos = {
        part: {words.get(folder, folder): photos for folder, photos in found.items()}
        for part, found in listing.photos.items()
    }
    if words:
        listing.notes.append(_("the classes are called as {file} says", file=_WORDS))
    return dataclasses.replace(photos_of(name, root, listing), origin=root / _PART / _LIST)


def _listed(name: str, root: Path, listing: Listing) -> dict[str, list[PhotoFile]]:
    """The photos of the list, by class."""
    found: dict[str, list[PhotoFile]] = {}
    problems: list[Text] = []
    path = root / _PART / _LIST
    with explain_os_errors(path):
        folder = _IMAGES if (root / _PART / _IMAGES).is_dir() else "."
        there = {
            file.name: file for file in (root / _PART / folder).iterdir() if is_photo(file.name)
        }
        lines = path.read_bytes().decode("utf-8", "backslashreplace").splitlines()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            file, label = [part.strip() for part in [*line.split("\t"), ""][:2]]
            photo = there.pop(file, None)
            if photo is None or not label:
                problems.append(
                    _("{place}: there is no file '{file}'", place=f"{_LIST}:{number}", file=file)
                    if label
                    else _("{place}: {problem}", place=f"{_LIST}:{number}", problem=_("no label"))
                )
                continue
            facts = photo.stat()
            place = photo.relative_to(root).as_posix()
            found.setdefault(label, []).append((place, facts.st_size, change_mark(facts)))
    if problems:
        raise DataError(
            _(
                "{count} row(s) of '{path}' cannot be used: {problems}{more}; mend or remove them",
                count=len(problems),
                path=f"{name}/{_PART}/{_LIST}",
                problems="; ".join(map(str, problems[:_MOST_NAMED])),
                more="; …" if len(problems) > _MOST_NAMED else "",
            )
        )
    if there:
        listing.notes.append(
            _("{count} photo(s) that the table does not list are not used", count=len(there))
        )
    return found


def _words(root: Path, classes: Mapping[str, object]) -> dict[str, str]:
    """What each class is called: the first of its words, with its number where two have the same."""
    path = root / _WORDS
    if not path.is_file():
        return {}
    with explain_os_errors(path):
        text = path.read_bytes().decode("utf-8", "backslashreplace")
    pairs = (line.partition("\t") for line in text.splitlines())
    words = {
        key: readable_name(rest.split(",")[0].strip())
        for key, _tab, rest in pairs
        if key in classes
    }
    if set(words) != set(classes) or not all(words.values()):
        return {}
    counts = Counter(word.casefold() for word in words.values())
    return {
        key: word if counts[word.casefold()] == 1 else f"{word} ({key})"
        for key, word in words.items()
    }
