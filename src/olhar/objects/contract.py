"""What is asked of a place of objects, whichever kind it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from olhar.errors import DataError
from olhar.i18n import _
from olhar.shown import readable_name
from olhar.stores.contract import Report


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing tells it.

    Attributes:
        key: its path below the address, with slashes; any text that a bucket allows, `../x` too.
        size: in bytes.
        etag: a text that is another when the content is; an md5 only sometimes.
        modified: in seconds since 1970.
    """

    key: str
    size: int
    etag: str
    modified: float


class ObjectChanged(DataError):  # noqa: N818 what happened, and no fault of anybody
    """An object that is no longer what the listing said: another content, or gone."""


class Objects(Protocol):
    """Objects below an address. Every method may be called by several threads at once."""

    shown: str

    def list(self) -> Iterator[StoredObject]:
        """Every object, sorted by the code points of its key; in pieces, never all in memory."""

    def read(self, key: str) -> bytes:
        """The whole content.

        Raises:
            ObjectChanged: it is gone.
            StoreError, NoPermissionError: it cannot be read.
        """

    def fetch(
        self, key: str, path: Path, listed: StoredObject | None = None, report: Report | None = None
    ) -> None:
        """Write the content to `path`, aside first, then renamed.

        Args:
            key: of the object.
            path: where it goes; its folder is there.
            listed: what it must be. What a killed fetch of the same has left beside `path` is used.
            report: hears of each piece, in bytes; of less than nothing where a piece has to come again.

        Raises:
            ObjectChanged: it is gone, or is not what was listed.
            ChecksumError: what came is not what the server says that it has.
            StoreError, NoPermissionError: it cannot be read.
            StorageError: the disk is full; what has come stays beside `path`.
        """

    def close(self) -> None:
        """Close connections."""


def changed(shown: str, key: str) -> ObjectChanged:
    """The error for an object that is no longer as listed."""
    return ObjectChanged(
        _(
            "'{key}' in '{store}' was changed or removed while it was read; try again once nobody "
            "writes there",
            key=readable_name(key),
            store=shown,
        )
    )
