"""The manifest of a pack: every file with its sha256 and size, and what a path in it may be.

{"format": 1, "kind": "pack", "olhar": "0.1.0", "created": "2026-11-21T07:57:32Z",
 "extras": ["train"], "targets": ["linux 3.11"], "data": {"mnist": "named", "pets": "folder"},
 "weights": ["mobilenet_v2_imagenet.pth"], "size_bytes": 212345678,
 "files": {"data/mnist/train-images-idx3-ubyte.gz": {"sha256": "…", "size_bytes": 9912422}},
 "sha256": "… of all of the above"}
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from olhar._version import __version__
from olhar.errors import ChecksumError, DataError, ModelError
from olhar.i18n import _
from olhar.stores.manifest import StoredFile
from olhar.stores.names import is_portable

FORMAT = 1
MANIFEST = "manifest.json"
DATA, WEIGHTS, WHEELS = "data", "data/weights", "wheels"


@dataclass(frozen=True)
class PackManifest:
    """What a pack is made of.

    Attributes:
        created: when, in UTC, as ISO 8601.
        extras: of olhar, for which it has wheels.
        targets: systems with versions of Python that it has wheels for; none without wheels.
        data: "named" or "folder" by the name of a data set.
        weights: names of files.
        files: each file by its path.
        olhar: the version that made it.
    """

    created: str
    extras: tuple[str, ...]
    targets: tuple[str, ...]
    data: Mapping[str, str]
    weights: tuple[str, ...]
    files: Mapping[str, StoredFile]
    olhar: str = __version__

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files.values())

    def to_dict(self) -> dict[str, Any]:
        """As manifest.json has it, its own sha256 apart."""
        return {
            "format": FORMAT,
            "kind": "pack",
            "olhar": self.olhar,
            "created": self.created,
            "extras": list(self.extras),
            "targets": list(self.targets),
            "data": dict(self.data),
            "weights": list(self.weights),
            "size_bytes": self.size_bytes,
            "files": {
                path: {"sha256": file.sha256, "size_bytes": file.size_bytes}
                for path, file in sorted(self.files.items())
            },
        }

    def to_bytes(self) -> bytes:
        """As it is written."""
        values = self.to_dict()
        sealed = {**values, "sha256": _digest(values)}
        return (json.dumps(sealed, indent=1, ensure_ascii=False) + "\n").encode()


def read_manifest(content: bytes, place: str) -> PackManifest:
    """A manifest from its bytes; nothing in it is believed before its sha256 is right.

    Raises:
        ChecksumError: it is damaged or was changed.
        ModelError: it is of a newer olhar.
        DataError: it names a file outside the pack.
    """
    try:
        values = json.loads(content)
        version, sealed = values["format"], values.pop("sha256")
        if version != FORMAT:
            raise ModelError(
                _(
                    "'{place}' has format {version}; this olhar reads format {known}: update olhar",
                    place=place,
                    version=version,
                    known=FORMAT,
                )
            )
        if sealed != _digest(values):
            raise ValueError("sha256")
        manifest = PackManifest(
            created=str(values["created"]),
            extras=tuple(map(str, values["extras"])),
            targets=tuple(map(str, values["targets"])),
            data={str(name): str(kind) for name, kind in values["data"].items()},
            weights=tuple(map(str, values["weights"])),
            files={
                str(path): StoredFile(str(file["sha256"]), int(file["size_bytes"]))
                for path, file in values["files"].items()
            },
            olhar=str(values["olhar"]),
        )
    except ModelError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ChecksumError(
            _(
                "{file} in '{place}' is damaged; nothing was written: copy the archive again",
                file=MANIFEST,
                place=place,
            )
        ) from error
    check_paths(manifest.files, place)
    if any(file.size_bytes < 0 for file in manifest.files.values()):
        raise outside(place, MANIFEST)
    return manifest


def check_paths(paths: Iterable[str], place: str) -> None:
    """Refuse paths that leave their folder, or that some system cannot have beside each other.

    Raises:
        DataError: naming the path.
    """
    taken: set[str] = set()
    for path in paths:
        folded = unicodedata.normalize("NFC", path).casefold()
        if not is_portable(path) or folded in taken:
            raise outside(place, path)
        taken.add(folded)


def outside(place: str, path: str) -> DataError:
    """The error for a path that no pack may have."""
    return DataError(
        _(
            "'{place}' has a file called {path}, which cannot be on every computer or leaves its "
            "folder; nothing was written",
            place=place,
            path=ascii(path),
        )
    )


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
