"""Digits: 1,797 handwritten digits of 8×8 pixels, which olhar brings along.

Source: E. Alpaydin and C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (CC BY 4.0), of which this is the test set, as scikit-learn has it too.

    digits.npz    images (1797, 8, 8) uint8, 0 to 16; labels (1797,) uint8
"""

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
        del progress
        with np.load(Path(__file__).with_name("digits.npz")) as content:
            inks, labels = content["images"], content["labels"]
        images = allocate_images(folder, (*inks.shape, 1))  # (1797, 8, 8, 1)
        images[...] = np.round(inks * (255 / 16))[..., None]
        return CacheEntry(images, labels.astype(np.int64), self.class_names)


DIGITS = _Digits(name="digits", shape=(1, 8, 8), class_names=tuple("0123456789"))
