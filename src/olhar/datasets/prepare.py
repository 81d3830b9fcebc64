"""A data set's images at a network's input size, decoded or resized once."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.cache import CacheEntry, allocate_images, load_cached, save_cached
from olhar.datasets.dataset import Dataset
from olhar.datasets.decode import decode_folder
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.source import Source
from olhar.i18n import _
from olhar.preprocess import Preprocess
from olhar.progress import Progress

_IN_MEMORY_BYTES = 256 * 2**20
_EVERY = 1000


def prepare_dataset(
    source: Source,
    preprocess: Preprocess,
    progress: Progress,
    workers: int = 0,
    *,
    lazily: bool = False,
) -> Dataset:
    """The data set with images (N, size, size, C) uint8, as `preprocess` makes them.

    A folder of photos is decoded (see decode.decode_folder). Images are resized: small results in
    memory; larger ones once, in the cache, and memory-mapped.

    Args:
        source: as open_source gives it.
        preprocess: its size, channels and resize rule count; mean and std do not.
        progress: hears of the progress.
        workers: processes that decode photos; 0 means one a core.
        lazily: images that would not fit into memory are resized anew whenever rows of them are
            asked for, and nothing is written; for whoever reads each row only a few times.

    Raises:
        NoPermissionError, MissingFileError: a photo may not be read, or has gone.
        StorageError: the disk is full or failing.
    """
    if isinstance(source, PhotoFolder):
        return decode_folder(source, preprocess, progress, workers)
    return _resize_dataset(source, preprocess, progress, lazily=lazily)


class ResizedImages:
    """Images (N, size, size, C) uint8 that are resized when they are indexed, as an array is."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images: NDArray[np.uint8], preprocess: Preprocess) -> None:
        self._images, self._preprocess = images, preprocess
        self.shape = (len(images), preprocess.size, preprocess.size, preprocess.channels)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        chosen = self._images[rows]
        if chosen.ndim == 3:
            return self._preprocess.image(chosen).transpose(1, 2, 0)
        resized = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for row, image in enumerate(chosen):
            resized[row] = self._preprocess.image(image).transpose(1, 2, 0)
        return resized


def _resize_dataset(
    dataset: Dataset, preprocess: Preprocess, progress: Progress, *, lazily: bool
) -> Dataset:
    size, channels = preprocess.size, preprocess.channels
    if dataset.image_shape == (channels, size, size):
        return dataset
    shape = (len(dataset), size, size, channels)
    if math.prod(shape) <= _IN_MEMORY_BYTES:
        images = np.empty(shape, np.uint8)
        _resize_into(images, dataset, preprocess, progress)
        return dataclasses.replace(dataset, images=images)
    if lazily:
        resized = cast("NDArray[np.uint8]", ResizedImages(dataset.images, preprocess))
        return dataclasses.replace(dataset, images=resized)
    key = f"{dataset.fingerprint[:32]}-{size}x{channels}-{preprocess.resize}"

    def fill(folder: Path) -> CacheEntry:
        images = allocate_images(folder, shape)
        _resize_into(images, dataset, preprocess, progress)
        return CacheEntry(images=images, labels=dataset.labels, class_names=dataset.class_names)

    entry = load_cached(key) or save_cached(key, fill)
    return dataclasses.replace(dataset, images=entry.images)


def _resize_into(
    images: NDArray[np.uint8], dataset: Dataset, preprocess: Preprocess, progress: Progress
) -> None:
    progress.start(_("resizing images"), len(dataset))
    for index, image in enumerate(dataset.images):
        images[index] = preprocess.image(image).transpose(1, 2, 0)
        if index % _EVERY == 0:
            progress.advance(index)
    progress.advance(len(dataset))
