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
from olhar.preprocess import Framing
from olhar.progress import Progress

_IN_MEMORY_BYTES = 256 * 2**20
_EVERY = 1000


def prepare_dataset(
    source: Source,
    framing: Framing,
    progress: Progress,
    workers: int = 0,
    *,
    lazily: bool = False,
) -> Dataset:
    """The data set with images (N, size, size, C) uint8, as `framing` makes them.

    A folder of photos is decoded (see decode.decode_folder). Images are resized: small results in
    memory; larger ones once, in the cache, and memory-mapped.

    Args:
        source: as open_source gives it.
        framing: of the network that they are for.
        progress: hears of the progress.
        workers: processes that decode photos; 0 means one a core.
        lazily: images that would not fit into memory are resized anew whenever rows of them are
            asked for, and nothing is written; for whoever reads each row only a few times.

    Raises:
        NoPermissionError, MissingFileError: a photo may not be read, or has gone.
        StorageError: the disk is full or failing.
    """
    # No more than how images become squares: what is cached is the same for every network.
    framing = Framing(framing.size, framing.channels, resize=framing.resize)
    if isinstance(source, PhotoFolder):
        framed = decode_folder(source, framing, progress, workers)
    else:
        for note in source.notes:
            progress.note(note)
        framed = _resize_dataset(source, framing, progress, lazily=lazily)
    return dataclasses.replace(framed, side=min(source.image_shape[1:]))


def frame_lazily(source: Source, framing: Framing) -> NDArray[np.uint8]:
    """Images (N, size, size, C) uint8 that are read and framed when they are indexed, as an array is."""
    return cast("NDArray[np.uint8]", _LazyImages(source, framing))


class _LazyImages:
    dtype = np.dtype(np.uint8)

    def __init__(self, source: Source, framing: Framing) -> None:
        self._source, self._framing = source, framing
        self.shape = (len(source), *framing.shape)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        chosen = np.arange(len(self))[rows]
        framed = np.empty((*chosen.shape, *self.shape[1:]), np.uint8)
        for at, row in np.ndenumerate(chosen):
            framed[at] = self._frame(row)
        return framed

    def _frame(self, row: int) -> NDArray[np.uint8]:
        source = self._source
        if isinstance(source, PhotoFolder):
            return self._framing.read_pixels(source.path / source.files[row])
        return self._framing.frame(source.images[row])


def _resize_dataset(
    dataset: Dataset, framing: Framing, progress: Progress, *, lazily: bool
) -> Dataset:
    if dataset.images.shape[1:] == framing.shape:
        return dataset
    shape = (len(dataset), *framing.shape)
    if math.prod(shape) <= _IN_MEMORY_BYTES:
        images = np.empty(shape, np.uint8)
        _resize_into(images, dataset, framing, progress)
        return dataclasses.replace(dataset, images=images)
    if lazily:
        return dataclasses.replace(dataset, images=frame_lazily(dataset, framing))
    key = f"{dataset.fingerprint[:32]}-{framing.size}x{framing.channels}-{framing.resize}"

    def fill(folder: Path) -> CacheEntry:
        images = allocate_images(folder, shape)
        _resize_into(images, dataset, framing, progress)
        return CacheEntry(images=images, labels=dataset.labels, class_names=dataset.class_names)

    entry = load_cached(key) or save_cached(key, fill)
    return dataclasses.replace(dataset, images=entry.images)


def _resize_into(
    images: NDArray[np.uint8], dataset: Dataset, framing: Framing, progress: Progress
) -> None:
    progress.start(_("resizing images"), len(dataset))
    for index, image in enumerate(dataset.images):
        images[index] = framing.frame(image)
        if index % _EVERY == 0:
            progress.advance(index)
    progress.advance(len(dataset))
