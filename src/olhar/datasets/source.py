"""Data by the name that a user gives: that of a named set, the path of a folder or file, an address."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from olhar.data_settings import SourceSettings
from olhar.datasets.caltech101 import CALTECH101, open_caltech101
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms import open_path
from olhar.datasets.forms.columns import refuse_settings
from olhar.datasets.named import NAMED, load_named
from olhar.datasets.stored import is_stored, load_stored
from olhar.errors import DataError, UnknownNameError, explain_os_errors, nearest
from olhar.i18n import _
from olhar.progress import Progress
from olhar.shown import readable_name
from olhar.web import refuse_web_address

Source = Dataset | PhotoFolder
ALL_NAMES = tuple(sorted((*NAMED, CALTECH101)))


def open_source(wanted: str | SourceSettings, progress: Progress | None = None) -> Source:
    """A named data set, decoded; photos, listed only (see prepare_dataset); arrays, brought into the
    cache once; or a data set in a store, fetched once.

    Args:
        wanted: one of `ALL_NAMES`, a path (see forms.open_path), or an address, perhaps with how a
            table is read; for a folder with the name of a set write ./NAME.
        progress: hears of a download.

    Raises:
        UnknownNameError: it is neither.
        ConfigError: it is no table, and how one is read was said.
        DataError: the folder or file cannot be used as data.
        ChecksumError: an archive is damaged.
        MissingExtraError: a library that reads it is not installed.
        NoPermissionError: the folder or one in it may not be read.
    """
    settings = SourceSettings(wanted) if isinstance(wanted, str) else wanted
    name = settings.name
    if name in ALL_NAMES:
        refuse_settings(settings)
    if name in NAMED:
        return load_named(name, progress)
    if name == CALTECH101:
        return open_caltech101(progress or Progress())
    refuse_web_address(name)
    path = Path(name).expanduser()
    with explain_os_errors(name):
        is_there = bool(name.strip()) and path.exists()
    if is_there:
        _check_path(name)
        return open_path(settings, path)
    if is_stored(name):
        refuse_settings(settings)
        return load_stored(name, progress)
    raise UnknownNameError(
        _(
            "there is no data set '{name}', nor is there a folder or file of that name; data sets: "
            "{valid}; or give the path of a folder of photos, a table or an archive",
            name=name,
            valid=", ".join(nearest(name, ALL_NAMES) or ALL_NAMES),
        )
    )


def _check_path(name: str) -> None:
    """Refuse a path that config.toml cannot hold."""
    if readable_name(name) != unicodedata.normalize("NFC", name):
        raise DataError(
            _(
                "the path '{path}' holds bytes that are no UTF-8 text, which a run cannot record; "
                "rename the folder",
                path=readable_name(name),
            )
        )
