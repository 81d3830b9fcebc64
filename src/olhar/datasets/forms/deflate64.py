"""Files of a zip that are packed by Deflate64, which Python does not unpack: Windows packs so above 2 GB.

Does not know: which files of an archive are wanted, or where they go.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from olhar.i18n import _

DEFLATE64 = 9  # APPNOTE 4.4.5
HAS_DEFLATE64 = importlib.util.find_spec("inflate64") is not None
_PACKED_BYTES = 2**12  # what so many unpack to is held in memory: 100 MB of zeros, if that


@contextmanager
def open_deflate64(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """A file of a zip, unpacked while it is read; its checksum is compared at its end.

    Args:
        archive: open for reading.
        info: of a member whose method is `DEFLATE64`.

    Raises:
        zipfile.BadZipFile, EOFError, ValueError: while it is read: it is damaged or cut off.
    """
    packed = copy.copy(info)  # as if its packed bytes had been stored
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
    del packed.CRC
    with archive.open(packed) as stream:
        yield cast("IO[bytes]", _Inflated(stream, info.CRC))


class _Inflated(io.RawIOBase):
    """What a stream of Deflate64 unpacks to."""

    def __init__(self, packed: IO[bytes], checksum: int) -> None:
        from inflate64 import Inflater

        self._packed, self._inflater = packed, Inflater()
        self._ready, self._expected, self._found = io.BytesIO(), checksum, 0

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; none at the end."""
        while not (given := self._ready.read(size)) and not self._inflater.eof:
            packed = self._packed.read(_PACKED_BYTES)
            if not packed:
                raise EOFError(str(_("cut off")))
            unpacked = self._inflater.inflate(packed)
            self._found = zlib.crc32(unpacked, self._found)
            self._ready = io.BytesIO(unpacked)
        if not given and self._found != self._expected:
            raise zipfile.BadZipFile(str(_("wrong checksum")))
        return given
