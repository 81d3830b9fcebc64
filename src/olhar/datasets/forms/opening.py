"""A path → the data that lies there, whatever its form.

Does not know: names of data sets, addresses of stores, or how any form is read.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder, scan_folder
from olhar.datasets.forms.archives import inner_folder, is_archive, unpack_archive
from olhar.datasets.forms.arrow import EMBEDDED, open_shards
from olhar.datasets.forms.numpy_files import holds_arrays, open_array_folder, open_npz
from olhar.datasets.forms.shards import find_shards
from olhar.datasets.forms.tables import TABLES, Table, find_tables, read_tables
from olhar.datasets.layout import GROUPS
from olhar.errors import DataError
from olhar.i18n import _

READABLE = ".csv, .tsv, .jsonl, .parquet, .arrow, .npz, .zip, .tar (.gz, .bz2, .xz)"


def open_path(name: str, path: Path) -> Dataset | PhotoFolder:
    """The data in a folder or file.

    A folder is, in this order: a data set that Hugging Face's `save_to_disk` wrote; photos with a
    `metadata.csv`; arrays; Parquet files; folders of photos. An archive is unpacked into the
    cache once, and then is a folder.

    Args:
        name: what the user called it.
        path: where it is.

    Raises:
        DataError: it cannot be used as data.
        ChecksumError: an archive is damaged.
        MissingExtraError: a library that reads it is not installed.
        NoPermissionError, MissingFileError: a file may not be read, or is not there.
    """
    path = path.absolute()
    if path.is_dir():
        return _open_folder(name, path)
    suffix = path.suffix.lower()
    if path.name == GROUPS:
        raise DataError(
            _(
                "'{path}' says which photos belong together, and is no data; give the folder that it is in",
                path=name,
            )
        )
    if suffix in EMBEDDED:
        return open_shards(name, path.parent, [("", path)], path)
    if suffix in TABLES:
        return read_tables(name, path.parent, [Table(path)], path)
    if suffix == ".npz":
        return open_npz(name, path)
    if is_archive(path):
        source = _open_folder(name, inner_folder(unpack_archive(name, path)))
        if isinstance(source, PhotoFolder):
            source = dataclasses.replace(source, origin=path)
        return source
    raise DataError(
        _(
            "'{path}' is a file of a kind that is not read as data; allowed: the folder that holds a "
            "folder of photos for each class, or a file ending in {readable}",
            path=name,
            readable=READABLE,
        )
    )


def _open_folder(name: str, root: Path) -> Dataset | PhotoFolder:
    shards = find_shards(name, root)
    if shards:
        return open_shards(name, root, shards, root)
    tables, note = find_tables(name, root)
    if tables:
        return read_tables(name, root, tables, tables[0].path)
    if holds_arrays(root):
        return open_array_folder(name, root)
    photos = scan_folder(name, root)
    if note is not None:
        photos = dataclasses.replace(photos, notes=(*photos.notes, note))
    return photos
