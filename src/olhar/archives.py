"""Archives, whoever writes or reads them: equal files make equal archives, and damage is noticed.

Nothing in them tells of times, owners or this machine's order. What is in an archive, and where it may
go, is for its readers to judge: a pack, a run and somebody's photos have rules of their own.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from olhar.i18n import _

_PIECE_BYTES, _BLOCK = 2**20, 512
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
# What the formats and their compressions raise of damage.
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError),
)
# What zipfile and tarfile let through of damaged headers.
DAMAGED_HEADERS = (ValueError, IndexError, OverflowError, RuntimeError, struct.error)

Source = Path | bytes


def size_of(source: Source) -> int:
    """Bytes of a file, or of bytes."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def open_bytes(source: Source) -> IO[bytes]:
    """For reading."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def write_zip(
    file: IO[bytes],
    members: Iterable[tuple[str, Source]],
    done: Callable[[int], None] = lambda _bytes: None,
) -> None:
    """Write files into a zip, uncompressed, as photos, models and wheels are compressed already.

    Args:
        file: the zip, open for writing.
        members: paths in it, and what is written there; in this order.
        done: hears how many bytes each piece had.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, source in members:
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = (stat.S_IFREG | _MODE) << 16
            info.file_size = size_of(source)  # zipfile then knows whether it needs 64 bits
            with archive.open(info, "w") as target, open_bytes(source) as content:
                while piece := content.read(_PIECE_BYTES):
                    target.write(piece)
                    done(len(piece))


def write_tar(
    file: IO[bytes] | gzip.GzipFile,
    members: Iterable[tuple[str, Source]],
    done: Callable[[int], None] = lambda _bytes: None,
) -> None:
    """Write files into a tar; as for `write_zip`."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, source in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = size_of(source), _MODE
            with open_bytes(source) as content:
                archive.addfile(info, content)
            done(info.size)


def is_plain_file(info: zipfile.ZipInfo | tarfile.TarInfo) -> bool:
    """Whether a member is a file as others are: no folder, link, device or file with holes."""
    if isinstance(info, tarfile.TarInfo):
        return info.isreg() and not info.issparse()
    return stat.S_IFMT(info.external_attr >> 16) in {0, stat.S_IFREG} and not info.is_dir()


def tar_members(file: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every member of a tar that is no folder, and its content, to be read before the next is asked for.

    Raises:
        tarfile.TarError, EOFError: it is damaged or cut off, also where tarfile itself would take that for
            the end.
    """
    watched = _Watched(_unpacked(file))
    with tarfile.open(fileobj=watched, mode="r|", bufsize=_PIECE_BYTES) as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined] # else it keeps them all
            if not info.isdir():
                yield info, (archive.extractfile(info) if info.isreg() else None) or io.BytesIO()
        while watched.read(_PIECE_BYTES):  # what comes after the last file belongs to the checksum
            pass
        if watched.content_end > archive.offset:
            raise tarfile.ReadError(str(_("damaged at byte {place}", place=archive.offset)))
        if watched.end < archive.offset + _BLOCK:
            raise EOFError(str(_("no end of archive")))


class _Watched(io.RawIOBase):
    """Passes a stream on, and knows how long it was and where the zeros at its end begin."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.end = self.content_end = 0

    def read(self, size: int = -1) -> bytes:
        """As the stream."""
        try:
            piece = self._stream.read(size)
        except OSError as error:
            if error.errno is not None:
                raise
            raise tarfile.ReadError(str(error)) from error  # what gzip and bz2 say of damage
        filled = len(piece.rstrip(b"\0"))
        if filled:
            self.content_end = self.end + filled
        self.end += len(piece)
        return piece


class _Begun(io.RawIOBase):
    """A stream whose first bytes have been read already."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int = -1) -> bytes:
        """As the stream, from its beginning."""
        if not self._head:
            return self._stream.read(size)
        piece = self._head if size < 0 else self._head[:size]
        self._head = self._head[len(piece) :]
        return piece + self._stream.read() if size < 0 else piece


def _unpacked(file: IO[bytes]) -> Any:
    """The stream in a compressed one; it tells where it is cut off, as tarfile's own does not."""
    start = file.read(6)
    whole: Any = _Begun(start, file)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(whole)
    if start.startswith(b"BZh"):
        return bz2.open(whole)
    return lzma.open(whole) if start.startswith(b"\xfd7zXZ") else whole
