"""A path → the data that lies there, whatever its form.

Does not know: names of data sets, addresses of stores, or how any form is read.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from olhar.data_settings import SourceSettings
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder, scan_folder
from olhar.datasets.forms.annotated import holds_annotations, open_annotated
from olhar.datasets.forms.archives import inner_folder, is_archive, unpack_archive
from olhar.datasets.forms.arrow import EMBEDDED, open_shards
from olhar.datasets.forms.beside import find_list, find_pixel_tables
from olhar.datasets.forms.columns import OF_FOLDERS, refuse_settings
from olhar.datasets.forms.idx import find_idx, open_idx
from olhar.datasets.forms.loose import refuse_file, refuse_loose
from olhar.datasets.forms.numpy_files import (
    holds_arrays,
    holds_npz,
    open_array_folder,
    open_npz,
    open_npz_folder,
)
from olhar.datasets.forms.pixel_columns import holds_pixels
from olhar.datasets.forms.pixels import open_pixels
from olhar.datasets.forms.rows import TABLES
from olhar.datasets.forms.shards import find_shards
from olhar.datasets.forms.tables import Table, find_tables, read_tables
from olhar.datasets.forms.tar_sets import find_tar_set, is_tar_set, open_tar_set
from olhar.datasets.layout import GROUPS
from olhar.errors import DataError, explain_os_errors
from olhar.i18n import _
from olhar.progress import Progress


def open_path(settings: SourceSettings, path: Path, progress: Progress) -> Dataset | PhotoFolder:
    """The data in a folder or file.

    A folder is, in this order: a data set that Hugging Face's `save_to_disk` wrote; Parquet files; shards
    (tar files with labels in them); photos with a `metadata.csv`; tables of pixels; a table beside photos
    that says what their folders do not; Tiny ImageNet's folder; arrays; IDX files; folders of photos. An
    archive is unpacked into the cache once, and then is a folder.

    Args:
        settings: what the user called it, and how it is read.
        path: where it is.
        progress: hears of what is brought into the cache.

    Raises:
        ConfigError: it cannot be read as was asked for.
        DataError: it cannot be used as data.
        ChecksumError: an archive is damaged.
        MissingExtraError: a library that reads it is not installed.
        NoPermissionError, MissingFileError: a file may not be read, or is not there.
    """
    path, name = path.absolute(), settings.name
    if path.is_dir():
        return _open_folder(settings, path, progress)
    suffix = path.suffix.lower()
    if path.name == GROUPS:
        raise DataError(
            _(
                "'{path}' says which photos belong together, and is no data; give the folder that it is in",
                path=name,
            )
        )
    if suffix in EMBEDDED:
        return open_shards(settings, path.parent, [("", path)], path, progress)
    if suffix in TABLES and holds_pixels(path):
        return open_pixels(settings, [Table(path)], path, progress)
    if suffix in TABLES:
        return read_tables(settings, path.parent, [Table(path)], path)
    if suffix == ".npz":
        refuse_settings(settings)
        return open_npz(name, path, progress)
    if is_tar_set(path):
        refuse_settings(settings)
        return open_tar_set(name, [("", path)], path, progress)
    if is_archive(path):
        place = unpack_archive(name, path, progress)
        source = _open_folder(settings, inner_folder(place), progress)
        if isinstance(source, PhotoFolder):
            source = dataclasses.replace(source, origin=path)
        return source
    raise refuse_file(name, path)


def _read_list(settings: SourceSettings, root: Path, table: Path) -> PhotoFolder:
    photos = read_tables(settings, root, [Table(table)], table)
    note = _("the table {file} says which class each photo is; folders do not", file=table.name)
    return dataclasses.replace(photos, notes=(note, *photos.notes))


def _open_folder(settings: SourceSettings, root: Path, progress: Progress) -> Dataset | PhotoFolder:
    name = settings.name
    with explain_os_errors(name):
        inner = inner_folder(root)
    for place in dict.fromkeys((root, inner)):
        found = _open_listed(settings, place, progress)
        if found is not None:
            return found
    refuse_settings(settings, OF_FOLDERS)
    refuse_loose(name, root)
    photos = scan_folder(
        name,
        root,
        labels_from=settings.labels_from or "folder",
        distinct_classes=bool(settings.distinct_classes),
    )
    note = find_tables(settings, root)[1]
    if note is not None:
        photos = dataclasses.replace(photos, notes=(*photos.notes, note))
    return photos


def _open_listed(
    settings: SourceSettings, root: Path, progress: Progress
) -> Dataset | PhotoFolder | None:
    """What files in a folder say that its data is; None where it is a folder of photos."""
    name = settings.name
    shards = find_shards(name, root)
    if shards:
        return open_shards(settings, root, shards, root, progress)
    tars = find_tar_set(name, root)
    if tars:
        refuse_settings(settings)
        return open_tar_set(name, tars, root, progress)
    tables = find_tables(settings, root)[0]
    if tables:
        return read_tables(settings, root, tables, tables[0].path)
    pixels = find_pixel_tables(root)
    if pixels:
        return open_pixels(settings, pixels, root, progress)
    table = None if settings.labels_from else find_list(settings, root)
    if table is not None:
        return _read_list(settings, root, table)
    files = find_idx(root)
    if holds_annotations(root):
        refuse_settings(settings)
        return open_annotated(name, root)
    if holds_arrays(root):
        refuse_settings(settings)
        return open_array_folder(name, root, progress)
    if files:
        refuse_settings(settings)
        return open_idx(name, root, files, progress)
    if holds_npz(root):
        refuse_settings(settings)
        return open_npz_folder(name, root, progress)
    return None
