"""One photo of many: what it is called, how it is known again, and where its bytes are.

Does not know: where photos are looked for, or what is said of them.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from olhar.shown import STRAY_BYTES

_BLOCK_BYTES = 16 * 2**20  # of photos that a block holds or fetches; one at least
_BUCKETS = 1 << 16


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object below an address that `objects.open_objects` opens."""

    address: str
    key: str


@dataclass(frozen=True, slots=True)
class Item:
    """A photo that is to be answered.

    Attributes:
        name: what the result calls it; no other photo of the source has the name.
        size: of its file, in bytes; -1 where that is not known.
        changed: another number when the file may have changed (see files.change_mark), 0 to 2 ** 64 - 1.
        place: its path, its content, or where it is in a bucket; None where there is only an error.
        error: why it cannot be read, in English, where that is known already.
    """

    name: str
    size: int
    changed: int
    place: str | bytes | ObjectPlace | None
    error: str = ""

    @property
    def written_name(self) -> str:
        """The name as text that can be written: bytes that are no UTF-8 as shells write them, \\xe9."""
        return self.name if self.name.isascii() else _writable(self.name)

    @property
    def mark(self) -> Mark:
        """By which it is known again."""
        name = hashlib.blake2b(self.name.encode("utf-8", "surrogatepass"), digest_size=8)
        state = hashlib.blake2b(f"{self.size} {self.changed}".encode(), digest_size=8)
        return Mark(int.from_bytes(name.digest()), int.from_bytes(state.digest()))


Block = list[Item]


def _writable(name: str) -> str:
    return name.encode("utf-8", STRAY_BYTES).decode()


class Mark(NamedTuple):
    """64 bits of a photo's name, and 64 of its size and time of change."""

    name: int
    state: int


class Met(Enum):
    """What is known of a photo's mark."""

    NEW, SAME, CHANGED = range(3)


@dataclass
class Known:
    """The marks of many photos, in 16 bytes each."""

    _buckets: list[array[int] | None] = field(default_factory=lambda: [None] * _BUCKETS)

    def add(self, mark: Mark) -> Met:
        """Whether a photo is new, there already, or there in another state; it is there then."""
        bucket = self._buckets[mark.name % _BUCKETS]
        if bucket is None:
            bucket = self._buckets[mark.name % _BUCKETS] = array("Q")
        for at in range(0, len(bucket), 2):
            if bucket[at] == mark.name:
                return Met.SAME if bucket[at + 1] == mark.state else Met.CHANGED
        bucket.extend(mark)
        return Met.NEW


def pack_marks(marks: Iterable[Mark]) -> bytes:
    """Marks as bytes, 16 each."""
    return b"".join(part.to_bytes(8) for mark in marks for part in mark)


def unpack_marks(packed: bytes) -> Iterator[Mark]:
    """Take back what `pack_marks` gave."""
    for at in range(0, len(packed), 16):
        yield Mark(int.from_bytes(packed[at : at + 8]), int.from_bytes(packed[at + 8 : at + 16]))


def in_blocks(items: Iterable[Item], length: int) -> Iterator[Block]:
    """Items in their order, some at a time: at most `length`, and not much beyond 16 MB that travel."""
    block: Block = []
    held = 0
    for item in items:
        block.append(item)
        held += 0 if isinstance(item.place, str) else max(0, item.size)
        if len(block) == length or held >= _BLOCK_BYTES:
            yield block
            block, held = [], 0
    if block:
        yield block
