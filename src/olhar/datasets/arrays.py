"""Any data set as arrays of one size, to be kept or sent."""

from __future__ import annotations

import dataclasses

from olhar.datasets.cache import fingerprint
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.prepare import prepare_dataset
from olhar.preprocess import Framing
from olhar.progress import Progress

PHOTO_SIZE = 224


def as_arrays(source: Dataset | PhotoFolder, size: int | None, progress: Progress) -> Dataset:
    """The data set with images of one size: a set of arrays as it is, photos cut out of their centre.

    Args:
        source: as open_source gives it.
        size: side in pixels; None keeps arrays as they are, and brings photos to 224.
        progress: hears of the photos that are decoded.
    """
    if isinstance(source, Dataset) and size is None:
        return source
    made = prepare_dataset(source, Framing(size or PHOTO_SIZE, source.image_shape[0]), progress)
    mark = fingerprint(made.images, made.labels, made.class_names)
    return dataclasses.replace(made, fingerprint=mark)  # other pixels are other data
