"""CIFAR-100, in its "binary version": no pickle, a record of fixed length for each image.

    train.bin, test.bin   per image: coarse label (1 byte), fine label (1 byte), 3,072 bytes of
                          pixels: 1,024 red, 1,024 green, 1,024 blue, each row by row

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images". The classes are
the 100 fine ones. What the makers published is the md5 of the archive; files that were unpacked or
packed anew are known by their size, and by as many images of each class as the set has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.cache import CacheEntry, allocate_images
from olhar.datasets.fetch import fetch
from olhar.datasets.places import (
    archived_files,
    data_files,
    download_folder,
    explain_damage,
    waiting,
)
from olhar.errors import ChecksumError
from olhar.i18n import _

ARCHIVE = "cifar-100-binary.tar.gz"
_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
_MD5 = "03b5dce01913d631647c71ecec9e9cb8"
_ARCHIVES = re.compile(r"cifar[-_]?100[-_]binary.*\.(tar(\.(gz|xz|bz2))?|tgz|txz)", re.IGNORECASE)
# CIFAR-10's binary version has a test_batch.bin, so these names belong to CIFAR-100 alone.
_PER_CLASS = {"train.bin": 500, "test.bin": 100}  # in pool order
_RECORD_BYTES = 2 + 3 * 32 * 32

CLASS_NAMES = (
    *("apple", "aquarium_fish", "baby", "bear", "beaver"),
    *("bed", "bee", "beetle", "bicycle", "bottle"),
    *("bowl", "boy", "bridge", "bus", "butterfly"),
    *("camel", "can", "castle", "caterpillar", "cattle"),
    *("chair", "chimpanzee", "clock", "cloud", "cockroach"),
    *("couch", "crab", "crocodile", "cup", "dinosaur"),
    *("dolphin", "elephant", "flatfish", "forest", "fox"),
    *("girl", "hamster", "house", "kangaroo", "keyboard"),
    *("lamp", "lawn_mower", "leopard", "lion", "lizard"),
    *("lobster", "man", "maple_tree", "motorcycle", "mountain"),
    *("mouse", "mushroom", "oak_tree", "orange", "orchid"),
    *("otter", "palm_tree", "pear", "pickup_truck", "pine_tree"),
    *("plain", "plate", "poppy", "porcupine", "possum"),
    *("rabbit", "raccoon", "ray", "road", "rocket"),
    *("rose", "sea", "seal", "shark", "shrew"),
    *("skunk", "skyscraper", "snail", "snake", "spider"),
    *("squirrel", "streetcar", "sunflower", "sweet_pepper", "table"),
    *("tank", "telephone", "television", "tiger", "tractor"),
    *("train", "trout", "tulip", "turtle", "wardrobe"),
    *("whale", "willow_tree", "wolf", "woman", "worm"),
)


def fill(folder: Path) -> CacheEntry:
    """Decode the set into a folder of the cache (see cache.save_cached).

    Raises:
        ChecksumError: what was found under `OLHAR_DATA` is damaged, or is not CIFAR-100.
        DownloadError: nothing was found, and it cannot be downloaded.
    """
    sources = find_files() or (fetch_archive(),)
    counts = {name: each * len(CLASS_NAMES) for name, each in _PER_CLASS.items()}
    images = allocate_images(folder, (sum(counts.values()), 32, 32, 3))  # (60000, 32, 32, 3) uint8
    labels = np.zeros(len(images), np.int64)  # (60000,) int64
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    for source in sources:
        with waiting(_("reading {file}, this once", file=source.name)):
            for name, content in _contents(source):
                records = _check(source, name, content)  # (n, 3074) uint8
                rows = slice(starts[name], starts[name] + len(records))
                labels[rows] = records[:, 1]
                images[rows] = records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    parts = {"train": counts["train.bin"], "test": counts["test.bin"]}
    return CacheEntry(images, labels, CLASS_NAMES, parts)


def find_files() -> tuple[Path, ...]:
    """Both files in one folder, or an archive, under `OLHAR_DATA` or downloaded; checked.

    Returns:
        () where there are none.

    Raises:
        ChecksumError: there are some, and all are damaged or not CIFAR-100.
    """
    rejected: ChecksumError | None = None
    for source in _sources():
        try:
            missing = set(_PER_CLASS)
            for file in source:
                missing -= {
                    name for name, content in _contents(file) if _is_whole(file, name, content)
                }
            if missing:
                raise _incomplete(source[0], missing)
        except ChecksumError as error:
            rejected = rejected or error
            continue
        return source
    if rejected:
        raise rejected
    return ()


def _is_whole(source: Path, name: str, content: bytes) -> bool:
    return len(_check(source, name, content)) > 0


def fetch_archive() -> Path:
    """The makers' archive, downloaded; its md5 is checked."""
    return fetch(_URL, download_folder("cifar100") / ARCHIVE, _MD5)


def _sources() -> Iterator[tuple[Path, ...]]:
    """Folders that hold both files or one of them, then archives, which take longer to read."""
    files = data_files()
    folders: Mapping[Path, list[Path]] = {}
    for file in files:
        if file.name in _PER_CLASS and "cifar" in str(file.parent).lower():
            folders = {**folders, file.parent: [*folders.get(file.parent, []), file]}
    yield from map(tuple, folders.values())
    yield from ((file,) for file in files if _ARCHIVES.fullmatch(file.name))
    fetched = download_folder("cifar100") / ARCHIVE
    if fetched.is_file():
        yield (fetched,)


def _contents(source: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each of the files in `source`: itself, or those of an archive."""
    most = 1 + _RECORD_BYTES * len(CLASS_NAMES) * max(_PER_CLASS.values())
    with explain_damage(source):
        if source.name in _PER_CLASS:
            with source.open("rb") as file:
                yield source.name, file.read(most)
            return
        yield from archived_files(source, _PER_CLASS, most)


def _check(source: Path, name: str, content: bytes) -> NDArray[np.uint8]:
    """The records of a file, (n, 3074) uint8.

    Raises:
        ChecksumError: they are not those of CIFAR-100.
    """
    each = _PER_CLASS[name]
    if len(content) == _RECORD_BYTES * each * len(CLASS_NAMES):
        records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD_BYTES)
        counts = np.bincount(records[:, 1], minlength=len(CLASS_NAMES))
        if len(counts) == len(CLASS_NAMES) and np.all(counts == each):
            return records
    raise ChecksumError(
        _(
            "'{path}' is not the {name} of CIFAR-100 in its binary version ({count} images of each of "
            "100 classes, {size} bytes); delete it, then download it again or let olhar do so",
            path=source,
            name=name,
            count=each,
            size=_RECORD_BYTES * each * len(CLASS_NAMES),
        )
    )


def _incomplete(source: Path, missing: set[str]) -> ChecksumError:
    return ChecksumError(
        _(
            "'{path}' is incomplete: {missing} is missing; delete it, then download it again or "
            "let olhar do so",
            path=source,
            missing=", ".join(sorted(missing)),
        )
    )
