"""A .zip or .tar of photos → a folder in the cache, unpacked once.

Nothing in an archive is believed: no path leaves the folder, links and devices are refused, and what
it unpacks to has a limit, whatever its headers say.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO

from olhar.archives import DAMAGE, DAMAGED_HEADERS, is_plain_file, tar_members
from olhar.cache_place import cache_folder
from olhar.datasets.cache import unpacked_folder
from olhar.datasets.forms.deflate64 import DEFLATE64, HAS_DEFLATE64, open_deflate64
from olhar.datasets.forms.member_names import tidy_path, why_refused, zip_name
from olhar.datasets.layout import is_hidden
from olhar.errors import (
    ChecksumError,
    DataError,
    MissingExtraError,
    OlharError,
    StorageError,
    explain_os_errors,
)
from olhar.files import change_mark
from olhar.i18n import _
from olhar.progress import Progress

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# Photos are compressed already; drawings in BMP may shrink to a hundredth.
_MOST_GROWTH, _ALWAYS_BYTES = 100, 2**30
_SPARE_BYTES = 2**28  # left free on the disk
_PIECE_BYTES = 2**20
_NAMES = 2  # counts how names in archives have been read, for what was unpacked before
_METHODS = frozenset(
    {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
    | ({DEFLATE64} if HAS_DEFLATE64 else set())
)
_OTHER_METHODS = {  # APPNOTE 4.4.5
    93: "Zstandard",
    95: "xz",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
    99: _("AES encryption"),
}

_Member = tuple[
    str, int, Callable[[], AbstractContextManager[IO[bytes]]]
]  # path, size in bytes, opener


def is_archive(path: Path) -> bool:
    """Whether the name of a file is that of an archive."""
    return path.name.lower().endswith(ARCHIVES)


def unpack_archive(name: str, path: Path, progress: Progress) -> Path:
    """The folder that an archive was unpacked to, in the cache; made anew when it has changed.

    Hidden files are left out.

    Args:
        name: what to call it in messages.
        path: absolute.
        progress: hears that it is read.

    Raises:
        DataError: it holds links, encrypted files, paths that leave it, or grows beyond all measure.
        MissingExtraError: it is packed by Deflate64, and the library that reads it is not installed.
        ChecksumError: it is damaged or cut off.
        StorageError: the disk has no place for it.
        NoPermissionError: it may not be read.
    """
    with explain_os_errors(name):
        facts = path.stat()
    stamps = [(str(path), facts.st_size, change_mark(facts)), ("names", _NAMES, 0)]
    return unpacked_folder(path, stamps, partial(_unpack, name, path, facts), progress)


def unpack_to(name: str, path: Path, folder: Path) -> None:
    """Unpack an archive into a folder that is there; what is raised is as for `unpack_archive`."""
    with explain_os_errors(name):
        facts = path.stat()
    _unpack(name, path, facts, folder)


def inner_folder(root: Path) -> Path:
    """The folder with the data: many archives hold nothing but one folder."""
    while True:
        there = [entry for entry in root.iterdir() if not is_hidden(entry.name)]
        if len(there) != 1 or not there[0].is_dir() or _is_class(there[0]):
            return root
        root = there[0]


def _is_class(folder: Path) -> bool:
    """Whether a folder holds files alone, none of them a table or an array."""
    kinds = (".csv", ".jsonl", ".json", ".parquet", ".arrow", ".npy")
    return not any(entry.is_dir() or entry.suffix.lower() in kinds for entry in folder.iterdir())


def _unpack(name: str, path: Path, facts: os.stat_result, folder: Path) -> None:
    free = free_bytes(folder)
    taken: set[str] = set()
    total = 0
    with explain_os_errors(name), _explain_damage(name), path.open("rb") as file:
        for member, size_bytes, source in _members(name, path, file):
            refused = why_refused(member)
            if refused is None and member in taken:
                refused = _("it is there twice")
            if refused is not None:
                raise _refused(name, member, refused)
            taken.add(member)
            total += size_bytes
            check_size(name, total, facts.st_size, free)
            target = folder / member
            if not _make_room(target):
                reason = _(
                    "another file or folder has that name, or one that the cache's disk takes for it"
                )
                raise _refused(name, member, reason)
            with source() as content, target.open("wb") as out:
                _copy(name, content, out, size_bytes)


def _make_room(target: Path) -> bool:
    """Make the folder of a file; False where the file's place, or a folder's, is taken."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return not target.exists()


