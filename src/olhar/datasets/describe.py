"""What is in a data set, for `olhar data NAME|FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.data_settings import DataSettings
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.groups import find_groups
from olhar.datasets.prepare import prepare_dataset
from olhar.datasets.source import Source
from olhar.datasets.splits import split_dataset
from olhar.errors import DataError
from olhar.preprocess import Framing
from olhar.progress import Progress

_LOOK_SIZE = 32  # photos are decoded to find the bad ones; many networks take this size


def describe_dataset(source: Source, progress: Progress) -> dict[str, Any]:
    """What `olhar data NAME --json` prints: counts by class and part, default split sizes, and so on.

    A folder of photos is decoded to find those that cannot be read.

    Returns:
        name, images, image_shape [C, H, W] (for photos the typical one), classes, parts (images by
        part), splits, fingerprint, set_aside, skipped (files that are no photos, by suffix).

    Raises:
        DataError: no classifier can be trained with it.
    """
    if isinstance(source, PhotoFolder):
        dataset = _decoded(source, progress)
        skipped = dict(source.skipped)
    else:
        dataset, skipped = source, {}
    groups = find_groups(source, DataSettings(source.name), progress, dataset=dataset).of(
        source, dataset
    )
    splits = split_dataset(dataset, groups=groups.ids).sizes()
    names, mark = dataset.shown_names, dataset.fingerprint
    return _facts(dataset, source.image_shape, names, splits, mark, skipped)


def describe_photos(
    folder: PhotoFolder, fingerprint: str, groups: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """The same of a folder whose bad photos are known and left out already.

    Args:
        folder: the good photos; the bad ones in its `set_aside`.
        fingerprint: of the good photos.
        groups: (N,) int64, equal where photos stay together.

    Returns:
        As describe_dataset; splits is None where the folder cannot be divided.
    """
    try:
        splits = split_dataset(folder, groups=groups).sizes()
    except DataError:
        splits = None
    shape, names = folder.image_shape, folder.class_names
    return _facts(folder, shape, names, splits, fingerprint, dict(folder.skipped))


def _facts(
    dataset: Source,
    image_shape: tuple[int, int, int],
    shown_names: Sequence[str],
    splits: dict[str, int] | None,
    fingerprint: str,
    skipped: dict[str, int],
) -> dict[str, Any]:
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes).tolist()
    parts = {
        part: np.bincount(dataset.labels[rows], minlength=dataset.num_classes).tolist()
        for part, rows in dataset.parts.items()
    }
    names = zip(dataset.class_names, shown_names, strict=True)
    return {
        "name": dataset.name,
        "images": len(dataset),
        "image_shape": list(image_shape),
        "classes": [
            {
                "index": index,
                "name": name,
                "shown": shown,
                "images": counts[index],
                "parts": {part: by_class[index] for part, by_class in parts.items()},
            }
            for index, (name, shown) in enumerate(names)
        ],
        "parts": {part: sum(by_class) for part, by_class in parts.items()},
        "splits": splits,
        "fingerprint": fingerprint,
        "set_aside": [{"file": file, "reason": reason} for file, reason in dataset.set_aside],
        "skipped": skipped,
    }


def _decoded(folder: PhotoFolder, progress: Progress) -> Dataset:
    split_dataset(folder)  # refuses before anything is decoded
    return prepare_dataset(folder, Framing(_LOOK_SIZE, folder.image_shape[0]), progress)
