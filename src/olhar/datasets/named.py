"""Data sets by name: found under `OLHAR_DATA`, else downloaded; verified; decoded once.

Does not know: splits or training. What counts is the md5 of the content, as the makers published
it, never the name of a file or its place: MNIST and Fashion-MNIST have the same file names, and an
archive may have been packed anew.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets import cifar100
from olhar.datasets.cache import (
    CacheEntry,
    allocate_images,
    load_cached,
    save_cached,
)
from olhar.datasets.dataset import Dataset
from olhar.datasets.fetch import fetch, md5_bytes, md5_file, wrong_md5
from olhar.datasets.places import (
    archived_files,
    data_files,
    data_folder,
    download_folder,
    explain_damage,
    open_packed,
    waiting,
)
from olhar.errors import ChecksumError, unknown_name
from olhar.i18n import _

NAMED = ("cifar10", "cifar100", "digits", "fashion_mnist", "mnist")

# (C, H, W) of an image, and the number of classes; known without looking.
NAMED_SHAPES = {
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "digits": ((1, 8, 8), 10),
    "fashion_mnist": ((1, 28, 28), 10),
    "mnist": ((1, 28, 28), 10),
}

_DIGITS = tuple("0123456789")
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": cifar100.CLASS_NAMES,
    "digits": _DIGITS,
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "mnist": _DIGITS,
}
TRANSLATED_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "cifar10": {
        "pt_BR": (
            *("avião", "automóvel", "pássaro", "gato", "cervo"),
            *("cachorro", "sapo", "cavalo", "navio", "caminhão"),
        )
    },
    "fashion_mnist": {
        "pt_BR": (
            *("Camiseta", "Calça", "Pulôver", "Vestido", "Casaco"),
            *("Sandália", "Camisa", "Tênis", "Bolsa", "Bota de cano curto"),
        )
    },
}

_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_CIFAR10_MD5 = "c58f30108f718f92721af3b95e74349a"
_BATCH_MD5 = {  # in pool order
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_BATCH_LEN = 10_000
_BATCH_MAX_BYTES = 2**25  # the six have about 31 MB each
# The "python version" only: fastai's cifar10.tgz holds PNGs, others are for MATLAB or C.
_CIFAR10_ARCHIVE = re.compile(r"cifar[-_]?10(?!\d).*\.(tar(\.(gz|xz|bz2))?|tgz|txz)", re.IGNORECASE)

_IDX_URL = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
_IDX_SIZE_BYTES = {
    "train-images": 16 + 60_000 * 28 * 28,
    "t10k-images": 16 + 10_000 * 28 * 28,
    "train-labels": 8 + 60_000,
    "t10k-labels": 8 + 10_000,
}
_IDX_MD5 = {  # of the .gz file as published, and of its content
    "mnist": {
        "train-images": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        "train-labels": ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
        "t10k-images": ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        "t10k-labels": ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    },
    "fashion_mnist": {
        "train-images": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        "train-labels": ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
        "t10k-images": ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
        "t10k-labels": ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
    },
}
# `train-images-idx3-ubyte.gz`, also unpacked, in .xz, spelt `train-images.idx3-ubyte`, without its end, or
# as browsers call a second copy: ` (1)`.
_IDX_FILE = re.compile(
    r"(train|t10k)[-_.](images|labels)"
    r"([-_.]idx[13])?([-_.]ubyte)?( ?\(\d+\))?(\.gz|\.xz)?"
)
# Sets with the file names of MNIST, by the folders they are found in.
_MNIST_LIKE = ("fashion", "kmnist", "kuzushiji", "emnist")


def load_named(name: str) -> Dataset:
    """Load a data set by its name: from the cache, else from `OLHAR_DATA`, else from its makers.

    Sources: CIFAR-10 and CIFAR-100, Krizhevsky 2009, "Learning Multiple Layers of Features from
    Tiny Images"; MNIST, LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition";
    Fashion-MNIST, Xiao et al. 2017, arXiv 1708.07747; digits, scikit-learn's copy of the UCI
    "Optical Recognition of Handwritten Digits" test set (1,797 images).

    Args:
        name: one of `NAMED`.

    Returns:
        The data set. cifar10, cifar100: (60000, 32, 32, 3) uint8; mnist, fashion_mnist:
        (70000, 28, 28, 1) uint8, memory-mapped, train first, then test. digits:
        (1797, 8, 8, 1) uint8, its values 0..16 brought to 0..255; it has no parts.

    Raises:
        UnknownNameError: there is no such name.
        ChecksumError: the files found under `OLHAR_DATA` are damaged or not the published ones.
        MissingFileError: `OLHAR_DATA` names no folder.
        DownloadError: the files were not found and cannot be downloaded.
        StorageError, NoPermissionError: the cache cannot be written, or a file not be read.
    """
    if name not in NAMED:
        raise unknown_name(_("data set"), name, NAMED)
    fills = {"cifar10": _fill_cifar10, "cifar100": cifar100.fill, "digits": _fill_digits}
    fill = fills.get(name, partial(_fill_idx, name))
    entry = load_cached(name) or save_cached(name, fill)
    return Dataset(
        name=name,
        images=entry.images,
        labels=entry.labels,
        class_names=CLASS_NAMES[name],
        translated_names=TRANSLATED_NAMES.get(name, {}),
        parts=entry.part_indices(),
        fingerprint=entry.fingerprint,
    )


def _fill_digits(folder: Path) -> CacheEntry:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = allocate_images(folder, (*bunch.images.shape, 1))  # (1797, 8, 8, 1)
    images[...] = np.round(bunch.images * (255 / 16))[..., None]
    return CacheEntry(images, bunch.target.astype(np.int64), CLASS_NAMES["digits"])


# CIFAR-10


def _fill_cifar10(folder: Path) -> CacheEntry:
    count = len(_BATCH_MD5) * _BATCH_LEN
    sources = _cifar10_sources()
    images = allocate_images(folder, (count, 32, 32, 3))  # (60000, 32, 32, 3) uint8
    labels = np.zeros(count, np.int64)  # (60000,) int64
    rejected = []
    for source in sources:
        try:
            if _read_cifar10(source, images, labels):
                break
        except ChecksumError as error:
            rejected.append(error)
    else:
        if rejected:
            raise rejected[0]
        path = download_folder("cifar10") / "cifar-10-python.tar.gz"
        _read_cifar10(fetch(_CIFAR10_URL, path, _CIFAR10_MD5), images, labels)
    parts = {"train": count - _BATCH_LEN, "test": _BATCH_LEN}
    return CacheEntry(images, labels, CLASS_NAMES["cifar10"], parts)


def _cifar10_sources() -> list[Path]:
    """Folders that hold batches, then archives, which take longer to read."""
    files = data_files()
    folders = dict.fromkeys(file.parent for file in files if file.name in _BATCH_MD5)
    archives = [file for file in files if _CIFAR10_ARCHIVE.fullmatch(file.name)]
    return [*folders, *archives]


def _read_cifar10(source: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> bool:
    """Fill the arrays from a folder or an archive; False if it holds no batch at all."""
    missing = list(_BATCH_MD5)
    with waiting(_("reading {file}, this once", file=source.name)):
        for name, content in _batches(source):
            found = md5_bytes(content)
            if found != _BATCH_MD5[name]:
                raise wrong_md5(source / name, found, _BATCH_MD5[name])
            start = list(_BATCH_MD5).index(name) * _BATCH_LEN
            rows = slice(start, start + _BATCH_LEN)
            images[rows], labels[rows] = _decode_batch(content)
            if name in missing:
                missing.remove(name)
            if not missing:
                return True
    if len(missing) == len(_BATCH_MD5):
        return False
    raise ChecksumError(
        _(
            "'{path}' is incomplete: {missing} is missing; delete it, then download it again or "
            "let olhar do so",
            path=source,
            missing=", ".join(missing),
        )
    )


def _batches(source: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each batch in a folder or an archive. Nothing is extracted to the disk."""
    with explain_damage(source):
        if source.is_dir():
            for path in (source / name for name in _BATCH_MD5):
                if path.is_file():
                    with path.open("rb") as file:
                        yield path.name, file.read(_BATCH_MAX_BYTES)
            return
        yield from archived_files(source, _BATCH_MD5, _BATCH_MAX_BYTES)


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


