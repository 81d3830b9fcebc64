"""The bytes of an image, wherever a caller has them: a path, bytes, an open file.

Does not know: how images are decoded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from olhar.errors import ImageError, MemoryLimitError, MissingFileError, explain_os_errors
from olhar.i18n import _
from olhar.signatures import HEAD_BYTES, image_format
from olhar.web import refuse_web_address

MAX_BYTES = 1 << 30  # no picture that is allowed needs more; stops a mislabelled film or archive


def label_of(source: object) -> str:
    """What to call an image in messages."""
    if isinstance(source, os.PathLike | str):
        return os.fsdecode(source)
    called = getattr(source, "name", None)
    return called if isinstance(called, str) else "<bytes>"


def read_bytes(source: Path | str | bytes | BinaryIO, label: str) -> bytes:
    """All bytes of one image; an open file that was read before is rewound.

    Args:
        source: a path, the bytes themselves, or an open binary file.
        label: what messages call it.

    Raises:
        ImageError: a folder, a link to nowhere, too many bytes, a file that gives no bytes, or
            something that is no image.
        MissingFileError: there is no such file.
        NoPermissionError: it may not be read.
        MemoryLimitError: it does not fit into memory.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        if isinstance(source, os.PathLike | str):
            return _of_path(Path(source), label)
        return _of_file(source, label)
    except MemoryError as error:
        raise too_little_memory(label) from error


def too_little_memory(label: str) -> MemoryLimitError:
    """The error for an image that does not fit into memory."""
    return MemoryLimitError(
        _(
            "there is too little memory to read '{name}'; save a smaller copy, or give this process "
            "more memory (close other programs, raise the limit of the container or of ulimit -v)",
            name=label,
        )
    )


def no_image(source: object) -> ImageError:
    """The error for something that is no image at all."""
    given = type(source).__name__
    if isinstance(source, list | tuple):
        return ImageError(
            _("a {given} is not one image; give images one by one, in a loop", given=given)
        )
    return ImageError(
        _(
            "a value of type {given} is not an image; allowed: a path, bytes, a file opened with "
            "'rb', a NumPy array, a Pillow image, or a tensor",
            given=given,
        )
    )


def _of_path(path: Path, label: str) -> bytes:
    refuse_web_address(label)
    with explain_os_errors(path):
        if "\0" in str(path):
            raise ImageError(
                _("{name} is not a file name; it contains a null byte", name=repr(label))
            )
        if path.is_symlink() and not path.exists():
            raise MissingFileError(
                _(
                    "'{name}' is a link to {target}, which is not here; bring it, with dvc pull, git "
                    "annex get, or by copying",
                    name=label,
                    target=path.readlink(),
                )
            )
        if path.is_dir():
            raise ImageError(_("'{name}' is a folder; give an image file instead", name=label))
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ImageError(
                _(
                    "'{name}' has {given} bytes; at most {limit} are allowed; save a smaller copy",
                    name=label,
                    given=size_bytes,
                    limit=MAX_BYTES,
                )
            )
        return path.read_bytes()


def _of_file(source: Any, label: str) -> bytes:
    if not callable(getattr(source, "read", None)):
        raise no_image(source)
    try:
        with explain_os_errors(label):
            start = source.tell() if _can_seek(source) else 0
            content = source.read()
            if start and not (isinstance(content, bytes) and image_format(content[:HEAD_BYTES])):
                source.seek(0)
                content = source.read()
    except ValueError as error:  # what a closed file raises
        raise ImageError(
            _("'{name}' cannot be read: {reason}", name=label, reason=error)
        ) from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ImageError(
            _("'{name}' gives no bytes; open the file with 'rb', for binary reading", name=label)
        )
    return bytes(content)


def _can_seek(source: Any) -> bool:
    seekable = getattr(source, "seekable", None)
    return bool(callable(seekable) and seekable())
