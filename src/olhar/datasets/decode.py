"""A folder of photos → a decoded data set: each photo once, on all cores, into the cache.

Does not know: splits, or what a class name means. Photos are decoded by processes, not threads:
for small photos most of the time is Python's own, and threads would wait for each other (measured
on 64-pixel JPEGs, two cores: threads 0.9 of one core's speed, processes 1.6). The processes are
this program's own rather than multiprocessing's, which would run a user's script anew unless it
says `if __name__ == "__main__"`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

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
from olhar.files import sha256_file
from olhar.i18n import _, language
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
    labels, stamps = folder.labels.tolist(), folder.stamps.tolist()
    content = _digest([_DECODING, folder.class_names, folder.files, labels, stamps])
    key = f"photos-{place[:16]}-{content[:32]}"
    entry = load_cached(key)
    if entry is None:
        entry = save_cached(key, partial(_fill, folder, framing, progress, workers))
        remove_others(key, f"photos-{place[:16]}-")
    _note_set_aside(entry, len(folder), progress)
    return Dataset(
        name=folder.name,
        images=entry.images,
        labels=entry.labels,
        class_names=entry.class_names,
        parts=entry.part_indices(),
        fingerprint=entry.fingerprint,
        files=entry.files,
        set_aside=entry.set_aside,
    )


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
    outcomes = _decode_all(job, folder.files, progress, workers or count_cores())
    bad = {row: reason for row, (_sha256, reason) in outcomes.items() if reason}
    good = np.array([row for row in range(count) if row not in bad], np.int64)
    if bad:
        _close_gaps(job, good)
    files = [readable_name(file) for file in folder.files]
    names, labels = folder.class_names, folder.labels[good]
    digest = hashlib.sha256()
    for row, label in zip(good.tolist(), labels.tolist(), strict=True):
        digest.update(f"{files[row]}\0{names[label]}\0{outcomes[row][0]}\0".encode())
    return CacheEntry(
        images=np.lib.format.open_memmap(images_file, mode="r+"),
        labels=labels,
        class_names=names,
        parts={part: int(np.isin(good, rows).sum()) for part, rows in folder.parts.items()},
        files=tuple(files[row] for row in good),
        set_aside=tuple((files[row], reason) for row, reason in sorted(bad.items())),
        fingerprint=digest.hexdigest(),
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


def _decode_all(
    job: _Job, files: Sequence[str], progress: Progress, workers: int
) -> dict[int, tuple[str, str]]:
    """(sha256, reason) by row. What no process has answered for is decoded here, errors and all."""
    progress.start(_("decoding photos"), len(files))
    rows = list(enumerate(files))
    workers = min(workers, len(rows) // _PHOTOS_PER_PROCESS)
    outcomes: dict[int, tuple[str, str]] = {}

    def hear(found: Iterable[Outcome]) -> None:
        for row, sha256, reason in found:
            outcomes[row] = sha256, reason
            progress.advance(len(outcomes))

    if workers > 1 and sys.executable:
        hear(_decode_in_processes(job, rows, workers))
    hear(_decode_rows(job, (item for item in rows if item[0] not in outcomes)))
    return outcomes


def _decode_rows(job: _Job, rows: Iterable[tuple[int, str]]) -> Iterator[Outcome]:
    """Decode photos into their rows of the file, one by one."""
    with Path(job.images).open("r+b", buffering=0) as file:
        for row, name in rows:
            path = Path(job.root, name)
            try:
                image = job.framing.read_pixels(path)  # (size, size, C) uint8
            except ImageError as error:
                yield row, "", str(error).replace(str(path), readable_name(name))
                continue
            _write_at(file, job.first_byte + row * image.nbytes, image.tobytes())
            yield row, sha256_file(path), ""


def _write_at(file: BinaryIO, position: int, content: bytes) -> None:
    file.seek(position)
    file.write(content)


def _decode_in_processes(
    job: _Job, rows: Sequence[tuple[int, str]], workers: int
) -> Iterator[Outcome]:
    """Decode on many cores; every process takes each `workers`-th photo."""
    with ExitStack() as stack:
        shares = [rows[start::workers] for start in range(workers)]
        started = [stack.enter_context(_process(job, share)) for share in shares]
        streams = [process.stdout for process in started if process.stdout]
        for lines in itertools.zip_longest(*streams):  # in step, so that no pipe fills up
            for line in lines:
                if line and line.startswith("[") and line.endswith("]\n"):  # else cut off
                    row, sha256, reason = json.loads(line)
                    yield row, sha256, reason


@contextmanager
def _process(job: _Job, share: Sequence[tuple[int, str]]) -> Iterator[subprocess.Popen[str]]:
    """A process that decodes some rows and prints an outcome a line; killed when the block ends."""
    package = str(Path(__file__).parents[2])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from olhar.datasets.decode import answer; answer()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="ascii",
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OLHAR_LANG": language(),
        },
    )
    try:
        if process.stdin:
            # Where it has ended already, what it leaves undone is done here.
            with suppress(OSError), process.stdin:
                process.stdin.write(json.dumps([dataclasses.asdict(job), share]))
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def answer() -> None:
    """What a decoding process does: rows from standard input, outcomes to standard output."""
    job, share = json.load(sys.stdin)
    job["framing"] = Framing(**job["framing"])
    for outcome in _decode_rows(_Job(**job), share):
        print(json.dumps(outcome), flush=True)
