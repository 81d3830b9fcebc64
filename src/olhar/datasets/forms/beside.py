"""Tables that lie in a folder, and say more of it than its folders do: train.csv beside train_images/.

Does not know: `metadata.csv`, which always says it (see forms.tables).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from olhar.data_settings import SourceSettings
from olhar.datasets.forms.columns import choose_columns, locate_photos
from olhar.datasets.forms.photo_places import Place, is_photo_file
from olhar.datasets.forms.pixel_columns import holds_labelled_pixels
from olhar.datasets.forms.rows import Row, csv_rows, listed
from olhar.datasets.forms.tables import SPLIT_NAMES, Table
from olhar.datasets.layout import GROUPS, METADATA, is_hidden, is_photo, label_text
from olhar.errors import DataError, OlharError, explain_os_errors
from olhar.i18n import _

_LISTS = (".csv", ".tsv")
_NO_CLASSES = {
    *("images", "image", "imgs", "img", "photos", "photo", "pictures"),
    *("jpg", "jpeg", "png", "data", "dataset", "raw", "part"),
    *SPLIT_NAMES,
}
_NOT_TO_LEARN_FROM = {"test", "sample", "submission"}
_MOST_TABLES, _MOST_ROWS = 10, 2000


def loose_tables(root: Path) -> list[Path]:
    """The CSV files of a folder."""
    return sorted(
        path
        for path in root.iterdir()
        if path.suffix.lower() in _LISTS
        and path.name not in (*METADATA, GROUPS)
        and not is_hidden(path.name)
        and path.is_file()
    )[:_MOST_TABLES]


def find_list(settings: SourceSettings, root: Path) -> Path | None:
    """The table that says which class the photos of a folder are, None where its folders say it.

    A table decides where photos lie in folders whose names are those of no class, such as images/ and
    train/, or in none.

    Raises:
        DataError: several tables may be it, or it does not say which column is what; or it says that
            photos of one folder, which has the name of a class, are of several.
    """
    with explain_os_errors(settings.name):
        tables, folders = loose_tables(root), _photo_folders(root)
    if not tables or folders is None:
        return None
    plain = all(_is_no_class(folder) for folder in folders)
    trained = [path for path in tables if not _words(path.stem) & _NOT_TO_LEARN_FROM] or tables
    deciding = [path for path in trained if _decides(settings, path, plain=plain)]
    if len(deciding) > 1:
        raise DataError(
            _(
                "'{path}' has several tables that list photos: {tables}; give one of them as the data",
                path=settings.name,
                tables=listed(path.name for path in deciding),
            )
        )
    return deciding[0] if deciding else None


def _photo_folders(root: Path) -> list[str] | None:
    """The folders with photos in a folder, "" for itself; None where there are folders in them."""
    found = []
    for folder in [root, *(path for path in root.iterdir() if path.is_dir())]:
        if folder is not root and is_hidden(folder.name):
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if folder is not root and not is_hidden(entry.name) and entry.is_dir():
                    return None
                if is_photo(entry.name):
                    found.append("" if folder is root else folder.name)
                    break
    return found or None


def _is_no_class(folder: str) -> bool:
    return not folder or bool(_NO_CLASSES & _words(folder))


def _words(name: str) -> set[str]:
    return set(re.split(r"[-_. \d]+", name.lower()))


def _decides(settings: SourceSettings, path: Path, *, plain: bool) -> bool:
    """Whether a table lists photos of several classes, that folders do not tell."""
    try:
        rows = _some_rows(path)
        found = locate_photos(settings.name, path.parent, rows, settings) if rows else None
        if found is None or not _tells_apart(rows, found[0]):
            return False
        columns = choose_columns(settings.name, path.parent, rows, settings, lone=True)
    except OlharError:
        if plain and _may_list(path):
            raise
        return False
    labels = {label_text(row.get(columns.label)) for _line, row in rows}
    folders = _listed_folders(path.parent, rows, columns.file, columns.place)
    if folders is None or len(labels) < 2:
        return False
    if not plain and len(folders) == 1:
        raise DataError(
            _(
                "in '{path}' the table {table} says that photos of the folder {folder} are of several "
                "classes, and folders say otherwise; give the table as the data, or put it elsewhere",
                path=settings.name,
                table=path.name,
                folder=folders.pop() or ".",
            )
        )
    return plain


def _tells_apart(rows: Sequence[Row], file: str) -> bool:
    """Whether any other column than that of photos has two values."""
    others = [column for column in rows[0][1] if column != file]
    return any(len({str(row.get(column)) for _line, row in rows}) > 1 for column in others)


def _some_rows(path: Path) -> list[Row]:
    lines = csv_rows(path)
    header = next(lines, (0, []))[1]
    some = islice(lines, _MOST_ROWS)
    return [(line, dict(zip(header, values, strict=False))) for line, values in some]


def _may_list(path: Path) -> bool:
    """Whether what is wrong with a table matters: it is text, and has some columns."""
    try:
        return 2 <= len(next(csv_rows(path), (0, []))[1]) <= _MOST_TABLES * 10
    except OlharError:
        return False


def _listed_folders(root: Path, rows: Sequence[Row], column: str, place: Place) -> set[str] | None:
    """The folders of the photos that rows name, "" for `root`; None where one is not there."""
    found = set()
    for _line, row in rows:
        name = label_text(row.get(column)).replace("\\", "/")
        file = place.folder / place.path(name)
        if not is_photo_file(place, name) or not file.is_relative_to(root):
            return None
        inner = PurePosixPath(file.relative_to(root).as_posix())
        found.add(inner.parts[0] if len(inner.parts) > 1 else "")
    return found


def find_pixel_tables(root: Path) -> list[Table]:
    """The tables of pixels with labels of a folder: one alone, or one for each part by name."""
    found = [path for path in loose_tables(root) if holds_labelled_pixels(path)]
    if len(found) == 1:
        return [Table(found[0])]
    words = [re.split(r"[-_. ]+", path.stem.lower()) for path in found]
    parts = [[SPLIT_NAMES[word] for word in some if word in SPLIT_NAMES] for some in words]
    if all(len(some) == 1 for some in parts) and len({some[0] for some in parts}) == len(found):
        tables = [Table(path, some[0]) for path, some in zip(found, parts, strict=True)]
        return tables if any(table.part == "train" for table in tables) else []
    return []
