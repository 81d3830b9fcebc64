"""A folder of photos → a decoded data set: each photo once, on all cores, into the cache.

Does not know: splits, or what a class name means. Photos are decoded by processes, not threads:
for small photos most of the time is Python's own, and threads would wait for each other (measured
on 64-pixel JPEGs, two cores: threads 0.9 of one core's speed, processes 1.6).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from olhar.children import answer_rows, share_out
from olhar.cores import count_cores
from olhar.datasets.cache import (
    CacheEntry,
    allocate_images,
    load_cached,
    remove_others,
    save_cached,
)
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder
from olhar.errors import ImageError
from olhar.i18n import _
from olhar.image_bytes import read_bytes
from olhar.preprocess import Framing
from olhar.progress import Progress
from olhar.shown import readable_name

_PHOTOS_PER_PROCESS = 200  # fewer are decoded sooner than a process has started
_NAMED_AT_MOST = 10
_DECODING = 3  # counts how photos have been decoded: with another number they are decoded anew

Outcome = tuple[int, str, str]  # row, sha256 of the file, "" or why it cannot be read


@dataclass(frozen=True)
class _Job:
    """What a process needs to decode photos; plain values, for JSON."""

    images: str  # the file of (N, size, size, C) uint8 to fill
    first_byte: int  # where row 0 begins in it
    root: str
    framing: Framing


def decode_folder(
    folder: PhotoFolder, framing: Framing, progress: Progress, workers: int = 0
) -> Dataset:
    """Decode every photo once, as `framing` makes it; found again by path, size and mark of
    change (see files.change_mark).

    Photos that cannot be read are set aside: they are named through `progress.note` and in
    `Dataset.set_aside`. The fingerprint is a sha256 over the path in the folder, class name and
    content of each photo, whatever the size they are decoded to and wherever the folder lies.

    Args:
        folder: as scan_folder gives it.
        framing: of the network that they are for.
        progress: hears of the notes and of the decoding.
        workers: processes; 0 means one a core.

    Returns:
        images (N, size, size, C) uint8, memory-mapped; labels, parts and files of the good photos.

    Raises:
        NoPermissionError, MissingFileError: a photo may not be read, or has gone.
        StorageError: the disk is full or failing.
    """
    for note in folder.notes:
        progress.note(note)
    place = _digest([str(folder.path), [framing.size, framing.channels, framing.resize]])
    content = _digest([_DECODING, folder.digest()])
    key = f"photos-{place[:16]}-{content[:32]}"
    entry = load_cached(key)
    if entry is None:
        entry = save_cached(key, partial(_fill, folder, framing, progress, workers))
        remove_others(key, f"photos-{place[:16]}-")
    _note_set_aside(entry, len(folder), progress)
    return entry.as_dataset(folder.name)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _note_set_aside(entry: CacheEntry, total: int, progress: Progress) -> None:
    if not entry.set_aside:
        return
    reasons = [reason for _file, reason in entry.set_aside[:_NAMED_AT_MOST]]
    more = len(entry.set_aside) - len(reasons)
    progress.note(
        _(
            "{count} of {total} photos cannot be read and are set aside:{lines}{more}",
            count=len(entry.set_aside),
            total=total,
            lines="".join(f"\n  {reason}" for reason in reasons),
            more=_("\n  … and {count} more", count=more) if more else "",
        )
    )


def _fill(
    folder: PhotoFolder,
    framing: Framing,
    progress: Progress,
    workers: int,
    place: Path,
) -> CacheEntry:
    """Fill a cache entry in folder `place`."""
    count, images_file = len(folder), place / "images.npy"
    first_byte = allocate_images(place, (count, *framing.shape)).offset
    job = _Job(str(images_file), first_byte, str(folder.path), framing)
    found = _decode_all(job, folder.files, progress, workers or count_cores())
    good = np.setdiff1d(np.arange(count, dtype=np.int64), np.fromiter(found.bad, np.int64))
    if found.bad:
        _close_gaps(job, good)
    files = tuple(readable_name(folder.files[row]) for row in good.tolist())
    names, labels = folder.class_names, folder.labels[good]
    digest = hashlib.sha256()
    for file, row, label in zip(files, good.tolist(), labels.tolist(), strict=True):
        content = found.digests[row].tobytes().hex()
        digest.update(f"{file}\0{names[label]}\0{content}\0".encode())
    return CacheEntry(
        images=np.lib.format.open_memmap(images_file, mode="r+"),
        labels=labels,
        class_names=names,
        parts={part: int(np.isin(good, rows).sum()) for part, rows in folder.parts.items()},
        files=files,
        set_aside=tuple(
            (readable_name(folder.files[row]), reason) for row, reason in sorted(found.bad.items())
        ),
        fingerprint=digest.hexdigest(),
        digests=found.digests[good],
    )


def _close_gaps(job: _Job, good: NDArray[np.int64]) -> None:
    """Move the good rows up to the front."""
    row_bytes = math.prod(job.framing.shape)
    with Path(job.images).open("r+b") as file:
        for target, row in enumerate(good.tolist()):
            if target != row:
                file.seek(job.first_byte + row * row_bytes)
                content = file.read(row_bytes)
                file.seek(job.first_byte + target * row_bytes)
                file.write(content)


# Decoding, here and in other processes


class _Found:
    """What has been decoded so far; 33 bytes a photo.

    Attributes:
        digests: (N, 32) uint8, sha256 of each file's content.
        bad: why a photo cannot be read, by row.
        count: rows that were answered for.
    """

    def __init__(self, count: int) -> None:
        self.bad: dict[int, str] = {}
        self.count = 0
        self.digests = np.zeros((count, 32), np.uint8)
        self._answered = bytearray(count)

    def hear(self, row: int, sha256: str, reason: str) -> None:
        """An outcome."""
        if reason:
            self.bad[row] = reason
        else:
            self.digests[row] = np.frombuffer(bytes.fromhex(sha256), np.uint8)
        self._answered[row] = 1
        self.count += 1

    def missing(self) -> Iterator[int]:
        """Rows that nobody has answered for."""
        return (row for row, answered in enumerate(self._answered) if not answered)


def _decode_all(job: _Job, files: Sequence[str], progress: Progress, workers: int) -> _Found:
    """Decode photos. What no process has answered for is decoded here, errors and all."""
    progress.start(_("decoding photos"), len(files))
    workers = min(workers, len(files) // _PHOTOS_PER_PROCESS)
    found = _Found(len(files))

    def hear(outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            found.hear(*outcome)
            progress.advance(found.count)

    if workers > 1 and sys.executable:
        facts = dataclasses.asdict(job)
        hear(share_out("olhar.datasets.decode:answer", facts, files, workers))
    hear(_decode_rows(job, ((row, files[row]) for row in found.missing())))
    return found


def _decode_rows(job: _Job, rows: Iterable[tuple[int, str]]) -> Iterator[Outcome]:
    """Decode photos into their rows of the file, one by one."""
    with Path(job.images).open("r+b", buffering=0) as file:
        for row, name in rows:
            path = os.path.join(job.root, name)  # noqa: PTH118  ten times as fast as a Path
            try:
                content = read_bytes(path, path)
                image = job.framing.read_pixels(content, name=path)  # (size, size, C) uint8
            except ImageError as error:
                yield row, "", str(error).replace(path, readable_name(name))
                continue
            _write_at(file, job.first_byte + row * image.nbytes, image.tobytes())
            yield row, hashlib.sha256(content).hexdigest(), ""


def _write_at(file: BinaryIO, position: int, content: bytes) -> None:
    file.seek(position)
    file.write(content)


def answer() -> None:
    """What a decoding process does: rows from standard input, outcomes to standard output."""
    answer_rows(
        lambda job, rows: _decode_rows(_Job(**{**job, "framing": Framing(**job["framing"])}), rows)
    )
