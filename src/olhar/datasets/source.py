"""Data by the name that a user gives: that of a named set, the path of a folder or file, an address."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

from olhar.data_settings import SourceSettings
from olhar.datasets.addresses import fetch_address
from olhar.datasets.caltech101 import CALTECH101, open_caltech101
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms import open_path
from olhar.datasets.forms.arrow import EMBEDDED
from olhar.datasets.forms.columns import refuse_settings
from olhar.datasets.forms.pixel_columns import holds_pixels
from olhar.datasets.forms.rows import TABLES
from olhar.datasets.named import NAMED, load_named
from olhar.datasets.stored import is_pushed, is_stored, load_stored
from olhar.errors import DataError, MissingFileError, UnknownNameError, explain_os_errors, nearest
from olhar.i18n import _
from olhar.progress import Progress
from olhar.shown import readable_name
from olhar.web import refuse_web_address

Source = Dataset | PhotoFolder
ALL_NAMES = tuple(sorted((*NAMED, CALTECH101)))


def open_source(wanted: str | SourceSettings, progress: Progress | None = None) -> Source:
    """A named data set, decoded; photos, listed only (see prepare_dataset); arrays, brought into the
    cache once; or what lies at an address, fetched once.

    Args:
        wanted: one of `ALL_NAMES`, a path (see forms.open_path), or an address, perhaps with how a
            table is read; for a folder with the name of a set write ./NAME.
        progress: hears of what is fetched, or brought into the cache.

    Raises:
        UnknownNameError: it is neither.
        ConfigError: it is no table, and how one is read was said.
        DataError: the folder or file cannot be used as data.
        ChecksumError: an archive is damaged.
        MissingExtraError: a library that reads it is not installed.
        NoPermissionError: the folder or one in it may not be read.
    """
    progress = progress or Progress()
    settings = SourceSettings(wanted) if isinstance(wanted, str) else wanted
    name = settings.name
    if name in ALL_NAMES:
        refuse_settings(settings)
    if name in NAMED:
        return load_named(name, progress)
    if name == CALTECH101:
        return open_caltech101(progress)
    refuse_web_address(name)
    path = Path(name).expanduser()
    with explain_os_errors(name):
        is_there = bool(name.strip()) and path.exists()
    if is_there:
        _check_path(name)
        return open_path(settings, path, progress)
    if is_stored(name):
        return _open_address(settings, progress)
    raise UnknownNameError(
        _(
            "there is no data set '{name}', nor is there a folder or file of that name; data sets: "
            "{valid}; or give the path of a folder of photos, a table or an archive",
            name=name,
            valid=", ".join(nearest(name, ALL_NAMES) or ALL_NAMES),
        )
    )


def _open_address(settings: SourceSettings, progress: Progress) -> Source:
    """What lies at an address: a data set that olhar pushed, or objects, read as files."""
    name = settings.name
    if is_pushed(name):
        refuse_settings(settings)
        return load_stored(name, progress)
    fetched = fetch_address(name, progress)
    with explain_os_errors(name):
        if not fetched.path.exists():
            raise MissingFileError(
                _("there is no '{path}'; check the spelling and the current folder", path=name)
            )
    if fetched.is_copy and _names_photos(fetched.path):
        beside = fetch_address(name[: name.rindex("/") + 1], progress)
        fetched = replace(beside, path=beside.path / fetched.path.name)
    source = open_path(settings, fetched.path, progress)
    if isinstance(source, PhotoFolder) and fetched.is_copy:
        source = replace(source, origin=source.origin or fetched.path)
    return replace(source, notes=(*fetched.notes, *source.notes))


def _names_photos(path: Path) -> bool:
    """Whether a file is a table of photos that lie beside it."""
    is_table = (
        path.is_file() and path.suffix.lower() in TABLES and path.suffix.lower() not in EMBEDDED
    )
    return is_table and not holds_pixels(path)


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
