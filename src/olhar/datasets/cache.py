"""The cache of decoded data sets: written once, aside, then renamed; memory-mapped ever after.

Does not know: where images come from, or what decodes them. An entry is a folder,
`<cache>/datasets/<key>/`, of `images.npy`, `labels.npy` and `meta.json`, and of photos
`digests.npy`. An entry that is damaged
counts as absent, and the next `save_cached` replaces it. Photos out of archives and tables lie in
`<cache>/unpacked/`, as files.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
import tokenize
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from olhar.cache_place import cache_folder
from olhar.datasets.dataset import Dataset
from olhar.errors import ConfigError, StorageError, explain_os_errors
from olhar.files import folder_aside
from olhar.i18n import Text, _
from olhar.progress import Progress

FORMAT = 1
_ENTRY_FILES = frozenset({"images.npy", "labels.npy", "digests.npy", "meta.json"})
_CHUNK_BYTES = 16 * 2**20
_ABANDONED_S = 24 * 3600.0
# All that NumPy and json raise on bytes that are not what they should be.
_DAMAGE = (OSError, EOFError, LookupError, SyntaxError, TypeError, ValueError, tokenize.TokenError)


@dataclass(frozen=True)
class CacheEntry:
    """What one decoded data set is made of.

    Attributes:
        images: (N, H, W, C) uint8, memory-mapped. While an entry is filled it may have more rows
            than there are labels (files that were set aside); the last rows are then left out.
        labels: (N,) int64, indices into `class_names`.
        class_names: in index order.
        parts: how many images each part has, in pool order; empty where the set is not divided.
        files: the relative path of each image, or () where images are not files.
        set_aside: (path, reason) of each file that could not be used.
        fingerprint: hex sha256; where `fill` gives none, `save_cached` computes `fingerprint()`.
        digests: (N, 32) uint8, sha256 of the content of each file; None where images are not files.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    parts: Mapping[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    fingerprint: str = ""
    digests: NDArray[np.uint8] | None = None

    def part_indices(self) -> dict[str, NDArray[np.int64]]:
        """The index array of each part, (n,) int64, into the pool."""
        indices, start = {}, 0
        for name, size in self.parts.items():
            indices[name] = np.arange(start, start + size, dtype=np.int64)
            start += size
        return indices

    def as_dataset(self, name: str, notes: tuple[Text, ...] = ()) -> Dataset:
        """The data set that it is, under the name that it was asked for by."""
        return Dataset(
            name=name,
            images=self.images,
            labels=self.labels,
            class_names=self.class_names,
            fingerprint=self.fingerprint,
            parts=self.part_indices(),
            files=self.files,
            set_aside=self.set_aside,
            notes=notes,
            digests=self.digests,
        )


def fingerprint(
    images: NDArray[np.uint8], labels: NDArray[np.int64], class_names: Sequence[str]
) -> str:
    """The sha256 of a data set's images, labels and class names, the same on every machine.

    Args:
        images: (N, H, W, C) uint8; a memory map is read in pieces.
        labels: (N,) int64.
        class_names: in index order.

    Returns:
        64 hex digits.
    """
    head = {"images": images.shape, "class_names": list(class_names)}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    rows = max(1, _CHUNK_BYTES // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images), rows):
        digest.update(np.ascontiguousarray(images[start : start + rows]).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def allocate_images(
    folder: Path, shape: tuple[int, int, int, int]
) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Make `images.npy` in `folder` and map it into memory for writing.

    The disk space is reserved first: a page of a memory map that finds the disk full would kill
    the process, where here it is an error that can be told.

    Args:
        folder: the one that `save_cached` gives to `fill`.
        shape: (N, H, W, C).

    Returns:
        (N, H, W, C) uint8, zeros.

    Raises:
        OSError: the disk is full; `save_cached` turns it into StorageError.
    """
    path = folder / "images.npy"
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        _reserve(file, math.prod(shape))
    return np.lib.format.open_memmap(path, mode="r+")


def _reserve(file: BinaryIO, size_bytes: int) -> None:
    """Lengthen `file` by `size_bytes` zeros that do lie on the disk."""
    file.flush()
    if size_bytes and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), file.tell(), size_bytes)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                raise
        else:
            return
    zeros = bytes(min(_CHUNK_BYTES, size_bytes))
    for start in range(0, size_bytes, _CHUNK_BYTES):
        file.write(zeros[: size_bytes - start])


def load_cached(key: str) -> CacheEntry | None:
    """The entry called `key`, its images memory-mapped; None where it is absent or damaged.

    Nothing is hashed: it takes milliseconds.
    """
    folder = _entry_folder(key)
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            return None
        labels = np.load(folder / "labels.npy")
        digests = folder / "digests.npy"
        images = np.load(folder / "images.npy", mmap_mode="r")
        entry = CacheEntry(
            images=images[: len(labels)],
            labels=labels,
            class_names=tuple(meta["class_names"]),
            parts=dict(meta["parts"]),
            files=tuple(meta["files"]),
            set_aside=tuple((path, reason) for path, reason in meta["set_aside"]),
            fingerprint=meta["fingerprint"],
            digests=np.load(digests, mmap_mode="r") if digests.exists() else None,
        )
        return entry if _is_whole(entry) else None
    except _DAMAGE:
        return None


def _is_whole(entry: CacheEntry) -> bool:
    count = len(entry.labels)
    return (
        entry.images.dtype == np.uint8
        and entry.images.ndim == 4
        and entry.labels.dtype == np.int64
        and entry.labels.ndim == 1
        and len(entry.images) == count
        and (not entry.parts or sum(entry.parts.values()) == count)
        and len(entry.files) in {0, count}
        and (entry.digests is None or entry.digests.shape == (count, 32))
        and bool(np.all((entry.labels >= 0) & (entry.labels < len(entry.class_names))))
    )


def save_cached(key: str, fill: Callable[[Path], CacheEntry]) -> CacheEntry:
    """Make the entry called `key`; where two processes do so at once, both succeed.

    Args:
        key: a folder name.
        fill: is given a fresh folder, makes the images in it with `allocate_images`, fills them,
            and returns the entry; it keeps no reference to the images.

    Returns:
        The entry as `load_cached` gives it.

    Raises:
        StorageError: the disk is full or failing.
        NoPermissionError: the cache may not be written.
        ConfigError: other files than an entry's lie there.
    """
    folder = _entry_folder(key)
    with explain_os_errors(folder):
        taken = folder.exists()
    if taken and not is_entry(folder):
        raise ConfigError(
            _(
                "'{path}' holds files that olhar did not write; let OLHAR_CACHE name a folder that "
                "is for the cache alone",
                path=folder,
            )
        )
    _remove_abandoned(folder)
    with folder_aside(folder) as aside:
        _write_entry(aside, fill)
        if folder.exists() and load_cached(key) is None:
            _remove_folder(folder)
    entry = load_cached(key)
    if entry is None:
        raise StorageError(
            _(
                "the cache entry '{path}' is damaged and cannot be replaced; delete it and try "
                "again",
                path=folder,
            )
        )
    return entry


def _write_entry(aside: Path, fill: Callable[[Path], CacheEntry]) -> None:
    # A function of its own: the memory map must be closed when it returns, or Windows would not
    # rename the folder.
    entry = fill(aside)
    images = entry.images[: len(entry.labels)]
    meta: dict[str, Any] = {
        "format": FORMAT,
        "class_names": list(entry.class_names),
        "parts": dict(entry.parts),
        "files": list(entry.files),
        "set_aside": list(entry.set_aside),
        "fingerprint": entry.fingerprint or fingerprint(images, entry.labels, entry.class_names),
    }
    if isinstance(entry.images, np.memmap):
        entry.images.flush()
    np.save(aside / "labels.npy", entry.labels.astype(np.int64))
    if entry.digests is not None:
        np.save(aside / "digests.npy", entry.digests)
    text = json.dumps(meta, ensure_ascii=False, indent=1)
    (aside / "meta.json").write_text(text, encoding="utf-8")


def is_entry(folder: Path) -> bool:
    """Whether a folder holds nothing else than an entry's files, whole or not."""
    with explain_os_errors(folder):
        return folder.is_dir() and {path.name for path in folder.iterdir()} <= _ENTRY_FILES


def remove_others(key: str, prefix: str) -> None:
    """Remove the entries whose key begins with `prefix`, save `key`: what it has replaced."""
    for folder in _entry_folder(key).parent.glob(f"{prefix}*"):
        if folder.name != key:
            _remove_folder(folder)


def _stamp_key(kind: str, source: Path, stamps: Sequence[tuple[str, int, int]]) -> tuple[str, str]:
    """The key of what is made out of files, and its beginning, which stays when they change.

    Args:
        kind: what is made.
        source: the absolute path that they are known by.
        stamps: name, size in bytes and `files.change_mark` of every file.
    """
    place = hashlib.sha256(str(source).encode(errors="backslashreplace")).hexdigest()[:16]
    content = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()[:32]
    return f"{kind}-{place}-", f"{kind}-{place}-{content}"


def _tell_reading(progress: Progress, source: Path) -> None:
    """Tell that an entry is made out of a file or folder."""
    progress.start(_("reading {file}, this once", file=source.name), 0)


def entry_of(
    kind: str,
    source: Path,
    stamps: Sequence[tuple[str, int, int]],
    fill: Callable[[Path], CacheEntry],
    progress: Progress,
) -> CacheEntry:
    """The entry made out of `source`, once; made anew when it has changed.

    Args:
        kind: what is made.
        source: the absolute path of a table, an array or a folder of them.
        stamps: name, size in bytes and `files.change_mark` of every file that is read.
        fill: see `save_cached`, which says what is raised.
        progress: hears that it is made.
    """
    prefix, key = _stamp_key(kind, source, stamps)
    entry = load_cached(key)
    if entry is None:
        _tell_reading(progress, source)
        entry = save_cached(key, fill)
        remove_others(key, prefix)
    return entry


def unpacked_folder(
    source: Path,
    stamps: Sequence[tuple[str, int, int]],
    fill: Callable[[Path], None],
    progress: Progress,
) -> Path:
    """The folder of files made out of `source`, once; made anew when it has changed.

    Args:
        source: the absolute path of an archive, table or folder.
        stamps: name, size in bytes and `files.change_mark` of every file that is read.
        fill: is given a fresh folder to write into.
        progress: hears that it is made.

    Raises:
        StorageError: the disk is full or failing.
        NoPermissionError: the cache may not be written.
    """
    prefix, key = _stamp_key("files", source, stamps)
    folder = cache_folder().absolute() / "unpacked" / key
    if not folder.is_dir():
        _tell_reading(progress, source)
        _remove_abandoned(folder)
        with folder_aside(folder) as aside:
            fill(aside)
        for older in folder.parent.glob(f"{prefix}*"):
            if older != folder:
                _remove_folder(older)
    return folder


def _entry_folder(key: str) -> Path:
    return cache_folder() / "datasets" / key


def _remove_folder(folder: Path) -> None:
    """Rename first, so that nobody sees the folder half removed."""
    with suppress(OSError):  # another process has removed it, or (on Windows) has it open
        grave = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        folder.rename(grave / "removed")
        shutil.rmtree(grave, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what a killed process left aside more than a day ago."""
    with suppress(OSError):
        for aside in folder.parent.glob(f".{folder.name}.*"):
            if time.time() - aside.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(aside, ignore_errors=True)
