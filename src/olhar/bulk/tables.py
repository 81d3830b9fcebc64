"""The photos of Parquet and Arrow files: a column of paths, or of whole photos.

Does not know: labels, or what is done with the photos.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from olhar.bulk.items import Item
from olhar.datasets.forms.arrow_files import batches, pyarrow, schema
from olhar.datasets.forms.columns import FILE_COLUMNS, choose_column
from olhar.datasets.forms.rows import listed
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import _, in_english

SUFFIXES = (".parquet", ".arrow")
_PHOTO_COLUMNS = ("image", "img", "photo", "picture", "bytes")
_ROWS_AT_ONCE = 32


def count_rows(path: str) -> int:
    """How many rows a Parquet file has, by its own account; 0 for others."""
    if not path.lower().endswith(".parquet"):
        return 0
    return int(pyarrow("pyarrow.parquet").read_metadata(path).num_rows)


def photo_column(path: str, given: str | None) -> tuple[str, bool]:
    """The column of photos, and whether it has them whole.

    Args:
        path: of the file.
        given: what was asked for.

    Raises:
        DataError: there is none, or several that may be it; the message lists all columns.
        MissingExtraError: pyarrow is not installed.
    """
    types, fields = pyarrow("pyarrow.types"), schema(Path(path))
    whole, names = [], []
    for one in fields:
        is_struct = types.is_struct(one.type) and one.type.get_field_index("bytes") >= 0
        if is_struct or types.is_binary(one.type) or types.is_large_binary(one.type):
            whole.append(one.name)
        elif types.is_string(one.type) or types.is_large_string(one.type):
            names.append(one.name)
    known = (_PHOTO_COLUMNS, whole), (FILE_COLUMNS, names)
    if given is not None:
        chosen = choose_column(path, fields.names, (), "--file-column", given)
    else:
        found = [choose_column(path, some, called, "--file-column") for called, some in known]
        chosen = found[0] or (whole[0] if len(whole) == 1 else "") or found[1]
    if chosen not in {*whole, *names}:
        raise DataError(
            _(
                "'{path}' has no column of photos, as bytes or as paths; it has: {given}; name one: "
                "--file-column COLUMN",
                path=path,
                given=listed(fields.names),
            )
        )
    return chosen, chosen in whole


def table_items(path: str, given: str | None) -> Iterator[Item]:
    """The photos of one file, in the order of its rows.

    Photos that it holds are called FILE#ROW, counted from 0; paths begin in its own folder.

    Raises:
        DataError: it is damaged; what stands before that place has been given.
    """
    column, is_whole = photo_column(path, given)
    with explain_os_errors(path):
        changed = change_mark(Path(path).stat())
    row = 0
    for batch in batches(Path(path), [column], _ROWS_AT_ONCE):
        for value in batch.column(0):
            called = f"{path}#{row}"
            plain: Any = value.as_py()
            row += 1
            if is_whole:
                yield _whole(called, plain, changed)
            elif plain:
                yield file_item(os.path.join(os.path.dirname(path), plain))  # noqa: PTH118, PTH120
            else:
                yield _empty(called, changed)


def _whole(called: str, value: Any, changed: int) -> Item:
    content = value.get("bytes") if isinstance(value, Mapping) else value
    return Item(called, len(content), changed, content) if content else _empty(called, changed)


def _empty(called: str, changed: int) -> Item:
    return Item(called, 0, changed, None, in_english(_("'{name}' is empty", name=called)))


def file_item(path: str) -> Item:
    """A file that somebody named; one that is not there is an item with an error."""
    try:
        with explain_os_errors(path):
            facts = Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte
        return Item(path, -1, 0, None, in_english(error))
    return Item(path, facts.st_size, change_mark(facts), path)
