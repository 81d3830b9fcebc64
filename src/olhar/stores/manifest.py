"""A manifest: what one version is made of. It is written last, once, and never changed.

{"format": 1, "kind": "models", "name": "cifar", "version": 3, "created": "2026-11-21T07:57:32Z",
 "olhar": "0.1.0", "size_bytes": 1034567, "facts": {"accuracy": 0.789},
 "files": {"model/config.json": {"sha256": "…", "size_bytes": 1531}},
 "sha256": "… of all of the above"}
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olhar._version import __version__
from olhar.errors import ChecksumError, ModelError
from olhar.i18n import _
from olhar.stores.names import is_name

FORMAT = 1
_DEEPEST = 8


@dataclass(frozen=True)
class StoredFile:
    """A file's content: hex sha256 and size in bytes."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """One version.

    Attributes:
        kind: "models" or "datasets".
        name: what it is called.
        version: 1, 2, 3…
        created: when, in UTC, as ISO 8601.
        files: what it consists of, by relative path with slashes.
        facts: what a list shows of it: accuracy, network…
        olhar: the version that pushed it.
    """

    kind: str
    name: str
    version: int
    created: str
    files: Mapping[str, StoredFile]
    facts: Mapping[str, Any]
    olhar: str = __version__

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def sha256(self) -> str:
        """Of the manifest, and so of all that it names."""
        return _digest(self._values())

    def to_bytes(self) -> bytes:
        """As it is stored."""
        sealed = {**self._values(), "sha256": self.sha256}
        return (json.dumps(sealed, indent=1, ensure_ascii=False) + "\n").encode()

    def _values(self) -> dict[str, Any]:
        files = {
            path: {"sha256": file.sha256, "size_bytes": file.size_bytes}
            for path, file in sorted(self.files.items())
        }
        return {
            "format": FORMAT,
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "created": self.created,
            "olhar": self.olhar,
            "size_bytes": self.size_bytes,
            "facts": dict(self.facts),
            "files": files,
        }


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_manifest(content: bytes, place: str) -> Manifest:
    """A manifest from its bytes; nothing in it is believed before its sha256 is right.

    Args:
        content: what is stored.
        place: its address, for messages.

    Raises:
        ModelError: it is damaged, of a newer olhar, or names a file outside its folder.
        ChecksumError: it was changed.
    """
    try:
        values = json.loads(content)
        version = values["format"]
        sealed = values.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(place, error) from error
    if version != FORMAT:
        raise newer_format(place, version)
    if sealed != _digest(values):
        raise ChecksumError(
            _(
                "the manifest of '{place}' was changed after it was pushed; remove this version "
                "(olhar rm) and push it again",
                place=place,
            )
        )
    try:
        files = {
            str(path): StoredFile(str(file["sha256"]), int(file["size_bytes"]))
            for path, file in values["files"].items()
        }
        manifest = Manifest(
            kind=str(values["kind"]),
            name=str(values["name"]),
            version=int(values["version"]),
            created=str(values["created"]),
            files=files,
            facts=dict(values["facts"]),
            olhar=str(values["olhar"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(place, error) from error
    for path, file in files.items():
        if not is_inside(path) or not _is_sha256(file.sha256):
            raise ModelError(
                _(
                    "the manifest of '{place}' names a file outside its folder: {path}; nothing was "
                    "written, do not use this version",
                    place=place,
                    path=ascii(path),
                )
            )
    return manifest


def newer_format(place: str, version: object) -> ModelError:
    """The error for what another olhar has written."""
    return ModelError(
        _(
            "'{place}' has format {version}; this olhar reads format {known}: update olhar",
            place=place,
            version=version,
            known=FORMAT,
        )
    )


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder on every system."""
    parts = path.split("/")
    return len(parts) <= _DEEPEST and all(is_name(part) for part in parts)


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _damaged(place: str, error: Exception) -> ModelError:
    return ModelError(
        _(
            "the manifest of '{place}' is damaged ({reason}); remove this version (olhar rm) and "
            "push it again",
            place=place,
            reason=repr(error),
        )
    )
