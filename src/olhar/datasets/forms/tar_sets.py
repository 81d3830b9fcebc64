"""Shards as a data set: tar files with a label beside each photo (see tar_shards).

    shard-000000.tar  shard-000001.tar …                    one pool
    train-000000.tar …  val-000000.tar …                    by split; also train/000000.tar, …

The photos are written into the cache as files, once.

Does not know: how a tar is read, or addresses.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from olhar.datasets.cache import unpacked_folder
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms.archives import ARCHIVES, check_size, free_bytes
from olhar.datasets.forms.shards import Shard
from olhar.datasets.forms.written_photos import PhotoWriter, read_written
from olhar.datasets.layout import PART_NAMES, is_hidden, is_photo
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import _
from olhar.progress import Progress
from olhar.tar_shards import read_shard

_TARS = tuple(end for end in ARCHIVES if end != ".zip")
_LOOKED_AT = 100  # photos of a tar, until one has a label beside it


def is_tar_set(path: Path) -> bool:
    """Whether a file is a tar whose photos have labels beside them. A damaged one may be none."""
    if not path.name.lower().endswith(_TARS):
        return False
    try:
        with explain_os_errors(path), path.open("rb") as file:
            return any(one.label for one in islice(read_shard(file, path.name), _LOOKED_AT))
    except DataError:
        return False


def find_tar_set(name: str, root: Path) -> list[Shard]:
    """The shards of a folder, or of its folders of splits; [] where it has none, or photos beside them."""
    with explain_os_errors(name):
        there = sorted(path for path in root.iterdir() if not is_hidden(path.name))
        if any(is_photo(path.name) for path in there):
            return []
        found = [(_split_of(path.name), path) for path in there if _is_tar(path)]
        for folder in there:
            if folder.name.lower() in PART_NAMES and folder.is_dir():
                inner = sorted(folder.iterdir())
                found += [(folder.name.lower(), path) for path in inner if _is_tar(path)]
    return found if found and is_tar_set(found[0][1]) else []


def _is_tar(path: Path) -> bool:
    is_named = path.name.lower().endswith(_TARS) and not is_hidden(path.name)
    return is_named and path.is_file()


def _split_of(name: str) -> str:
    """`imagenet-train-000123.tar` → train; "" where no word of the name is a split's, or several are."""
    words = set(re.split(r"[-_.]", name.lower())) & PART_NAMES.keys()
    return words.pop() if len(words) == 1 else ""


def open_tar_set(
    name: str, shards: Sequence[Shard], origin: Path, progress: Progress
) -> PhotoFolder:
    """The photos of shards.

    Args:
        name: what to call the data.
        shards: each with the split that all its photos are in, "" where there is none.
        origin: what PhotoFolder.origin is to be.
        progress: hears that it is read.

    Raises:
        DataError: a shard is damaged or cut off, or no photo has a label.
        StorageError: the disk has no place for the photos.
    """
    used = [shard for shard in shards if shard[0]] or shards
    with explain_os_errors(name):
        facts = [(path, path.stat()) for _split, path in used]
    stamps = [(str(path), stat.st_size, change_mark(stat)) for path, stat in facts]
    folder = unpacked_folder(origin, stamps, lambda aside: _write(name, used, aside), progress)
    photos = read_written(name, folder, origin)
    if len(used) == len(shards):
        return photos
    others = ", ".join(path.name for split, path in shards if not split)
    note = _("of no split by their names, and not used: {names}", names=others)
    return dataclasses.replace(photos, notes=(*photos.notes, note))


def _write(name: str, shards: Sequence[Shard], folder: Path) -> None:
    writer = PhotoWriter(folder)
    for split, path in shards:
        free, total, size_bytes = free_bytes(folder), 0, path.stat().st_size
        shown = name if Path(name).name == path.name else f"{name.rstrip('/')}: {path.name}"
        with explain_os_errors(shown), path.open("rb") as file:
            for sample in read_shard(file, shown):
                total += len(sample.image)
                check_size(shown, total, size_bytes, free)
                if sample.label is None:
                    writer.pass_over(split or path.name)
                else:
                    writer.add(sample.image, sample.image_name, sample.label, split)
    writer.finish(name)