# MNIST and Fashion-MNIST


def _fill_idx(name: str, folder: Path) -> CacheEntry:
    files = data_files()
    contents = [_read_idx(name, stem, files) for stem in _IDX_SIZE_BYTES]
    images = [np.frombuffer(c, np.uint8, offset=16) for c in contents[:2]]
    labels = [np.frombuffer(c, np.uint8, offset=8) for c in contents[2:]]
    parts = {"train": len(labels[0]), "test": len(labels[1])}
    pool = allocate_images(folder, (sum(parts.values()), 28, 28, 1))  # (70000, 28, 28, 1) uint8
    np.concatenate(images, out=pool.reshape(-1))
    return CacheEntry(pool, np.concatenate(labels).astype(np.int64), CLASS_NAMES[name], parts)


def _read_idx(name: str, stem: str, files: list[Path]) -> bytes:
    """The verified content of one of a set's four files, found in `files` or downloaded."""
    gz_md5, content_md5 = _IDX_MD5[name][stem]
    known = {md5s[stem][1] for md5s in _IDX_MD5.values()}
    rejected = []
    for path in files:
        if _idx_stem(path) != stem:
            continue
        try:
            content = _unpack_idx(path, stem)
        except ChecksumError as error:
            found, problem = "", error
        else:
            found = md5_bytes(content)
            if found == content_md5:
                return content
            problem = wrong_md5(path, found, content_md5)
        if found not in known and _is_meant(path, name):
            if path.suffix != ".xz":  # what `md5sum` would say of the file
                expected = gz_md5 if path.suffix == ".gz" else content_md5
                problem = wrong_md5(path, md5_file(path), expected)
            rejected.append(problem)
    if rejected:
        raise rejected[0]
    path = download_folder(name) / f"{stem}-idx{3 if 'images' in stem else 1}-ubyte.gz"
    return _unpack_idx(fetch(_IDX_URL[name] + path.name, path, gz_md5), stem)


def _idx_stem(path: Path) -> str:
    """Which of a set's four files it is by its name; "" where none."""
    match = _IDX_FILE.fullmatch(path.name)
    return f"{match[1]}-{match[2]}" if match else ""


def _unpack_idx(path: Path, stem: str) -> bytes:
    """The content of a packed or unpacked file; one byte more than right tells that it is not."""
    with explain_damage(path), open_packed(path) as file:
        content: bytes = file.read(_IDX_SIZE_BYTES[stem] + 1)
    return content


def known_class_names(md5: str) -> tuple[str, ...]:
    """The class names of the set that an IDX file with this content belongs to, () where none is known."""
    for name, files in _IDX_MD5.items():
        if any(md5 == content for _packed, content in files.values()):
            return CLASS_NAMES[name]
    return ()


def _is_meant(path: Path, name: str) -> bool:
    """Whether the folders around a wrong file say that it was to be a file of this set."""
    root = data_folder()
    place = str(Path(root.name) / path.relative_to(root)).lower() if root else ""
    if name == "fashion_mnist":
        return "fashion" in place
    return not any(other in place for other in _MNIST_LIKE)
