"""Tar files read as streams, and shards: tar files of photos with their labels beside them.

    0001.jpg  0001.cls  0002.jpg  0002.cls …     WebDataset's form

Members of one sample have one key, the path up to the first dot of the file's name, and lie beside each
other. Nothing seeks, so that a shard may come from a pipe or a bucket.

Source: https://github.com/webdataset/webdataset, "The WebDataset Format"; POSIX.1-1988, ustar.

Does not know: what is in a photo, where shards lie, or what is done with samples.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO

from olhar.errors import DataError, OlharError, explain_os_errors
from olhar.files import decode_text
from olhar.i18n import _
from olhar.shown import readable_name
from olhar.signatures import IMAGE_SUFFIXES

_BUFFER_BYTES, _BLOCK = 2**20, 512
_MOST_BYTES = 1 << 30  # as image_bytes allows of one photo
_MOST_LABEL_BYTES = 2**20
_LABELS = ("label", "class", "cls")
DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, gzip.BadGzipFile)


@dataclass(frozen=True)
class Sample:
    """A photo of a shard.

    Attributes:
        key: path in the shard up to the first dot of the name, as `train/0001`.
        image_name: path in the shard.
        image: its bytes, as they are.
        label: what `.cls` or `.json` beside it says, None where nothing does.
    """

    key: str
    image_name: str
    image: bytes
    label: str | None


def read_shard(file: BinaryIO, shown: str) -> Iterator[Sample]:
    """The photos of a shard, in its order; what belongs to no photo, and hidden files, are passed over.

    Where a sample has several images, it is the one whose name has one dot, else the first.

    Args:
        file: open at the beginning of a tar, which gzip, bzip2 or xz may have packed; read once.
        shown: what to call it in messages.

    Raises:
        DataError: it is damaged, cut off or no tar; what came before has been given already.
    """
    key, members, last, end = "", dict[str, bytes](), "", 0
    with _explain_damage(shown, lambda: (last, end)):
        for info, content in tar_members(file):
            name = info.name.removeprefix("./")
            if not info.isreg() or info.issparse() or _is_hidden(name):
                continue
            if _key_of(name) != key:
                yield from _samples(key, members)
                key, members = _key_of(name), {}
            if _is_image(name) and info.size > _MOST_BYTES:
                raise _too_large(shown, name, info.size)
            if _is_wanted(name) and (_is_image(name) or info.size <= _MOST_LABEL_BYTES):
                members[name] = content.read()
            last, end = name, info.offset_data + info.size
        yield from _samples(key, members)


def tar_members(file: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every member of a tar that is no folder, and its content, to be read before the next is asked for.

    Raises:
        tarfile.TarError, EOFError: it is damaged or cut off, also where tarfile itself would take that for
            the end.
    """
    watched = _Watched(_unpacked(file))
    with tarfile.open(fileobj=watched, mode="r|", bufsize=_BUFFER_BYTES) as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined] # else it keeps them all
            if not info.isdir():
                yield info, (archive.extractfile(info) if info.isreg() else None) or io.BytesIO()
        while watched.read(_BUFFER_BYTES):  # what comes after the last file belongs to the checksum
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
        piece = self._stream.read(size)
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


def _key_of(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _ending_of(name: str) -> str:
    """What stands behind the first dot of a file's name, with it: `.jpg`, `.seg.png`; lower case."""
    return "".join(PurePosixPath(name).name.partition(".")[1:]).lower()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _is_wanted(name: str) -> bool:
    return _is_image(name) or _ending_of(name) in {".cls", ".json"}


def _samples(key: str, members: Mapping[str, bytes]) -> Iterator[Sample]:
    """The photo of the members of one key, if there is one."""
    images = sorted(filter(_is_image, members), key=lambda name: _ending_of(name).count("."))
    if images:
        yield Sample(key, images[0], members[images[0]], _label(members))


def _label(members: Mapping[str, bytes]) -> str | None:
    """The label of a sample: its `.cls`, else the first value of its `.json` that may be one."""
    contents = {_ending_of(name): content for name, content in members.items()}
    try:
        if ".cls" in contents:
            return readable_name(decode_text(contents[".cls"]).strip()) or None
        facts = json.loads(contents.get(".json", b"null"))
    except (ValueError, RecursionError):  # no text, or no JSON
        return None
    values = [facts.get(name) for name in _LABELS] if isinstance(facts, dict) else []
    found = [value for value in values if isinstance(value, str | int) and str(value).strip()]
    return readable_name(str(found[0]).strip()) if found else None


def _too_large(shown: str, name: str, size: int) -> DataError:
    return DataError(
        _(
            "'{name}' in '{path}' has {given} bytes; at most {limit} are allowed; save a smaller copy",
            name=readable_name(name),
            path=shown,
            given=size,
            limit=_MOST_BYTES,
        )
    )


@contextmanager
def _explain_damage(shown: str, place: Callable[[], tuple[str, int]]) -> Iterator[None]:
    try:
        with explain_os_errors(shown):
            yield
    except OlharError:
        raise
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        last, end = place()
        if not last:
            raise DataError(
                _("'{path}' is no tar, or damaged ({reason})", path=shown, reason=reason)
            ) from error
        raise DataError(
            _(
                "'{path}' is damaged or cut off: its last whole file is {last}, which ends at byte {end} "
                "({reason}); copy or download it again",
                path=shown,
                last=readable_name(last),
                end=end,
                reason=reason,
            )
        ) from error
