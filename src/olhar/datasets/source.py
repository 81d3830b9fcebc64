"""Data by the name that a user gives: that of a named set, or the path of a folder of photos."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder, scan_folder
from olhar.datasets.layout import readable_name
from olhar.datasets.named import NAMED, load_named
from olhar.datasets.stored import is_stored, load_stored
from olhar.errors import DataError, UnknownNameError, explain_os_errors, nearest
from olhar.i18n import _

Source = Dataset | PhotoFolder


def open_source(name: str) -> Source:
    """A named data set, decoded; a folder of photos, listed only (see prepare_dataset); or a data set
    in a store, fetched once.

    Args:
        name: one of `NAMED`, a path, or an address; for a folder with the name of a set write ./NAME.

    Raises:
        UnknownNameError: it is neither.
        DataError: the folder has no classes of photos.
        NoPermissionError: the folder or one in it may not be read.
    """
    if name in NAMED:
        return load_named(name)
    path = Path(name).expanduser()
    with explain_os_errors(name):
        is_there = bool(name.strip()) and path.exists()
    if is_there:
        _check_path(name, path)
        return scan_folder(name)
    if is_stored(name):
        return load_stored(name)
    raise UnknownNameError(
        _(
            "there is no data set '{name}', nor is there a folder of that name; data sets: {valid}; "
            "or give the path of a folder of photos",
            name=name,
            valid=", ".join(nearest(name, NAMED) or NAMED),
        )
    )


def _check_path(name: str, path: Path) -> None:
    """Refuse a file, and a path that config.toml cannot hold."""
    if path.is_file():
        raise DataError(
            _(
                "'{path}' is a file; give the folder that holds a folder of photos for each class "
                "(unpack an archive first)",
                path=name,
            )
        )
    if readable_name(name) != unicodedata.normalize("NFC", name):
        raise DataError(
            _(
                "the path '{path}' holds bytes that are no UTF-8 text, which a run cannot record; "
                "rename the folder",
                path=readable_name(name),
            )
        )