def _copy(name: str, content: IO[bytes], out: IO[bytes], size_bytes: int) -> None:
    left = size_bytes
    while piece := content.read(min(_PIECE_BYTES, left + 1)):
        left -= len(piece)
        if left < 0:
            raise zipfile.BadZipFile(str(_("a file is longer than its header says")))
        out.write(piece)
    if left:
        raise EOFError(name)


def free_bytes(folder: Path) -> int:
    """What may be written on the disk of a folder."""
    return shutil.disk_usage(folder).free - _SPARE_BYTES


def check_size(name: str, total: int, packed: int, free: int) -> None:
    """Refuse what an archive unpacks to, where it is beyond all measure or more than the disk has.

    Args:
        name: what to call the archive.
        total: bytes that it unpacks to.
        packed: its own bytes.
        free: what `free_bytes` said before.

    Raises:
        DataError, StorageError: it is.
    """
    limit = _MOST_GROWTH * packed + _ALWAYS_BYTES
    if total > limit:
        raise DataError(
            _(
                "'{path}' would unpack to more than {limit} MB, over a hundred times its own size; "
                "that is no archive of photos: unpack it yourself if you trust it, and give the folder",
                path=name,
                limit=limit // 10**6,
            )
        )
    if total > free:
        raise StorageError(
            _(
                "'{path}' needs more than the {free} MB that are free in the cache, {cache}; free some "
                "space, or set OLHAR_CACHE",
                path=name,
                free=max(free, 0) // 10**6,
                cache=cache_folder(),
            )
        )


def _members(name: str, path: Path, file: IO[bytes]) -> Iterator[_Member]:
    """The files of an archive that are not hidden, in its order."""
    read = _zip_members if path.suffix.lower() == ".zip" else _tar_members
    for member, size_bytes, source in read(name, file):
        shown = tidy_path(member)
        parts = shown.split("/")
        is_folder = member.endswith(("/", "\\"))  # some name folders in Windows' way
        if ".." in parts or (not is_folder and not any(map(is_hidden, parts))):
            yield shown, size_bytes, source


def _zip_members(name: str, file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if not is_plain_file(info):
                raise _refused(name, info.filename, _("it is a link or no file"))
            if info.flag_bits & 1:
                raise _refused(name, info.filename, _("it is encrypted"))
            if info.compress_type not in _METHODS:
                raise _packed_otherwise(name, info.compress_type)
            member = zip_name(info)
            if not member:
                raise _refused(
                    name,
                    info.orig_filename,
                    _("its name is in a code page that the archive does not tell"),
                )
            opened = open_deflate64 if info.compress_type == DEFLATE64 else zipfile.ZipFile.open
            yield member, info.file_size, partial(opened, archive, info)


def _packed_otherwise(name: str, method: int) -> OlharError:
    if method == DEFLATE64:
        return MissingExtraError(
            _(
                "'{path}' is packed by Deflate64, as Windows packs more than 2 GB; to read it: "
                'pip install "olhar[photos]"; or unpack it with 7-Zip, and give the folder',
                path=name,
            )
        )
    return DataError(
        _(
            "'{path}' is packed by a method that is not read here: {method}; unpack it with the program "
            "that made it, or with 7-Zip, and give the folder",
            path=name,
            method=_OTHER_METHODS.get(method, method),
        )
    )


def _tar_members(name: str, file: IO[bytes]) -> Iterator[_Member]:
    for info, content in tar_members(file):
        if not is_plain_file(info):
            raise _refused(name, info.name, _("it is a link or no file"))
        yield info.name, info.size, partial(_given, content)


def _given(content: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(content)


def _refused(name: str, member: str, reason: object) -> DataError:
    return DataError(
        _(
            "'{path}' is not unpacked for {member} in it: {reason}; unpack it yourself if you trust it, "
            "and give the folder",
            path=name,
            member=ascii(member),
            reason=reason,
        )
    )


@contextmanager
def _explain_damage(name: str) -> Iterator[None]:
    try:
        yield
    except OlharError:
        raise
    except (*DAMAGE, *DAMAGED_HEADERS) as error:
        raise ChecksumError(
            _(
                "'{path}' is damaged, cut off, or no archive ({reason}); copy or download it again",
                path=name,
                reason=str(error) or type(error).__name__,
            )
        ) from error
