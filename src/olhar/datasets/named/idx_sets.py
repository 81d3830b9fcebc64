"""MNIST and Fashion-MNIST: four IDX files each, of the same names, told apart by the content's md5.

Sources: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition"; Xiao et al.
2017, arXiv 1708.07747.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.fetch import md5_bytes, md5_file, wrong_md5
from olhar.datasets.named.named_set import PublishedSet
from olhar.datasets.named.published import Published
from olhar.datasets.places import data_folder, explain_damage, open_packed
from olhar.errors import ChecksumError

_PARTS = {"train": 60_000, "test": 10_000}
_FILES = {  # name as published, without its end, and size in bytes of the content
    "train-images": ("train-images-idx3-ubyte", 16 + 60_000 * 28 * 28),
    "t10k-images": ("t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28),
    "train-labels": ("train-labels-idx1-ubyte", 8 + 60_000),
    "t10k-labels": ("t10k-labels-idx1-ubyte", 8 + 10_000),
}
# `train-images-idx3-ubyte.gz`, also unpacked, in .xz, spelt `train-images.idx3-ubyte`, without its end, or
# as browsers call a second copy: ` (1)`.
_IDX_FILE = re.compile(
    r"(train|t10k)[-_.](images|labels)"
    r"([-_.]idx[13])?([-_.]ubyte)?( ?\(\d+\))?(\.gz|\.xz)?"
)


@dataclass(frozen=True, kw_only=True)
class _PublishedIdx(Published):
    """One of a set's four files.

    Attributes:
        content_md5: of what is in the .gz file.
        meant: matches the path of a damaged file that was to be one of this set.
    """

    content_md5: str
    meant: re.Pattern[str]

    def candidates(self, files: Sequence[Path]) -> Iterable[Path]:
        """By their names."""
        return [file for file in files if _stem(file) in self.holds]

    def contents(self, place: Path) -> Iterator[tuple[str, bytes]]:
        """See Published; a file of a set with the same names is one of something else."""
        (stem,) = self.holds
        try:
            content = _unpack(place, stem)
        except ChecksumError as error:
            found, problem = "", error
        else:
            found = md5_bytes(content)
            if found == self.content_md5:
                yield stem, content
                return
            problem = wrong_md5(place, found, self.content_md5)
        if not known_class_names(found) and self._is_meant(place):
            if place.suffix == ".xz":
                raise problem
            expected = self.md5 if place.suffix == ".gz" else self.content_md5
            raise wrong_md5(place, md5_file(place), expected)  # what `md5sum` would say of the file

    def _is_meant(self, path: Path) -> bool:
        """Whether the folders around a wrong file say that it was to be this one."""
        root = data_folder()
        if root is None or not path.is_relative_to(root):
            return True  # downloaded
        return bool(self.meant.match(str(Path(root.name) / path.relative_to(root))))


def _stem(path: Path) -> str:
    """Which of a set's four files it is by its name; "" where none."""
    match = _IDX_FILE.fullmatch(path.name)
    return f"{match[1]}-{match[2]}" if match else ""


def _unpack(path: Path, stem: str) -> bytes:
    """The content of a packed or unpacked file; one byte more than right tells that it is not."""
    with explain_damage(path), open_packed(path) as file:
        content: bytes = file.read(_FILES[stem][1] + 1)
    return content


def _published(
    url: str, md5s: Mapping[str, tuple[str, str]], meant: str
) -> tuple[_PublishedIdx, ...]:
    """The four files of a set: md5s of the .gz file as published, and of its content."""
    return tuple(
        _PublishedIdx(
            url=f"{url}{_FILES[stem][0]}.gz",
            md5=packed,
            holds=(stem,),
            content_md5=content,
            meant=re.compile(meant, re.IGNORECASE | re.DOTALL),
        )
        for stem, (packed, content) in md5s.items()
    )


class _IdxSet(PublishedSet):
    def write(
        self, name: str, content: bytes, images: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> None:
        """See PublishedSet."""
        train = self.parts["train"]
        rows = slice(train) if name.startswith("train") else slice(train, None)
        if name.endswith("images"):
            images[rows] = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28, 1)
        else:
            labels[rows] = np.frombuffer(content, np.uint8, offset=8)


MNIST = _IdxSet(
    name="mnist",
    shape=(1, 28, 28),
    class_names=tuple("0123456789"),
    parts=_PARTS,
    published=_published(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images": (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            "train-labels": (
                "d53e105ee54ea40749a09fcbcd1e9432",
                "a25bea736e30d166cdddb491f175f624",
            ),
            "t10k-images": ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
            "t10k-labels": ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
        },
        meant="(?!.*(fashion|kmnist|kuzushiji|emnist))",  # sets with the same names of files
    ),
)

FASHION_MNIST = _IdxSet(
    name="fashion_mnist",
    shape=(1, 28, 28),
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    translated_names={
        "pt_BR": (
            *("Camiseta", "Calça", "Pulôver", "Vestido", "Casaco"),
            *("Sandália", "Camisa", "Tênis", "Bolsa", "Bota de cano curto"),
        )
    },
    parts=_PARTS,
    published=_published(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images": (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            ),
            "train-labels": (
                "25c81989df183df01b3e8a0aad5dffbe",
                "9018921c3c673c538a1fc5bad174d6f9",
            ),
            "t10k-images": ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
            "t10k-labels": ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
        },
        meant=".*fashion",
    ),
)


def known_class_names(md5: str) -> tuple[str, ...]:
    """The class names of the set that an IDX file with this content belongs to, () where none is known."""
    for one in (MNIST, FASHION_MNIST):
        if any(isinstance(f, _PublishedIdx) and f.content_md5 == md5 for f in one.published):
            return one.class_names
    return ()
