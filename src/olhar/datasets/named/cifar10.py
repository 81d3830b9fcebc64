"""CIFAR-10, in its "python version": six batches of 10,000 images, pickled, whose md5s are known.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.fetch import md5_bytes, wrong_md5
from olhar.datasets.named.named_set import PublishedSet
from olhar.datasets.named.published import PublishedArchive

_BATCH_MD5 = {  # in pool order
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_BATCH_LEN = 10_000


def _check_batch(place: Path, name: str, content: bytes) -> None:
    found = md5_bytes(content)
    if found != _BATCH_MD5[name]:
        raise wrong_md5(place / name, found, _BATCH_MD5[name])


class _BatchUnpickler(pickle.Unpickler):
    """Reads what a CIFAR-10 batch is made of, a dict with lists and one array, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Three names are allowed, and none of them runs anything."""
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in a CIFAR-10 batch")
        return allowed[module, name]


def _decode_batch(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (10000, 32, 32, 3) uint8 and labels (10000,) int64 of a batch with the right md5."""
    batch = _BatchUnpickler(io.BytesIO(content), encoding="latin1").load()
    planes: NDArray[np.uint8] = batch["data"].reshape(-1, 3, 32, 32)
    return planes.transpose(0, 2, 3, 1), np.array(batch["labels"], np.int64)


class _Cifar10(PublishedSet):
    def write(
        self, name: str, content: bytes, images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        """See PublishedSet."""
        start = list(_BATCH_MD5).index(name) * _BATCH_LEN
        rows = slice(start, start + _BATCH_LEN)
        images[rows], labels[rows] = _decode_batch(content)


CIFAR10 = _Cifar10(
    name="cifar10",
    shape=(3, 32, 32),
    class_names=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    translated_names={
        "pt_BR": (
            *("avião", "automóvel", "pássaro", "gato", "cervo"),
            *("cachorro", "sapo", "cavalo", "navio", "caminhão"),
        )
    },
    parts={"train": 5 * _BATCH_LEN, "test": _BATCH_LEN},
    published=(
        PublishedArchive(
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            md5="c58f30108f718f92721af3b95e74349a",
            holds=tuple(_BATCH_MD5),
            # The "python version" only: fastai's cifar10.tgz holds PNGs, others are for MATLAB or C.
            pattern=re.compile(
                r"cifar[-_]?10(?!\d).*\.(tar(\.(gz|xz|bz2))?|tgz|txz)", re.IGNORECASE
            ),
            most_bytes=2**25,  # the six have about 31 MB each
            check=_check_batch,
        ),
    ),
)
