"""A pack as a .zip, a .tar, or the folder that somebody has unpacked it to: members by path.

Files lie in it uncompressed: what fills a pack is compressed already, and a member can then never
be larger than the archive.
"""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from olhar.errors import ChecksumError, DataError, OlharError, explain_os_errors
from olhar.i18n import _

SUFFIXES = (".zip", ".tar")
_PIECE_BYTES = 2**20
_TIME = (1980, 1, 1, 0, 0, 0)
# What zipfile and tarfile let through of damaged headers.
_UNREADABLE = (ValueError, IndexError, OverflowError, RecursionError, struct.error)
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)

Source = Path | bytes
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
    write = _write_tar if path.suffix == ".tar" else _write_zip
    total = 0

    def report(size_bytes: int) -> None:
        nonlocal total
        total += size_bytes
        done(total)

    with explain_os_errors(path):
        write(path, files, report)


def _write_zip(path: Path, files: Mapping[str, Source], report: Callable[[int], None]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, source in files.items():
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = size_of(source)  # zipfile then knows whether it needs 64 bits
            with archive.open(info, "w") as target, open_bytes(source) as content:
                _copy(content, target, report)


def _write_tar(path: Path, files: Mapping[str, Source], report: Callable[[int], None]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, source in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = size_of(source), 0o644
            with open_bytes(source) as content:
                archive.addfile(info, content)
            report(info.size)


def size_of(source: Source) -> int:
    """Bytes of a file, or of bytes."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def open_bytes(source: Source) -> IO[bytes]:
    """For reading."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _copy(source: IO[bytes], target: IO[bytes], report: Callable[[int], None]) -> None:
    while piece := source.read(_PIECE_BYTES):
        target.write(piece)
        report(len(piece))


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
        except _DAMAGE as error:
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
    except _UNREADABLE as error:
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
        kind = stat.S_IFMT(info.external_attr >> 16)
        name = info.orig_filename  # as written: zipfile itself would cut it at a null byte
        stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        if kind not in {0, stat.S_IFREG} or not stored or info.flag_bits & 1:
            raise _no_file(path, name)
        if name in members:
            raise _no_file(path, name)
        members[name] = info.file_size, partial(_reading, archive.open, info)
    return members


def _tar_members(path: Path, archive: tarfile.TarFile) -> Members:
    members = Members()
    for info in archive.getmembers():
        if not info.isreg() or info.issparse() or info.name in members:
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
