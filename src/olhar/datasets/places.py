"""Where the files of named data sets lie: under `OLHAR_DATA`, else downloaded into the cache."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from olhar.archives import DAMAGE, tar_members
from olhar.cache_place import cache_folder
from olhar.errors import ChecksumError, MissingFileError, explain_os_errors
from olhar.i18n import _

_SEARCH_DEPTH = 5


def data_folder() -> Path | None:
    """The folder that `OLHAR_DATA` names, None where it is not set.

    Raises:
        MissingFileError: it is no folder.
    """
    chosen = os.environ.get("OLHAR_DATA")
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise MissingFileError(
            _(
                "OLHAR_DATA is '{folder}', which is not a folder; name the folder where the data "
                "sets lie, or unset it to download them",
                folder=folder,
            )
        )
    return folder


def data_files() -> list[Path]:
    """All files under `OLHAR_DATA`, in a fixed order; links are followed, but no folder twice."""
    root = data_folder()
    if root is None:
        return []
    files, seen = [], set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        real = os.path.realpath(folder)
        fresh = real not in seen and depth < _SEARCH_DEPTH
        seen.add(real)
        subfolders[:] = sorted(s for s in subfolders if fresh and not s.startswith("."))
        files += [here / name for name in sorted(names)]
    return files


@contextmanager
def explain_damage(path: Path) -> Iterator[None]:
    """Turn what decompressors raise about `path` into ChecksumError."""
    with explain_os_errors(path):
        try:
            yield
        except DAMAGE as error:
            raise ChecksumError(
                _(
                    "'{path}' is damaged or incomplete ({reason}); delete it, then download it "
                    "again or let olhar do so",
                    path=path,
                    reason=error,
                )
            ) from error


def open_packed(path: Path) -> BinaryIO:
    """A file for reading, unpacked where its first bytes say that it is packed by gzip or xz."""
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.open(path, "rb"))
    if head == b"\xfd7zXZ\0":
        return cast("BinaryIO", lzma.open(path, "rb"))
    return path.open("rb")


def download_folder(name: str) -> Path:
    """Where the archives of a named set go when they are downloaded."""
    return cache_folder() / "downloads" / name


def archived_files(
    source: Path, wanted: Container[str], most_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Name and first bytes of each wanted file of a .tar, packed or not; nothing is extracted.

    Args:
        source: the archive.
        wanted: names of files, without folders.
        most_bytes: how much of a file is read at most.
    """
    with source.open("rb") as file:
        for member, content in tar_members(file):
            name = PurePosixPath(member.name).name
            if name in wanted and member.isreg():
                yield name, content.read(most_bytes)
