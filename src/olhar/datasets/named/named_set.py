"""What a named data set is: facts that are known without looking, its files, and how it is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.cache import CacheEntry, allocate_images
from olhar.datasets.named.published import Published
from olhar.datasets.places import data_files
from olhar.progress import Progress


@dataclass(frozen=True, kw_only=True)
class NamedSet(ABC):
    """A data set that has a name.

    Attributes:
        name: the name.
        shape: (C, H, W) of an image.
        class_names: in index order.
        translated_names: those of other languages, such as pt_BR, where they are words.
    """

    name: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    translated_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @abstractmethod
    def files(self, progress: Progress, *, download: bool) -> tuple[Path, ...]:
        """Its files on this computer, checked; see `named.named_files`."""

    @abstractmethod
    def fill(self, folder: Path, progress: Progress) -> CacheEntry:
        """Decode it into a folder of the cache (see `cache.save_cached`); download what is not here."""


@dataclass(frozen=True, kw_only=True)
class PublishedSet(NamedSet):
    """A set in files that its makers publish.

    Attributes:
        parts: how many images each part has, in pool order.
        published: the files.
    """

    parts: Mapping[str, int]
    published: tuple[Published, ...]

    @abstractmethod
    def write(
        self, name: str, content: bytes, images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        """Decode one of the contents, checked before, into its rows.

        Args:
            name: of the content (see `Published.holds`).
            content: its bytes.
            images: (N, H, W, C), the whole pool.
            labels: (N,).
        """

    def files(self, progress: Progress, *, download: bool) -> tuple[Path, ...]:
        """See NamedSet."""
        here = data_files()
        found = [
            one.find(self.name, here, _ignore, progress, download=download)
            for one in self.published
        ]
        return tuple(path for paths in found for path in paths)

    def fill(self, folder: Path, progress: Progress) -> CacheEntry:
        """See NamedSet."""
        channels, height, width = self.shape
        images = allocate_images(folder, (sum(self.parts.values()), height, width, channels))
        labels = np.zeros(len(images), np.int64)  # (N,) int64
        write = partial(self.write, images=images, labels=labels)
        here = data_files()
        for one in self.published:
            one.find(self.name, here, write, progress, download=True)
        return CacheEntry(images, labels, self.class_names, self.parts)


def _ignore(_name: str, _content: bytes) -> None:
    """Of a file that is only checked."""
