"""Where the photos lie that a table names: in which folder, and with which ending.

Does not know: labels. Nothing is opened; names are looked up.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from olhar.data_settings import SourceSettings
from olhar.datasets.forms.rows import Row, listed
from olhar.datasets.layout import is_hidden, label_text
from olhar.errors import DataError, MissingFileError, explain_os_errors
from olhar.i18n import Text, _
from olhar.signatures import IMAGE_SUFFIXES

_TRIED = 100  # rows whose photos are looked for
_MOST_COLUMNS, _MOST_FOLDERS = 50, 50
_ENDINGS = ("", *sorted(IMAGE_SUFFIXES), *sorted(suffix.upper() for suffix in IMAGE_SUFFIXES))


@dataclass(frozen=True)
class Place:
    """Where the photos of a table lie.

    Attributes:
        folder: that their names begin in.
        ending: what their names in the table leave out.
        below: of photos that lie in folders below by name alone: the path of each name.
    """

    folder: Path
    ending: str = ""
    below: Mapping[str, str] | None = None

    def path(self, given: str) -> str:
        """The path from the folder of what the table calls `given`."""
        name = f"{given}{self.ending}"
        if self.below is None:
            return name
        return self.below.get(name, name)


def find_photos(
    name: str,
    here: Path,
    rows: Sequence[Row],
    columns: Sequence[str],
    settings: SourceSettings,
    *,
    sure: bool,
) -> tuple[str, Place] | None:
    """The column whose values are photos, and where they lie; None where nothing fits.

    Args:
        name: of the table, for messages.
        here: its folder.
        rows: of it; not empty.
        columns: those that may be it.
        settings: what was asked for.
        sure: whether the one column is known to be it: its files need not all be there.

    Raises:
        DataError: several columns, folders or endings fit.
        MissingFileError: there is no such folder of photos.
    """
    chosen, ending = _photo_folder(settings, here), _ending(settings)
    below = functools.cache(lambda: _below(chosen or here))
    found: list[tuple[str, Place]] = []
    for column in columns[:_MOST_COLUMNS]:
        values = list(dict.fromkeys(_names(row, column) for _line, row in rows[:_TRIED]))
        if not sure and ("" in values or 2 * len(values) <= len(rows[:_TRIED])):
            continue  # names of photos are not empty, and hardly ever the same
        values = [value for value in values if value]
        as_given = Place(chosen or here, ending or "")
        if sure and any(is_photo_file(as_given, value) for value in values):
            found.append((column, as_given))  # those that are not there are named
        elif values:
            found += [(column, place) for place in _places(here, chosen, values, ending, below)]
    if len(found) > 1:
        ways = [
            f"{column} ({_shown(place.folder, here)}/…{place.ending})" for column, place in found
        ]
        raise DataError(
            _(
                "the photos of '{path}' can be found in several ways: {ways}; say which: --file-column "
                "COLUMN, --photos FOLDER, --ending .jpg",
                path=name,
                ways=listed(ways),
            )
        )
    if found:
        return found[0]
    if sure:  # nothing fits; the files that are not there are named
        return columns[0], Place(chosen or here, ending or "")
    return None


def _names(row: Mapping[Any, Any], column: str) -> str:
    return label_text(row.get(column)).replace("\\", "/")


def _photo_folder(settings: SourceSettings, here: Path) -> Path | None:
    """The folder of --photos: as it was typed, or from the table's."""
    if settings.photos is None:
        return None
    given = Path(settings.photos).expanduser()
    with explain_os_errors(settings.photos):
        there = {path.resolve() for path in (given.absolute(), here / given) if path.is_dir()}
    if len(there) != 1:
        raise MissingFileError(
            _(
                "there is no folder '{path}' (--photos), neither here nor beside the table; give the "
                "folder that the photos lie in",
                path=settings.photos,
            )
            if not there
            else _(
                "'{path}' (--photos) is a folder here, and another beside the table; give its whole path",
                path=settings.photos,
            )
        )
    return given.absolute() if given.is_dir() else here / given


def _ending(settings: SourceSettings) -> str | None:
    """What --ending says; png is .png."""
    given = settings.ending
    return f".{given}" if given and f".{given}".lower() in IMAGE_SUFFIXES else given


def is_photo_file(place: Place, value: str) -> bool:
    """Whether there is a file of what the table calls `value`."""
    try:
        return (place.folder / place.path(value)).is_file()
    except (OSError, ValueError):
        return False


def _places(
    here: Path,
    chosen: Path | None,
    values: Sequence[str],
    ending: str | None,
    below: Callable[[], Mapping[str, str]],
) -> list[Place]:
    """Where all of these photos lie: in one folder with one ending, or by name anywhere below."""
    if any(".." in PurePosixPath(value).parts or "\0" in value for value in values):
        return []
    endings = _ENDINGS if ending is None else (ending,)
    folders = [chosen] if chosen else [here, *_folders(here)]
    if not chosen and all(PurePosixPath(value).parts[:1] == (here.name,) for value in values):
        folders.append(here.parent)  # the table's own folder is in the names, as in CheXpert's
    found: dict[tuple[Path, str], Place] = {}
    for folder in folders:
        for one in endings:
            place = Place(folder, one)
            if all(is_photo_file(place, value) for value in values):
                found.setdefault((folder, one.lower()), place)
    if found or any("/" in value for value in values):
        return list(found.values())
    for one in endings:
        place = Place(chosen or here, one, below())
        if all(f"{value}{one}" in below() for value in values):
            found.setdefault((here, one.lower()), place)
    return list(found.values())


def _folders(here: Path) -> list[Path]:
    with explain_os_errors(here), os.scandir(here) as entries:
        names = sorted(e.name for e in entries if not is_hidden(e.name) and e.is_dir())
    return [here / name for name in names[:_MOST_FOLDERS]]


def _below(root: Path) -> dict[str, str]:
    """The path from `root` of every file below whose name is there once."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [inner for inner in folders if not is_hidden(inner)]
        prefix = Path(folder).relative_to(root)
        for file in files:
            found[file] = "" if file in found else (prefix / file).as_posix()
    return {file: path for file, path in found.items() if path}


def _shown(folder: Path, here: Path) -> str:
    if folder == here:
        return "."
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.as_posix()


def say_photos(column: str, place: Place, here: Path) -> Text:
    """What was found: the column, and where its photos lie."""
    folder, name = _shown(place.folder, here), column.strip()
    if place.below is not None:
        return _(
            "the photos are those that the column {column} names, anywhere below {folder}, ending in "
            "{ending}",
            column=name,
            folder=folder,
            ending=place.ending or "-",
        )
    return _(
        "the photos are {folder}/NAME{ending}, their names from the column {column}",
        column=name,
        folder=folder,
        ending=place.ending,
    )
