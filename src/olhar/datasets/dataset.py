"""A data set: images, labels, class names, and the parts that its makers gave it.

Does not know: where the images came from, how they are split for training, or any network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from olhar import i18n

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Dataset:
    """Labelled images in one pool.

    Attributes:
        name: the name or folder it was asked for by.
        images: (N, H, W, C) uint8, usually memory-mapped; C is 1 or 3.
        labels: (N,) int64, indices into `class_names`.
        class_names: in index order, English.
        translated_names: class names by language tag (`pt_BR`), in index order, where there are any.
        parts: index arrays into the pool, by "train", "val", "test", where the makers of the set
            divided it; empty where they did not.
        fingerprint: hex sha256 over the images (or the content of the files), labels and class
            names.
        files: the relative path of each item, or () where items are not files.
        set_aside: (relative path, reason) of each file that cannot be read.
        notes: what the user should know of how it was read.
        side: the shorter side of its images in pixels before they were framed, the typical one; 0 where
            they are not framed.
        digests: (N, 32) uint8, sha256 of the content of each file; None where items are not files.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    fingerprint: str
    parts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    translated_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    notes: tuple[i18n.Text, ...] = ()
    side: int = 0
    digests: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image, as stored."""
        height, width, channels = self.images.shape[1:]
        return channels, height, width

    @property
    def shown_names(self) -> tuple[str, ...]:
        """Class names in the language in force, for people."""
        return self.translated_names.get(i18n.language(), self.class_names)

    def item_name(self, index: int) -> str:
        """How an item is called in files: its path, or its position in its maker's part."""
        if self.files:
            return self.files[index]
        for members in self.parts.values():
            if len(members) and members[0] <= index <= members[-1]:
                return str(index - int(members[0]))
        return str(index)

    def _repr_html_(self) -> str:
        from olhar.datasets.thumbnails import dataset_html

        return dataset_html(self.name, self.shown_names, self.labels, self.images)
