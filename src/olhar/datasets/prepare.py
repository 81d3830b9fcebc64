"""A data set's images at a network's input size, decoded or resized once."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

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
    source: Source, preprocess: Preprocess, progress: Progress, workers: int = 0
) -> Dataset:
    """The data set with images (N, size, size, C) uint8, as `preprocess` makes them.

    A folder of photos is decoded (see decode.decode_folder). Images are resized: small results in
    memory; larger ones once, in the cache, and memory-mapped.

    Args:
        source: as open_source gives it.
        preprocess: its size, channels and resize rule count; mean and std do not.
        progress: hears of the progress.
        workers: processes that decode photos; 0 means one a core.

    Raises:
        NoPermissionError, MissingFileError: a photo may not be read, or has gone.
        StorageError: the disk is full or failing.
    """
    if isinstance(source, PhotoFolder):
        return decode_folder(source, preprocess, progress, workers)
    return _resize_dataset(source, preprocess, progress)


def _resize_dataset(dataset: Dataset, preprocess: Preprocess, progress: Progress) -> Dataset:
    size, channels = preprocess.size, preprocess.channels
    if dataset.image_shape == (channels, size, size):
        return dataset
    shape = (len(dataset), size, size, channels)
    if math.prod(shape) <= _IN_MEMORY_BYTES:
        images = np.empty(shape, np.uint8)
        _resize_into(images, dataset, preprocess, progress)
        return dataclasses.replace(dataset, images=images)
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
