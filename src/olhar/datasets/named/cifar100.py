"""CIFAR-100, in its "binary version": no pickle, a record of fixed length for each image.

    train.bin, test.bin   per image: coarse label (1 byte), fine label (1 byte), 3,072 bytes of
                          pixels: 1,024 red, 1,024 green, 1,024 blue, each row by row

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images". The classes are
the 100 fine ones. What the makers published is the md5 of the archive; files that were unpacked or
packed anew are known by their size, and by as many images of each class as the set has.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.named.named_set import PublishedSet
from olhar.datasets.named.published import PublishedArchive
from olhar.errors import ChecksumError
from olhar.i18n import _

# CIFAR-10's binary version has a test_batch.bin, so these names belong to CIFAR-100 alone.
_PER_CLASS = {"train.bin": 500, "test.bin": 100}  # in pool order
_CLASSES = 100
_RECORD_BYTES = 2 + 3 * 32 * 32


def _records(content: bytes) -> NDArray[np.uint8]:
    """(n, 3074) uint8; none where it is no whole number of records."""
    if len(content) % _RECORD_BYTES:
        return np.zeros((0, _RECORD_BYTES), np.uint8)
    return np.frombuffer(content, np.uint8).reshape(-1, _RECORD_BYTES)


def _check(place: Path, name: str, content: bytes) -> None:
    each = _PER_CLASS[name]
    counts = np.bincount(_records(content)[:, 1], minlength=_CLASSES)
    if len(counts) == _CLASSES and np.all(counts == each):
        return
    raise ChecksumError(
        _(
            "'{path}' is not the {name} of CIFAR-100 in its binary version ({count} images of each of "
            "100 classes, {size} bytes); delete it, then download it again or let olhar do so",
            path=place,
            name=name,
            count=each,
            size=_RECORD_BYTES * each * _CLASSES,
        )
    )


class _Cifar100(PublishedSet):
    def write(
        self, name: str, content: bytes, images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        """See PublishedSet."""
        records = _records(content)
        start = 0 if name == "train.bin" else self.parts["train"]
        rows = slice(start, start + len(records))
        labels[rows] = records[:, 1]
        images[rows] = records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


_NAMES = (
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

CIFAR100 = _Cifar100(
    name="cifar100",
    shape=(3, 32, 32),
    class_names=_NAMES,
    parts={"train": 50_000, "test": 10_000},
    published=(
        PublishedArchive(
            url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            md5="03b5dce01913d631647c71ecec9e9cb8",
            holds=tuple(_PER_CLASS),
            pattern=re.compile(
                r"cifar[-_]?100[-_]binary.*\.(tar(\.(gz|xz|bz2))?|tgz|txz)", re.IGNORECASE
            ),
            most_bytes=1 + _RECORD_BYTES * _CLASSES * max(_PER_CLASS.values()),
            check=_check,
            folder_word="cifar",
        ),
    ),
)
