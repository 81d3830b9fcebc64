"""Names of photos' files in a project.

Does not know: what is in a project.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from olhar.serving.corrections import FORBIDDEN, photo_suffix
from olhar.signatures import IMAGE_SUFFIXES

_MOST_NAME = 120  # bytes of a photo's name, without its ending


def photo_name(name: str, content: bytes) -> str:
    """A name for the file of a photo: the given one where it can be a name everywhere."""
    given = name.replace("\\", "/").rpartition("/")[2]
    safe = "".join("_" if one in FORBIDDEN or not one.isprintable() else one for one in given)
    stem, dot, ending = safe.strip(". ").rpartition(".")
    if f".{ending.lower()}" not in IMAGE_SUFFIXES:
        stem, dot, ending = safe.strip(". "), ".", photo_suffix(content)[1:]
    stem = stem.encode("utf-8", "replace")[:_MOST_NAME].decode("utf-8", "ignore").strip(". ")
    return f"{stem or 'photo'}{dot}{ending}"


def free_path(home: Path, name: str, planned: Collection[Path] = ()) -> Path:
    """A path in `home` that is not there, nor `planned`: the name, with a number where it is taken."""
    stem, _dot, ending = name.rpartition(".")
    path, number = home / name, 1
    while path.exists() or path in planned:
        number += 1
        path = home / f"{stem}-{number}.{ending}"
    return path
