"""Data sets by name: found under `OLHAR_DATA`, else downloaded; verified; decoded once.

Does not know: splits or training. What counts is the md5 of the content, as the makers published
it, never the name of a file or its place: MNIST and Fashion-MNIST have the same file names, and an
archive may have been packed anew.

A set is one description (see named_set.NamedSet) in a file of its own, and a line of `_SETS`.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

from olhar.datasets.cache import load_cached, save_cached
from olhar.datasets.dataset import Dataset
from olhar.datasets.named.cifar10 import CIFAR10
from olhar.datasets.named.cifar100 import CIFAR100
from olhar.datasets.named.digits import DIGITS
from olhar.datasets.named.idx_sets import FASHION_MNIST, MNIST
from olhar.datasets.named.named_set import NamedSet
from olhar.errors import unknown_name
from olhar.i18n import _
from olhar.progress import Progress

_SETS: tuple[NamedSet, ...] = (
    CIFAR10,
    CIFAR100,
    DIGITS,
    FASHION_MNIST,
    MNIST,
)
NAMED = tuple(one.name for one in _SETS)
# (C, H, W) of an image, and the number of classes; known without looking.
NAMED_SHAPES = {one.name: (one.shape, len(one.class_names)) for one in _SETS}
CLASS_NAMES = {one.name: one.class_names for one in _SETS}
TRANSLATED_NAMES = {one.name: one.translated_names for one in _SETS if one.translated_names}


def load_named(name: str, progress: Progress | None = None) -> Dataset:
    """Load a data set by its name: from the cache, else from `OLHAR_DATA`, else from its makers.

    Sources: CIFAR-10 and CIFAR-100, Krizhevsky 2009, "Learning Multiple Layers of Features from
    Tiny Images"; MNIST, LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition";
    Fashion-MNIST, Xiao et al. 2017, arXiv 1708.07747; digits, scikit-learn's copy of the UCI
    "Optical Recognition of Handwritten Digits" test set (1,797 images).

    Args:
        name: one of `NAMED`.
        progress: hears of a download, and of what is read for the first time.

    Returns:
        The data set. cifar10, cifar100: (60000, 32, 32, 3) uint8; mnist, fashion_mnist:
        (70000, 28, 28, 1) uint8, memory-mapped, train first, then test. digits:
        (1797, 8, 8, 1) uint8, its values 0..16 brought to 0..255; it has no parts.

    Raises:
        UnknownNameError: there is no such name.
        ChecksumError: the files found under `OLHAR_DATA` are damaged or not the published ones.
        MissingFileError: `OLHAR_DATA` names no folder.
        DownloadError: the files were not found and cannot be downloaded.
        StorageError, NoPermissionError: the cache cannot be written, or a file not be read.
    """
    wanted = _find(name)
    fill = partial(wanted.fill, progress=progress or Progress())
    entry = load_cached(name) or save_cached(name, fill)
    return dataclasses.replace(
        entry.as_dataset(name),
        class_names=wanted.class_names,
        translated_names=wanted.translated_names,
    )


def named_files(name: str, progress: Progress | None = None, *, download: bool) -> tuple[Path, ...]:
    """The published files of a data set on this computer, each checked by the md5 of its content.

    Args:
        name: one of `NAMED`.
        progress: hears of the files.
        download: fetch from the makers what is not here.

    Returns:
        An archive or six batches for cifar10, an archive or two files for cifar100, four files for
        mnist and fashion_mnist, none for digits, which is part of olhar.

    Raises:
        UnknownNameError: there is no such name.
        MissingFileError: a file is not here, and `download` is false.
        ChecksumError: what is here is damaged or not the published file.
        DownloadError: a file cannot be fetched.
    """
    return _find(name).files(progress or Progress(), download=download)


def _find(name: str) -> NamedSet:
    for one in _SETS:
        if one.name == name:
            return one
    raise unknown_name(_("data set"), name, NAMED)
