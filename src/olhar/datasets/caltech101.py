"""Caltech-101: 8,677 photos of 101 kinds of objects, of about 300×200 pixels, as a folder of photos.

Source: Fei-Fei, Fergus and Perona 2004, "Learning Generative Visual Models from Few Training
Examples", CVPR workshop. The makers divided it into no splits. Its 102nd folder, BACKGROUND_Google,
shows no object, and is left out.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from olhar.datasets.fetch import fetch
from olhar.datasets.folders import PhotoFolder, scan_folder
from olhar.datasets.forms.archives import unpack_archive
from olhar.datasets.places import data_files, data_folder, download_folder
from olhar.errors import DataError
from olhar.i18n import _
from olhar.progress import Progress

CALTECH101 = "caltech101"
_FOLDER, _BACKGROUND = "101_ObjectCategories", "BACKGROUND_Google"
_INNER = f"{_FOLDER}.tar.gz"
_ARCHIVE = "caltech-101.zip"
_URL = f"https://data.caltech.edu/records/mzrjq-6wc02/files/{_ARCHIVE}?download=1"
_MD5 = "3138e1922a9193bfa496528edbbc45d0"
_SEARCH_DEPTH = 4


def open_caltech101(progress: Progress) -> PhotoFolder:
    """The photos, listed: found under `OLHAR_DATA` as the folder, its .tar.gz or the makers' .zip, else
    downloaded (137 MB).

    Raises:
        DataError: what was found holds no photos.
        ChecksumError: an archive is damaged.
        DownloadError: it was not found and cannot be downloaded.
    """
    root, origin = _find(progress)
    photos = scan_folder(CALTECH101, root, without=(_BACKGROUND,))
    notes = photos.notes
    if (root / _BACKGROUND).is_dir():
        notes = (*notes, _("{folder} shows no object and is left out", folder=_BACKGROUND))
    return dataclasses.replace(photos, notes=notes, origin=origin)


def _find(progress: Progress) -> tuple[Path, Path | None]:
    """The folder of classes, and the archive that it was unpacked from, if any."""
    for folder in _folders():
        return folder, None
    files = data_files()
    for wanted in (_INNER, _ARCHIVE):
        for file in files:
            if file.name == wanted:
                return _unpack(file.absolute(), progress), file
    archive = fetch(_URL, download_folder(CALTECH101) / _ARCHIVE, _MD5, progress)
    return _unpack(archive.absolute(), progress), archive.absolute()


def _folders() -> Iterator[Path]:
    root = data_folder()
    if root is None:
        return
    for folder, subfolders, _files in os.walk(root, followlinks=True):
        if _FOLDER in subfolders:
            yield (Path(folder) / _FOLDER).absolute()
        deep = len(Path(folder).relative_to(root).parts) >= _SEARCH_DEPTH
        subfolders[:] = [] if deep else sorted(s for s in subfolders if not s.startswith("."))


def _unpack(archive: Path, progress: Progress) -> Path:
    """Unpack an archive into the cache, and the archive that lies in it."""
    place = unpack_archive(str(archive), archive, progress)
    inner = next(iter(sorted(place.rglob(_INNER))), None)
    if inner is not None:
        place = unpack_archive(str(inner), inner, progress)
    found = next((folder for folder in sorted(place.rglob(_FOLDER)) if folder.is_dir()), None)
    if found is None:
        raise DataError(
            _(
                "'{path}' holds no folder {folder}; put Caltech-101 as its makers pack it into the "
                "folder that OLHAR_DATA names",
                path=archive,
                folder=_FOLDER,
            )
        )
    return found
