"""IDX files, the form of MNIST and its like, under whatever name."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import DATA, needs_data
from olhar.datasets import Dataset, load_named, open_source
from olhar.errors import ChecksumError, DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 6, 6)).astype(np.uint8)  # (N, H, W)
LABELS = (np.arange(20) % 4).astype(np.uint8)
PACKERS = {".gz": gzip.compress, ".xz": lzma.compress}


def idx(path: Path, array: NDArray[Any], packed: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"u": 0x08, "i": 0x0C}[array.dtype.kind]
    head = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    content = head + array.astype("u1" if kind == 0x08 else ">i4").tobytes()
    path.write_bytes(PACKERS[packed](content) if packed else content)
    return path


def read(path: Path) -> Dataset:
    source = open_source(str(path))
    assert isinstance(source, Dataset)
    return source


NAMES = {
    "as published": ("{}-{}-idx3-ubyte.gz", ("train", "t10k"), ".gz"),
    "unpacked, still called .gz": ("{}-{}-idx3-ubyte.gz", ("train", "t10k"), ""),
    "with a dot": ("{}-{}.idx3-ubyte", ("train", "t10k"), ""),
    "packed, not called so": ("{}_{}", ("training", "test"), ".xz"),
    "a set's name before": ("kmnist-{}-{}-idx1-ubyte", ("train", "test"), ".gz"),
    "in folders of their own": ("{0}-{1}-ubyte/{0}-{1}-ubyte", ("train", "t10k"), ""),
    "torchvision's": ("MNIST/raw/{}-{}-idx1-ubyte", ("train", "t10k"), ""),
}


@pytest.mark.parametrize("kind", NAMES)
def test_files_under_any_name(kind: str, tmp_path: Path) -> None:
    form, parts, packed = NAMES[kind]
    for part, rows in zip(parts, (slice(0, 15), slice(15, 20)), strict=True):
        idx(tmp_path / form.format(part, "images"), IMAGES[rows], packed)
        idx(tmp_path / form.format(part, "labels"), LABELS[rows], packed)
    (tmp_path / "readme.txt").write_text("read me")
    for name, start in (("a.gz", b"\x1f\x8b"), ("b.xz", b"\xfd7zXZ\0"), ("c", b"\0\0\x08\x03")):
        (tmp_path / name).write_bytes(start + b"\x08\0 no such thing" * (name != "c"))
    source = read(tmp_path)
    assert {part: len(rows) for part, rows in source.parts.items()} == {"train": 15, "test": 5}
    assert np.array_equal(source.images[..., 0], IMAGES)
    assert source.labels.tolist() == LABELS.tolist()
    assert source.class_names == ("0", "1", "2", "3")
    assert read(tmp_path).fingerprint == source.fingerprint


def test_one_pair_and_packed_beside_unpacked(tmp_path: Path) -> None:
    idx(tmp_path / "one" / "a.bin", IMAGES)
    idx(tmp_path / "one" / "b.bin", LABELS.astype(np.int32))
    assert read(tmp_path / "one").parts == {}
    with pytest.raises(DataError, match="one IDX file; give the folder"):
        open_source(str(tmp_path / "one" / "a.bin"))
    for end in ("", ".gz"):
        idx(tmp_path / "two" / f"train-images-idx3-ubyte{end}", IMAGES, end)
        idx(tmp_path / "two" / f"train-labels-idx1-ubyte{end}", LABELS, end)
    assert len(read(tmp_path / "two")) == 20


def test_emnist(tmp_path: Path) -> None:
    for part in ("train", "test"):
        idx(tmp_path / f"emnist-letters-{part}-images-idx3-ubyte", IMAGES)
        idx(tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte", LABELS + 1)
    mapping = tmp_path / "emnist-letters-mapping.txt"
    mapping.write_text("".join(f"{i} {64 + i} {96 + i}\n" for i in range(1, 5)))
    source = read(tmp_path)
    assert source.class_names == ("A", "B", "C", "D")
    assert source.labels[:5].tolist() == [0, 1, 2, 3, 0]
    assert np.array_equal(source.images[:20, ..., 0], IMAGES.transpose(0, 2, 1))
    assert "turned upright" in str(source.notes[0])
    mapping.write_text("1 65\n")
    with pytest.raises(DataError, match="does not fit the labels"):
        open_source(str(tmp_path))
    idx(tmp_path / "emnist-digits-train-images-idx3-ubyte", IMAGES)
    idx(tmp_path / "emnist-digits-train-labels-idx1-ubyte", LABELS)
    with pytest.raises(DataError, match="several data sets: emnist-digits, emnist-letters"):
        open_source(str(tmp_path))


def test_what_is_refused(tmp_path: Path) -> None:
    images = idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte \(20×6×6\).*one of labels"):
        open_source(str(tmp_path))
    idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:7])
    with pytest.raises(DataError, match="has 20 images and train-labels-idx1-ubyte 7 labels"):
        open_source(str(tmp_path))
    idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    images.write_bytes(images.read_bytes()[:-9])
    with pytest.raises(DataError, match="cut off, or longer"):
        open_source(str(tmp_path))
    images.write_bytes(struct.pack(">HBBIII", 0, 8, 3, 20, 2**31, 2**31))
    with pytest.raises(DataError, match="cut off, or longer"):
        open_source(str(tmp_path))
    idx(images, IMAGES, ".gz")
    images.write_bytes(images.read_bytes()[:-9])
    with pytest.raises(ChecksumError, match="damaged or incomplete"):
        open_source(str(tmp_path))
    idx(images, IMAGES.astype(np.int32))
    with pytest.raises(DataError, match="no bytes"):
        open_source(str(tmp_path))


@needs_data
def test_mnist_unpacked_under_its_packed_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = load_named("mnist")
    for file in (Path(DATA or "") / "mnist").iterdir():
        if file.name.startswith(("t10k", "train")):
            content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else b""
            (tmp_path / file.name).write_bytes(content or file.read_bytes())
    source = read(tmp_path)
    assert (source.fingerprint, source.class_names) == (
        published.fingerprint,
        published.class_names,
    )
    monkeypatch.setenv("OLHAR_DATA", str(tmp_path))
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
    assert load_named("mnist").fingerprint == published.fingerprint
