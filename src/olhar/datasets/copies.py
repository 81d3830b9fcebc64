"""Copies of a data set side by side, as color/, grayscale/ and segmented/, which are no classes.

Does not know: photos.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from olhar.datasets.class_names import class_key
from olhar.datasets.part_folders import is_filler
from olhar.datasets.photo_files import LeftOut, content, holds_photos
from olhar.errors import DataError
from olhar.i18n import Text, _
from olhar.shown import readable_name

_NAMED_AT_MOST = 6
# What copies of photos are called by how they were made.
_HOW_MADE = frozenset(
    {
        "color",
        "colour",
        "coloured",
        "colored",
        "rgb",
        "gray",
        "grey",
        "grayscale",
        "greyscale",
        "bw",
    }
    | {"segmented", "segmentation", "masked", "cropped", "resized", "augmented", "processed"}
    | {
        "preprocessed",
        "original",
        "originals",
        "raw",
        "enhanced",
        "clean",
        "noisy",
        "edges",
        "thumbnails",
    }
    | {"small", "large", "cinza", "colorido", "recortadas", "aumentadas"}
)
_MARKS = frozenset(  # what is marked in photos, for other tasks than classes
    {"mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "gt", "xml"}
    | {
        "segmentations",
        "ground truth",
        "groundtruth",
        "bbox",
        "boxes",
        "txt",
        "máscaras",
        "mascaras",
    }
)


def check_copies(
    name: str, path: Path, folders: Sequence[str], loose: Sequence[str]
) -> tuple[Text, ...]:
    """Refuse folders that each hold folders of the same names, where those must be the classes.

    Args:
        name: what to call the folder in messages.
        path: where it is.
        folders: those directly in it.
        loose: photos directly in it.

    Returns:
        A note, where they may also be folders within classes (cat/indoor, dog/indoor).

    Raises:
        DataError: they are copies of one data set.
    """
    if len(folders) < 2 or loose:
        return ()
    inner = []
    for folder in folders:
        if holds_photos(path / folder):
            return ()
        there, _photos = content(path / folder, LeftOut())
        if len(there) < 2:
            return ()
        inner.append({class_key(one): one for one in there})
    shared = set(inner[0]).intersection(*inner[1:])
    if len(shared) < 2 or 2 * len(shared) < max(map(len, inner)):
        return ()
    tops = ", ".join(f"{readable_name(folder)}/" for folder in folders[:_NAMED_AT_MOST])
    below = ", ".join(sorted(readable_name(inner[0][key]) for key in shared)[:_NAMED_AT_MOST])
    made = any(is_filler(folder) or class_key(folder) in _HOW_MADE for folder in folders)
    numbered = (
        len({re.sub(r"\d+", "", folder.casefold()) for folder in folders}) == 1
    )  # fold1, fold2
    if made or numbered or len(shared) > max(2, len(folders)):
        raise DataError(
            _(
                "{tops} in '{path}' each hold the same folders ({below}): they look like copies or "
                "pieces of one data set, not like classes; give one of them, such as {path}/{first}, or "
                "put the photos of each class into one folder",
                tops=tops,
                path=name,
                below=below,
                first=folders[0],
            )
        )
    return (
        _(
            "{tops} are read as the classes, although each holds the same folders ({below}); if those "
            "are the classes, give one of the first, such as {path}/{first}",
            tops=tops,
            path=name,
            below=below,
            first=folders[0],
        ),
    )


def check_fillers(name: str, folders: Sequence[str]) -> list[Text]:
    """Look for class folders that are called as if they only held photos (images/).

    Args:
        name: what to call the folder that they are in.
        folders: the class folders.

    Returns:
        A note where there are some.

    Raises:
        DataError: beside them lie masks or boxes, which are no classes.
    """
    named = [f"{readable_name(folder)}/" for folder in folders if is_filler(folder)]
    if not named or len(folders) < 2:
        return []
    others = [f"{readable_name(folder)}/" for folder in folders if class_key(folder) in _MARKS]
    if others:
        raise DataError(
            _(
                "'{path}' has {images} and {others}: masks or boxes of photos, not classes of them; give "
                "a folder that holds a folder of photos for each class",
                path=name,
                images=", ".join(named),
                others=", ".join(others),
            )
        )
    return [
        _(
            "{names} is read as a class, although its name says only that photos are in it; if it is "
            "none, give the folder that holds the class folders",
            names=", ".join(named[:_NAMED_AT_MOST]),
        )
    ]
