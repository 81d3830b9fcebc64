"""Which column of a table names the photos, and which their classes; where the photos lie.

What is given by flags or called by a known name is taken; else it is guessed, where only one guess is
possible, and said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.data_settings import SOURCE, SourceSettings
from olhar.datasets.forms.photo_places import Place, find_photos, is_photo_file, say_photos
from olhar.datasets.forms.rows import Row, listed
from olhar.datasets.layout import label_text
from olhar.errors import ConfigError, DataError
from olhar.i18n import Text, _

FILE_COLUMNS = (
    "file_name",
    "filename",
    "file",
    "path",
    "file_path",
    "filepath",
    "image",
    "image_path",
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target")
SPLIT_COLUMNS = ("split", "part", "subset", "partition", "usage")
OF_FOLDERS = ("labels_from", "distinct_classes")  # settings that folders of photos have alone
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class Columns:
    """Which columns matter; `split` is "" where none does."""

    file: str
    label: str
    split: str
    place: Place
    notes: tuple[Text, ...] = ()

    @property
    def folder(self) -> Path:
        """That the names of photos begin in."""
        return self.place.folder


def refuse_settings(settings: SourceSettings, allowed: Collection[str] = ()) -> None:
    """Refuse what says how data is read, where it means nothing for this data.

    Args:
        settings: of the data.
        allowed: those that do mean something.

    Raises:
        ConfigError: something else was asked for.
    """
    for one in SOURCE.values():
        if one.name in allowed or getattr(settings, one.name) is None:
            continue
        if one.name in OF_FOLDERS:
            raise ConfigError(
                _(
                    "{flag} is for folders of photos, and '{name}' is none; leave it out",
                    flag=one.flag,
                    name=settings.name,
                )
            )
        raise ConfigError(
            _(
                "{flag} is for a table that names files of photos, and '{path}' is none; leave it out, "
                "or name the table as the data",
                flag=one.flag,
                path=settings.name,
            )
        )


def choose_column(
    name: str,
    columns: Iterable[Any],
    names: Sequence[str],
    flag: str = "",
    given: str | None = None,
) -> str:
    """The one column that is called by one of `names`; the first of them comes first.

    Args:
        name: of the table, for messages.
        columns: all it has.
        names: in lower case.
        flag: that chooses another.
        given: what it was given.

    Returns:
        Its name as the table spells it, "" where there is none.

    Raises:
        DataError: there are several, or none of the given name.
    """
    columns = [str(column) for column in columns if column is not None]
    if given is not None:
        same = [c for c in columns if c == given] or [
            c for c in columns if c.strip() == given.strip()
        ]
        if not same:
            raise DataError(
                _(
                    "'{path}' has no column {column} ({flag}); it has: {given}",
                    path=name,
                    column=given,
                    flag=flag,
                    given=listed(columns),
                )
            )
        return _once(name, same)
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(column.strip().lower(), []).append(column)
    known = [found[one] for one in names if one in found]
    if len(known) > 1 and names[0] not in found:
        raise DataError(
            _(
                "'{path}' has several columns that may be the {standard}: {columns}; call the right "
                "one {standard}{flag}",
                path=name,
                standard=names[0],
                columns=", ".join(column for same in known for column in same),
                flag=_(", or name it: {flag} COLUMN", flag=flag) if flag else "",
            )
        )
    return _once(name, known[0]) if known else ""


def _once(name: str, same: Sequence[str]) -> str:
    if len(same) > 1:
        raise DataError(
            _(
                "'{path}' has the column {column} twice; remove or rename one",
                path=name,
                column=same[0].strip(),
            )
        )
    return same[0]


def locate_photos(
    name: str, here: Path, rows: Sequence[Row], settings: SourceSettings
) -> tuple[str, Place] | None:
    """The column that names photos, and where they lie; None where there is no such column.

    Args:
        name: what to call the table.
        here: its own folder, which paths of photos begin in.
        rows: of the table; not empty.
        settings: what was asked for.

    Raises:
        DataError: several columns, folders or endings fit.
        MissingFileError: there is no such folder of photos.
    """
    columns = list(rows[0][1])
    file = choose_column(name, columns, FILE_COLUMNS, "--file-column", settings.file_column)
    label = choose_column(name, columns, LABEL_COLUMNS, "--label-column", settings.label_column)
    taken = {None, label, choose_column(name, columns, SPLIT_COLUMNS)}
    searched = [file] if file else [column for column in columns if column not in taken]
    found = find_photos(name, here, rows, searched, settings, sure=bool(file))
    if found is not None and not file and is_photo_file(found[1], found[0].strip()):
        raise _no_header(name, found[0])
    return found


def choose_columns(
    name: str,
    here: Path,
    rows: Sequence[Row],
    settings: SourceSettings,
    *,
    lone: bool,
) -> Columns:
    """The columns that matter of a table that lists photos.

    Args:
        name: what to call it.
        here: the table's own folder, which paths of photos begin in.
        rows: of the table; not empty.
        settings: what was asked for.
        lone: whether it is the only table, so that its photos may lie in any one folder.

    Raises:
        DataError: a column is missing, or several may be it.
        MissingFileError: there is no such folder of photos.
    """
    columns = list(rows[0][1])
    split = choose_column(name, columns, SPLIT_COLUMNS)
    file = choose_column(name, columns, FILE_COLUMNS, "--file-column", settings.file_column)
    label = choose_column(name, columns, LABEL_COLUMNS, "--label-column", settings.label_column)
    notes: list[Text] = []
    place = Place(here)
    if lone:
        found = locate_photos(name, here, rows, settings)
        if found is not None:
            if not file or found[1] != place:
                notes.append(say_photos(*found, here))
            file, place = found
    if not file:
        raise _no_columns(name, columns)
    if not label:
        label = _find_label(name, rows, columns, {file, split, None})
        notes.append(_("the classes are those of the column {column}", column=label.strip()))
    return Columns(file, label, split, place, tuple(notes))


def _no_columns(name: str, columns: Sequence[Any]) -> DataError:
    return DataError(
        _(
            "'{path}' needs a column file_name, the path of each photo, and a column label, its "
            "class; it has: {given}; rename them, or name them: --file-column COLUMN --label-column "
            "COLUMN, and where the photos lie elsewhere or have an ending that the table leaves out, "
            "--photos FOLDER --ending .jpg",
            path=name,
            given=listed(columns),
        )
    )


def _no_header(name: str, column: str) -> DataError:
    return DataError(
        _(
            "the first line of '{path}' names a photo ({photo}), where the names of the columns belong; "
            "put a line before it, such as file_name,label",
            path=name,
            photo=listed([column]),
        )
    )


def _find_label(name: str, rows: Sequence[Row], columns: Sequence[Any], taken: set[Any]) -> str:
    """The only column with few values beside those that are taken."""
    few = [column for column in columns if column not in taken and _is_few(rows, column)]
    if len(few) == 1:
        return str(few[0])
    raise DataError(
        _(
            "'{path}' needs a column label, the class of each photo; it has: {given}; rename the right "
            "one, or name it: --label-column COLUMN",
            path=name,
            given=listed(columns),
        )
    )


def _is_few(rows: Sequence[Row], column: str) -> bool:
    """Whether a column's values are so few that they may be classes."""
    values = {label_text(row.get(column)) for _line, row in rows}
    return 1 < len(values) <= min(_MOST_CLASSES, len(rows) // 2)
