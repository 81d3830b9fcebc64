"""What a recipe leaves to the data and to the machine's memory, decided; it is recorded with the run.

Does not know: how it is carried out.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from olhar.datasets import Dataset
from olhar.i18n import _, number
from olhar.memory import memory_bytes
from olhar.progress import Progress
from olhar.training.recipe import Recipe

_UNEQUAL, _VERY_UNEQUAL = 1.5, 10.0  # largest class over smallest
_SMALLEST_WINDOW_MIB = 16


def balanced_recipe(recipe: Recipe, labels: NDArray[np.int64], progress: Progress) -> Recipe:
    """A recipe with `balance` decided, by how unequal the classes of the training images are."""
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    ratio = float(counts.max() / counts.min())
    if recipe.balance != "auto":
        return recipe
    if ratio < _UNEQUAL:
        return dataclasses.replace(recipe, balance="none")
    balance = "weights" if ratio < _VERY_UNEQUAL else "sampling"
    what = _("class weights in the loss") if balance == "weights" else _("balanced sampling")
    progress.note(
        _(
            "the largest class has {ratio} times the images of the smallest; using {what} "
            "(--set balance=none leaves the classes as they are)",
            ratio=number(ratio, 1),
            what=what,
        )
    )
    return dataclasses.replace(recipe, balance=balance)


def windowed_recipe(
    recipe: Recipe, dataset: Dataset, progress: Progress, memory: int | None = None
) -> Recipe:
    """A recipe that shuffles in windows where the images do not fit into memory, unless it says how.

    Args:
        recipe: as asked for.
        dataset: decoded.
        progress: hears of it.
        memory: bytes that this process may use; None asks the system.
    """
    memory = memory or memory_bytes()
    size = math.prod(dataset.images.shape)  # in bytes
    if recipe.shuffle_mib is not None or not memory or size <= memory / 2:
        return recipe
    window = max(_SMALLEST_WINDOW_MIB, memory // 8 // 2**20)
    progress.note(
        _(
            "the decoded images take {size} MiB, and this process may use {memory} MiB of memory: they "
            "are read from the disk in blocks, and {window} MiB at a time are shuffled together (--set "
            "shuffle_mib=0 shuffles all at once)",
            size=number(size / 2**20),
            memory=number(memory / 2**20),
            window=number(window),
        )
    )
    return dataclasses.replace(recipe, shuffle_mib=window)
