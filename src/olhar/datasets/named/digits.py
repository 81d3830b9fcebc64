"""Digits: 1,797 handwritten digits of 8×8 pixels, part of scikit-learn, so that no file is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from olhar.datasets.cache import CacheEntry, allocate_images
from olhar.datasets.named.named_set import NamedSet
from olhar.progress import Progress


class _Digits(NamedSet):
    def files(self, progress: Progress, *, download: bool) -> tuple[Path, ...]:
        """None."""
        del progress, download
        return ()

    def fill(self, folder: Path, progress: Progress) -> CacheEntry:
        """Its values 0..16 are brought to 0..255."""
        from sklearn.datasets import load_digits

        del progress
        bunch = load_digits()
        images = allocate_images(folder, (*bunch.images.shape, 1))  # (1797, 8, 8, 1)
        images[...] = np.round(bunch.images * (255 / 16))[..., None]
        return CacheEntry(images, bunch.target.astype(np.int64), self.class_names)


DIGITS = _Digits(name="digits", shape=(1, 8, 8), class_names=tuple("0123456789"))
