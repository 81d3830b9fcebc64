"""Parquet and Arrow files: rows of file names, or of whole photos beside their labels.

Photos that lie in a table as bytes, as Hugging Face's `Image` column has them, are written into the
cache as files, once (see written_photos).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from olhar.data_settings import SourceSettings
from olhar.datasets.cache import unpacked_folder
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms.arrow_files import batches, class_name, label_names, pyarrow, schema
from olhar.datasets.forms.columns import (
    LABEL_COLUMNS,
    SPLIT_COLUMNS,
    choose_column,
    refuse_settings,
)
from olhar.datasets.forms.rows import listed
from olhar.datasets.forms.shards import Shard
from olhar.datasets.forms.tables import Table, read_tables
from olhar.datasets.forms.written_photos import PhotoWriter, read_written
from olhar.datasets.layout import PART_NAMES
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import _
from olhar.progress import Progress

EMBEDDED = (".parquet", ".arrow")
_IMAGE_COLUMNS = ("image", "img", "photo", "picture", "bytes")


@dataclass(frozen=True)
class _Columns:
    """Which columns matter, and the class names that the file itself has for its label."""

    image: str
    label: str
    split: str
    class_names: tuple[str, ...]
    embedded: bool  # photos as bytes, rather than names of files


def open_shards(
    settings: SourceSettings,
    root: Path,
    shards: Sequence[Shard],
    origin: Path,
    progress: Progress,
) -> PhotoFolder:
    """The photos of Parquet or Arrow files.

    Args:
        settings: what to call the data, and which columns matter.
        root: the folder they lie in.
        shards: each with the split that all its rows are in, "" where a column says so, or none.
        origin: what PhotoFolder.origin is to be.
        progress: hears that it is read.

    Raises:
        DataError: a file is damaged, or has no column of photos or of labels.
        MissingExtraError: pyarrow is not installed.
    """
    used = [shard for shard in shards if not shard[0] or shard[0].lower() in PART_NAMES]
    notes = []
    if len(used) < len(shards) and used:
        others = sorted({split for split, _path in shards} - {split for split, _path in used})
        notes.append(_("splits that are not used: {names}", names=", ".join(others)))
    if not used:  # one split with a name of its own
        used = [("", path) for _split, path in shards]
    if not _columns(settings, used[0][1]).embedded:
        tables = [Table(path, PART_NAMES.get(split.lower(), "")) for split, path in used]
        return read_tables(settings, root, tables, origin)
    refuse_settings(settings, {"file_column", "label_column"})
    with explain_os_errors(settings.name):
        facts = [(str(path), path.stat()) for _split, path in used]
    stamps = [(path, stat.st_size, change_mark(stat)) for path, stat in facts]
    stamps += [(f"{flag} {column}", 0, 0) for flag, column in _asked(settings)]
    write = partial(_write_photos, settings, used)
    photos = read_written(settings.name, unpacked_folder(origin, stamps, write, progress), origin)
    return dataclasses.replace(photos, notes=(*photos.notes, *notes))


def _asked(settings: SourceSettings) -> list[tuple[str, str]]:
    """The columns that were asked for."""
    given = {"file_column": settings.file_column, "label_column": settings.label_column}
    return [(flag, column) for flag, column in given.items() if column is not None]


def _columns(settings: SourceSettings, path: Path) -> _Columns:
    """Which columns of a file matter.

    Raises:
        DataError: there is none of photos, or of labels, or several that may be it.
    """
    types, fields = pyarrow("pyarrow.types"), schema(path)
    embedded, plain = [], []
    for field in fields:
        binary = types.is_binary(field.type) or types.is_large_binary(field.type)
        if (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0) or (
            binary and field.name.lower() in _IMAGE_COLUMNS
        ):
            embedded.append(field.name)
        elif types.is_string(field.type) or types.is_large_string(field.type):
            plain.append(field.name)
    name, asked = settings.name, dict(_asked(settings))
    if asked.get("file_column") in plain:
        embedded = []
    file = asked.get("file_column")
    image = choose_column(
        name, embedded, _IMAGE_COLUMNS, "--file-column", file if embedded else None
    )
    image = image or (embedded[0] if len(embedded) == 1 else "")
    names = label_names(path)
    if "label_column" in asked:
        label = choose_column(name, fields.names, (), "--label-column", asked["label_column"])
    else:
        label = choose_column(name, names, LABEL_COLUMNS, "--label-column") or (
            next(iter(names)) if len(names) == 1 else ""
        )
    if not label and len(names) < 2:
        label = choose_column(name, fields.names, LABEL_COLUMNS, "--label-column")
    if image and not label:
        raise DataError(
            _(
                "'{path}' needs a column label; it has: {given}; name it: --label-column COLUMN",
                path=name,
                given=listed(fields.names),
            )
        )
    split = choose_column(name, fields.names, SPLIT_COLUMNS)
    return _Columns(image, label, split, names.get(label, ()), bool(image))


def _write_photos(settings: SourceSettings, shards: Sequence[Shard], folder: Path) -> None:
    """Write every labelled photo into `folder`."""
    writer = PhotoWriter(folder)
    for given_split, path in shards:
        columns = _columns(settings, path)
        wanted = [columns.image, columns.label, *([columns.split] if columns.split else [])]
        for batch in batches(path, wanted):
            for row in batch.to_pylist():
                split = given_split or str(row.get(columns.split) or "")
                label = class_name(path, row[columns.label], columns.class_names)
                if label:
                    writer.add(*_photo(path, row[columns.image]), label, split)
                else:
                    writer.pass_over(split or path.name)
    writer.finish(settings.name)


def _photo(path: Path, value: Any) -> tuple[bytes, str]:
    """The bytes of a photo, and what it was called; empty where there are none."""
    if not isinstance(value, Mapping):
        return value or b"", ""
    content, called = value.get("bytes"), str(value.get("path") or "")
    if content is None and called:
        raise DataError(
            _(
                "'{path}' names photos that lie elsewhere ({file}); save it with the photos in it, or as "
                "a folder with metadata.csv",
                path=path,
                file=called,
            )
        )
    return content or b"", called
