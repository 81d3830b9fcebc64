"""Parquet and Arrow files: rows of file names, or of whole photos beside their labels.

Photos that lie in a table as bytes, as Hugging Face's `Image` column has them, are written into the
cache as files, once; a list of them, `metadata.csv`, beside. From there on they are files like any
others: decoded once, set aside with a reason where they cannot be read, known by their content.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
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
from olhar.datasets.forms.shards import Shard, read_json
from olhar.datasets.forms.tables import Table, read_tables
from olhar.datasets.layout import METADATA, PART_NAMES
from olhar.datasets.places import waiting
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark, csv_text
from olhar.i18n import Text, _
from olhar.stores.names import is_portable

EMBEDDED = (".parquet", ".arrow")
_IMAGE_COLUMNS = ("image", "img", "photo", "picture", "bytes")
_TALLY = "tally.json"  # what was left out, beside metadata.csv
_SUFFIXES = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


@dataclass(frozen=True)
class _Columns:
    """Which columns matter, and the class names that the file itself has for its label."""

    image: str
    label: str
    split: str
    class_names: tuple[str, ...]
    embedded: bool  # photos as bytes, rather than names of files


def open_shards(
    settings: SourceSettings, root: Path, shards: Sequence[Shard], origin: Path
) -> PhotoFolder:
    """The photos of Parquet or Arrow files.

    Args:
        settings: what to call the data, and which columns matter.
        root: the folder they lie in.
        shards: each with the split that all its rows are in, "" where a column says so, or none.
        origin: what PhotoFolder.origin is to be.

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
    with waiting(_("reading {file}, this once", file=origin.name)):
        folder = unpacked_folder(origin, stamps, lambda aside: _write_photos(settings, used, aside))
    photos = read_tables(
        SourceSettings(settings.name), folder, [Table(folder / METADATA[0])], origin
    )
    notes += _tally_notes(read_json(folder / _TALLY))
    return dataclasses.replace(photos, notes=(*photos.notes, *notes))


def _asked(settings: SourceSettings) -> list[tuple[str, str]]:
    """The columns that were asked for."""
    given = {"file_column": settings.file_column, "label_column": settings.label_column}
    return [(flag, column) for flag, column in given.items() if column is not None]


def _tally_notes(tally: Mapping[str, Any]) -> list[Text]:
    unlabelled = tally.get("unlabelled", {})
    return [
        _("{count} photo(s) of {split} have no label and are not used", count=count, split=split)
        for split, count in unlabelled.items()
    ]


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


# Photos out of tables


def _write_photos(settings: SourceSettings, shards: Sequence[Shard], folder: Path) -> None:
    """Write every labelled photo into `folder`, their list and what was left out beside them."""
    rows: list[tuple[str, str, str]] = []
    taken = {METADATA[0], _TALLY}
    unlabelled: Counter[str] = Counter()
    divided = False
    for given_split, path in shards:
        columns = _columns(settings, path)
        wanted = [columns.image, columns.label, *([columns.split] if columns.split else [])]
        for batch in batches(path, wanted):
            for row in batch.to_pylist():
                split = given_split or str(row.get(columns.split) or "")
                label = class_name(path, row[columns.label], columns.class_names)
                if not label:
                    unlabelled[split or path.name] += 1
                    continue
                content, called = _photo(path, row[columns.image])
                file = _file_name(called, content, f"{split or 'photo'}-{len(rows):06d}", taken)
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                divided = divided or bool(split)
                rows.append((file, label, split))
    if not rows:
        raise DataError(_("'{path}' has no rows with a photo and a label", path=settings.name))
    width = 3 if divided else 2
    table = [("file_name", "label", "split")[:width], *(row[:width] for row in rows)]
    (folder / METADATA[0]).write_text(csv_text(table), encoding="utf-8")
    tally = json.dumps({"format": 1, "unlabelled": unlabelled})
    (folder / _TALLY).write_text(tally, encoding="utf-8")


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


def _file_name(called: str, content: bytes, fallback: str, taken: set[str]) -> str:
    """A path that no other photo has: what it was called, where that can be one."""
    called = called.replace("\\", "/")
    if called.startswith("/") or PureWindowsPath(called).drive:
        called = PurePosixPath(called).name
    if not is_portable(called) or not _free(called, taken):
        suffix = next((end for start, end in _SUFFIXES if content.startswith(start)), "")
        webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
        called = f"{fallback}{'.webp' if webp else suffix}"
        while not _free(called, taken):
            called = f"_{called}"
    return called


def _free(path: str, taken: set[str]) -> bool:
    """Whether no other file has the path, or is or would be a folder of it; it is taken then."""
    folded = unicodedata.normalize("NFC", path).casefold()
    parents = [f"{parent}/" for parent in PurePosixPath(folded).parents if str(parent) != "."]
    if folded in taken or f"{folded}/" in taken or any(p[:-1] in taken for p in parents):
        return False
    taken.update([folded, *parents])
    return True
