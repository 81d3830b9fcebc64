"""Photos with the answer that a person gave: a folder data set that grows, one folder a class.

Does not know: HTTP, or what the model had answered. `olhar train --data FOLDER` takes the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from olhar.datasets.class_names import match_class_names
from olhar.datasets.part_folders import part_of
from olhar.datasets.photo_files import is_hidden
from olhar.errors import ConfigError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import Text, _
from olhar.images import MAX_PIXELS, read_image
from olhar.run import RunFolder
from olhar.signatures import HEAD_BYTES, image_format

MOST_CHARACTERS, _MOST_BYTES = 100, 240  # of a class's name; file systems take 255 bytes
FORBIDDEN = frozenset('/\\:*?"<>|')  # what one or the other file system refuses
_TAKEN = frozenset(  # Windows' devices
    {"con", "prn", "aux", "nul"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
)
_SUFFIXES = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II", ".tif"),
    (b"MM", ".tif"),
    (b"RIFF", ".webp"),
    (b"P", ".ppm"),
)


@dataclass(frozen=True)
class Kept:
    """A correction that is on the disk.

    Attributes:
        file: its path in the folder, with forward slashes.
        label: the class, as it is spelt in the folder.
        new: False where the same photo was there already with the same label.
    """

    file: str
    label: str
    new: bool

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def check_folder(folder: Path) -> None:
    """Refuse, before a server starts, a folder that cannot keep corrections.

    Raises:
        ConfigError: it is a file, a run, or a data set that is divided into parts.
    """
    with explain_os_errors(folder):
        parts = any(part_of(name) for name in _class_folders(folder))
        if (folder.exists() and not folder.is_dir()) or RunFolder(folder).config.exists() or parts:
            raise ConfigError(
                _(
                    "--corrections {path} cannot keep corrections: it is a file, a run, or a data "
                    "set divided into train and test; give a new folder, or one with a folder for "
                    "each class",
                    path=folder,
                )
            )


class Corrections:
    """A folder of corrected photos: FOLDER/class/sha256.suffix, each photo once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def keep(
        self,
        content: bytes,
        label: str,
        class_names: Sequence[str] = (),
        *,
        name: str = "-",
        max_pixels: int = MAX_PIXELS,
    ) -> Kept:
        """Write a photo into the folder of its class, atomically.

        The same photo with another label moves: the later word of a person counts.

        Args:
            content: bytes of the photo, kept as they are.
            label: one of `class_names` or what means the same, or the name of a new class.
            class_names: those of the model that was corrected.
            name: what to call the photo in messages.
            max_pixels: width × height allowed.

        Raises:
            ImageError: it cannot be read as an image.
            ConfigError: the label cannot be the name of a folder of photos.
            StorageError, NoPermissionError: it cannot be written.
        """
        label = check_label(label, class_names)
        read_image(content, name=name, max_pixels=max_pixels)
        digest = hashlib.sha256(content).hexdigest()
        with self._lock, explain_os_errors(self.folder):
            folders = _class_folders(self.folder)
            home = _folder_name(label)
            present = match_class_names([home], folders)[0]
            if present is not None:
                home = folders[present]
            path = self.folder / home / f"{digest}{photo_suffix(content)}"
            is_new = not path.is_file()
            if is_new:
                write_atomic(path, content)
            for other in set(folders) - {home}:
                _remove(self.folder / other / path.name)
        label = label if label in class_names else home
        return Kept(f"{home}/{path.name}", label, is_new)


def check_label(label: str, class_names: Sequence[str] = ()) -> str:
    """The class that is meant, or a new one's name; no name that cannot be a folder everywhere.

    Raises:
        ConfigError: it cannot.
    """
    tidy = unicodedata.normalize("NFC", label).strip()
    meant = match_class_names([tidy], class_names)[0]
    is_new = meant is None
    tidy = tidy if meant is None else class_names[meant]
    reason = _refusal(tidy, is_new=is_new)
    if reason is not None:
        shown = tidy[:40] if tidy.isprintable() else ascii(tidy[:40])[1:-1]
        raise ConfigError(
            _(
                "'{name}' cannot be the name of a class: {reason}; choose a short name of letters, "
                "digits and spaces",
                name=shown,
                reason=reason,
            )
        )
    return tidy


def _refusal(label: str, *, is_new: bool) -> Text | None:
    """Why a label cannot be a folder of photos; None where it can."""
    if not label:
        return _("it is empty")
    if len(label) > MOST_CHARACTERS or len(label.encode("utf-8", "replace")) > _MOST_BYTES:
        return _("it has more than {limit} characters", limit=MOST_CHARACTERS)
    if any(unicodedata.category(character).startswith("C") for character in label):
        return _("it holds a character that cannot be seen")
    if is_new and FORBIDDEN.intersection(label):
        return _("it holds one of {forbidden}", forbidden=" ".join(sorted(FORBIDDEN)))
    if label.startswith(".") or not any(character.isalnum() for character in label):
        return _("it needs a letter or digit, and must not begin with a dot")
    name = _folder_name(label)
    is_taken = name.split(".")[0].strip().casefold() in _TAKEN
    if is_taken or part_of(name) or is_hidden(name):
        return _("folders of that name mean something else")
    return None


def _folder_name(label: str) -> str:
    r"""A class's name where it is used as a folder; "T-shirt/top" is T-shirt_top."""
    safe = "".join("_" if character in FORBIDDEN else character for character in label)
    return safe.rstrip(". ") or "_"


def _class_folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if one.is_dir() and one.name[0] != ".")


def photo_suffix(content: bytes) -> str:
    """The ending that the file of a photo should have, by its first bytes."""
    if content[4:8] == b"ftyp":
        return ".heic" if image_format(content[:HEAD_BYTES]) == "HEIF" else ".avif"
    return next((suffix for start, suffix in _SUFFIXES if content.startswith(start)), ".png")


def _remove(path: Path) -> None:
    """Remove a photo, and its folder where that was the last one: a class without photos is none."""
    if path.is_file():
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()
