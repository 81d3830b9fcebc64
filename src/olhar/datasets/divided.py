"""Whether a folder is divided into parts, and by which of its folders; what is in doubt is said.

Does not know: labels, or the photos of a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olhar.datasets.dataset import PARTS
from olhar.datasets.part_folders import find_parts, is_never_class, is_plain
from olhar.datasets.photo_files import LeftOut, content
from olhar.errors import DataError
from olhar.i18n import Text, _
from olhar.shown import readable_name

_NAMED_AT_MOST = 6


def find_division(
    name: str, path: Path, folders: Sequence[str], loose: Sequence[str]
) -> tuple[dict[str, str], list[Text]]:
    """The folder of each part, in the order of PARTS, none for the flat layout; and what to say.

    A folder called "train" may be a class (bus, car, train): it is the training part if it holds
    folders and no photos, or if nothing but parts is beside it. What is in doubt is said.

    Args:
        name: what to call the folder in messages.
        path: where it is.
        folders: those directly in it.
        loose: photos directly in it.

    Raises:
        DataError: two folders of one part, no training part, or classes beside a part.
    """
    found: dict[str, str] = {}
    for part, folder in find_parts(folders):
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
        found[part] = folder
    if not found or (loose and len(found) == len(folders) and "train" not in found):
        return {}, []
    only_parts = len(found) == len(folders) and not loose
    if "train" not in found:
        if only_parts:
            raise DataError(
                _(
                    "'{path}' has {parts} but no train/; add train/ with a folder of photos for "
                    "each class, or give the folder that holds the class folders",
                    path=name,
                    parts=", ".join(f"{folder}/" for folder in found.values()),
                )
            )
        return {}, [_doubt_classes(name, folders, list(found.values()))]
    inner, photos = content(path / found["train"], LeftOut())
    if not only_parts and not (inner and (not photos or len(found) > 1)):
        return {}, [_doubt_classes(name, folders, list(found.values()))]
    parts = {part: found[part] for part in PARTS if part in found}
    return parts, _part_notes(parts, sorted(set(folders) - set(parts.values())))


def _part_notes(parts: dict[str, str], others: Sequence[str]) -> list[Text]:
    notes = []
    if not all(map(is_plain, parts.values())):
        read = ", ".join(f"{readable_name(folder)}/ → {part}" for part, folder in parts.items())
        notes.append(_("folders are read as parts of the data: {parts}", parts=read))
    if others:
        notes.append(
            _(
                "folders beside {train}/ that are not used: {names}",
                train=parts["train"],
                names=", ".join(map(readable_name, others)),
            )
        )
    return notes


def _doubt_classes(name: str, folders: Sequence[str], parts: Sequence[str]) -> Text:
    """What to say of folders named as parts that are read as classes; refuse what can hardly be meant."""
    names = ", ".join(f"{readable_name(folder)}/" for folder in parts)
    classes = [f"{readable_name(one)}/" for one in folders if one not in parts]
    others = ", ".join(classes[:_NAMED_AT_MOST]) + (", …" if classes[_NAMED_AT_MOST:] else "")
    if any(map(is_never_class, parts)):
        raise DataError(
            _(
                "'{path}' has {names} beside class folders ({others}): a part of the data, or a class? "
                "For a part move the class folders into train/, or the photos that are not to be "
                "learnt elsewhere; for a class rename it",
                path=name,
                names=names,
                others=others,
            )
        )
    return _(
        "{names} is read as a class, as {others} beside it; for a part of the data (train, val, "
        "test) move the class folders into train/",
        names=names,
        others=others,
    )
