"""A pack as a .zip, a .tar, or the folder that somebody has unpacked it to: members by path.

Files lie in it uncompressed: what fills a pack is compressed already, and a member can then never
be larger than the archive.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from olhar.archives import (
    DAMAGE,
    DAMAGED_HEADERS,
    Source,
    is_plain_file,
    open_bytes,
    write_tar,
    write_zip,
)
from olhar.errors import ChecksumError, DataError, OlharError, explain_os_errors
from olhar.i18n import _

SUFFIXES = (".zip", ".tar")

T = TypeVar("T")


class Members(dict[str, tuple[int, Callable[[], IO[bytes]]]]):
    """Size in bytes and opener of each regular file, by its path."""


def write_archive(path: Path, files: Mapping[str, Source], done: Callable[[int], None]) -> None:
    """Write files by their paths in the archive, in their order.

    Args:
        path: ends in .zip or .tar.
        files: a file, or bytes.
        done: hears how many bytes have been written.
    """
    total = 0

    def report(size_bytes: int) -> None:
        nonlocal total
        total += size_bytes
        done(total)

    with explain_os_errors(path), path.open("wb") as file:
        write = write_tar if path.suffix == ".tar" else write_zip
        write(file, files.items(), report)


@contextmanager
def open_archive(path: Path) -> Iterator[Members]:
    """The members of a pack.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is neither a .zip, a .tar nor a folder, or holds links or compressed files.
        ChecksumError: it is cut off or damaged.
    """
    with explain_os_errors(path):
        try:
            if path.is_dir():
                yield _folder_members(path)
            elif zipfile.is_zipfile(path):
                with _reading(zipfile.ZipFile, path) as zipped:
                    yield _zip_members(path, zipped)
            elif path.stat().st_size and tarfile.is_tarfile(path):
                with tarfile.open(path, "r:") as tarred:
                    yield _reading(_tar_members, path, tarred)
            else:
                raise _no_archive(path)
        except OlharError:
            raise
        except DAMAGE as error:
            raise ChecksumError(
                _(
                    "'{path}' is damaged or cut off ({reason}); nothing was written: copy it again",
                    path=path,
                    reason=error,
                )
            ) from error


def _reading(read: Callable[..., T], *words: object) -> T:
    """What `read` gives; whatever it raises at damaged headers is told as damage."""
    try:
        return read(*words)
    except OlharError:
        raise
    except DAMAGED_HEADERS as error:
        raise zipfile.BadZipFile(str(error)) from error


def _no_archive(path: Path) -> DataError:
    return DataError(
        _(
            "'{path}' is no archive of olhar pack, or was cut off; give the .zip or .tar that it "
            "made, whole",
            path=path,
        )
    )


def _folder_members(path: Path) -> Members:
    members = Members()
    # Only what a pack has: somebody may have made an environment beside it.
    found = [*path.iterdir(), *(path / "data").rglob("*"), *(path / "wheels").rglob("*")]
    for file in sorted(found):
        name = file.relative_to(path).as_posix()
        if file.is_symlink():
            raise _no_file(path, name)
        if file.is_file():
            members[name] = file.stat().st_size, partial(open_bytes, file)
    return members


def _zip_members(path: Path, archive: zipfile.ZipFile) -> Members:
    members = Members()
    for info in archive.infolist():
        name = info.orig_filename  # as written: zipfile itself would cut it at a null byte
        stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        if not is_plain_file(info) or not stored or info.flag_bits & 1:
            raise _no_file(path, name)
        if name in members:
            raise _no_file(path, name)
        members[name] = info.file_size, partial(_reading, archive.open, info)
    return members


def _tar_members(path: Path, archive: tarfile.TarFile) -> Members:
    members = Members()
    for info in archive.getmembers():
        if not is_plain_file(info) or info.name in members:
            raise _no_file(path, info.name)
        members[info.name] = info.size, partial(_tar_member, archive, info)
    return members


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return archive.extractfile(info) or io.BytesIO()


def _no_file(path: Path, name: str) -> DataError:
    return DataError(
        _(
            "'{path}' was not made by olhar pack: {name} in it is a link, compressed, there twice, or "
            "no file; nothing was written",
            path=path,
            name=ascii(name),
        )
    )
