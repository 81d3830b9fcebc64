"""What a user says of groups: a column of the table, a pattern, or groups.csv in the folder.

Does not know: what becomes of groups.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from olhar.data_settings import DATA, DataSettings
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms.rows import read_rows
from olhar.datasets.layout import GROUPS, label_text
from olhar.datasets.source import Source
from olhar.errors import ConfigError, DataError, explain_os_errors
from olhar.i18n import _
from olhar.shown import readable_name


def given_groups(source: Source, wanted: DataSettings) -> tuple[str, Sequence[str]] | None:
    """What groups are told by, and the group of each row, "" where it has none; None where nothing is.

    Args:
        source: as open_source gives it.
        wanted: how groups are wanted.

    Raises:
        ConfigError: a column or pattern for data that has none to match.
        DataError: groups.csv cannot be used.
    """
    flag = DATA["group_by"].flag if wanted.group_by else DATA["group_column"].flag
    if (wanted.group_by or wanted.group_column) and not source.files:
        raise ConfigError(
            _("{flag} is for photos that are files; '{name}' has none", flag=flag, name=source.name)
        )
    if wanted.group_by:
        return f"{flag} {wanted.group_by}", _matches(source, wanted.group_by)
    if wanted.group_column:
        if not isinstance(source, PhotoFolder) or not source.rows:
            raise ConfigError(
                _(
                    "{flag} is for a table of photos, and '{name}' is none; use {other} or a file "
                    "{file} in the folder, with the columns file and group",
                    flag=flag,
                    name=source.name,
                    other=DATA["group_by"].flag,
                    file=GROUPS,
                )
            )
        return f"{flag} {wanted.group_column}", _column(source, wanted.group_column)
    if isinstance(source, PhotoFolder):
        path = source.path / GROUPS
        with explain_os_errors(path):
            there = path.is_file()
        if there:
            return GROUPS, _listed(source, path)
    return None


def _matches(source: Source, pattern: str) -> list[str]:
    found = []
    for file in source.files:
        match = re.search(pattern, readable_name(file))
        found.append("" if match is None else (match.group(1 if match.re.groups else 0) or ""))
    if not any(found):
        raise ConfigError(
            _(
                "{flag} '{pattern}' matches no path of '{name}', such as '{file}'",
                flag=DATA["group_by"].flag,
                pattern=pattern,
                name=source.name,
                file=readable_name(source.files[0]),
            )
        )
    return found


def _column(source: PhotoFolder, column: str) -> list[str]:
    """Groups of a column of the table."""
    rows = [source.rows.get(file, {}) for file in source.files]
    if not any(column in row for row in rows):
        raise ConfigError(
            _(
                "{flag} is '{column}', but '{name}' has no such column; it has: {given}",
                flag=DATA["group_column"].flag,
                column=column,
                name=source.name,
                given=", ".join(str(known) for known in rows[0] if known is not None),
            )
        )
    return [label_text(row.get(column)) for row in rows]


def _listed(source: PhotoFolder, path: Path) -> list[str]:
    """Groups of groups.csv."""
    group_of: dict[str, str] = {}
    for number, row in read_rows(path):
        values = {str(key).strip().lower(): value for key, value in row.items()}
        if not {"file", "group"} <= set(values):
            raise DataError(
                _(
                    "'{path}' needs the columns file, the path of each photo, and group; it has: {given}",
                    path=path,
                    given=", ".join(map(str, row)),
                )
            )
        file = str(values["file"] or "").strip().replace("\\", "/").removeprefix("./")
        group = str(values["group"] or "").strip()
        if group_of.setdefault(readable_name(file), group) != group:
            raise DataError(
                _(
                    "'{path}', line {number}: '{file}' is in the groups {first} and {second}; remove one",
                    path=path,
                    number=number,
                    file=file,
                    first=group_of[readable_name(file)],
                    second=group,
                )
            )
    found = [group_of.get(readable_name(file), "") for file in source.files]
    if not any(found):
        raise DataError(
            _(
                "'{path}' names no photo of '{name}'; paths begin in its own folder, such as '{file}'",
                path=path,
                name=source.name,
                file=readable_name(source.files[0]),
            )
        )
    return found
