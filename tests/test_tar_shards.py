"""Shards: tar files of photos with their labels beside them, read as streams."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import olhar
from olhar import errors
from olhar.datasets import PhotoFolder, open_source
from olhar.tar_shards import Sample, read_shard

JPEG = b"\xff\xd8\xff jpeg"


def tar(members: Iterable[tuple[str, bytes]], mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


class Pipe(io.RawIOBase):
    """A stream without seek or tell, which gives less than it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 1000) if size > 0 else size)


def samples(content: bytes) -> list[Sample]:
    return list(read_shard(Pipe(content), "x.tar"))  # type: ignore[arg-type]


def test_forms_of_labels() -> None:
    found = samples(
        tar(
            [
                ("./1.jpg", JPEG),
                ("./1.cls", "pé de moleque\n".encode()),
                ("a.b/2.cls", b"7"),
                ("a.b/2.PNG", JPEG),
                ("3.jpeg", JPEG),
                ("3.json", b'{"label": "", "class": 4, "cls": 5}'),
                ("4.seg.png", JPEG + b"seg"),
                ("4.jpg", JPEG),
                ("4.json", b'{"caption": "a cat"}'),
                ("5.txt", b"no photo"),
                ("._6.jpg", b"what macOS keeps"),
                ("7.jpg", JPEG),
                ("7.json", b"{damaged"),
            ]
        )
    )
    assert [(one.key, one.image_name, one.label) for one in found] == [
        ("1", "1.jpg", "pé de moleque"),
        ("a.b/2", "a.b/2.PNG", "7"),
        ("3", "3.jpeg", "4"),
        ("4", "4.jpg", None),
        ("7", "7.jpg", None),
    ]
    assert all(one.image == JPEG for one in found)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_packed_and_from_a_pipe(mode: str) -> None:
    members = [(f"{n}.{end}", bytes([n]) * 999) for n in range(9) for end in ("jpg", "cls")]
    assert [one.key for one in samples(tar(members, mode))] == [str(n) for n in range(9)]


def test_an_empty_tar_has_no_photos() -> None:
    assert samples(tar([])) == []


WHOLE = tar([(f"{n}.{end}", JPEG * 200) for n in range(4) for end in ("jpg", "cls")])


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_is_told_wherever_it_is(cut: int) -> None:
    last_file = 8 * 2560  # what follows are zeros, at least one block of which must be there
    if cut >= last_file + 512:
        assert len(samples(WHOLE[:cut])) == 4
        return
    found: list[Sample] = []
    with pytest.raises(errors.DataError, match=r"x\.tar") as raised:
        found.extend(read_shard(Pipe(WHOLE[:cut]), "x.tar"))  # type: ignore[arg-type]
    assert [one.key for one in found] == [str(n) for n in range(len(found))]
    if cut > 2 * 2560 + 512:
        assert "its last whole file is" in str(raised.value)


# Byte 155 stands behind the NUL that ends the checksum: readers pass over it.
@given(st.integers(0, 7), st.integers(0, 511).filter(lambda byte: byte != 155))
def test_a_damaged_header_does_not_end_the_tar(member: int, byte: int) -> None:
    content = bytearray(WHOLE)
    content[member * 2560 + byte] ^= 0xFF
    with pytest.raises(errors.DataError):
        samples(bytes(content))


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_packed_tar_that_is_cut_off(mode: str) -> None:
    content = tar([(f"{n}.jpg", JPEG * 200) for n in range(9)], mode)
    with pytest.raises(errors.DataError, match=r"'x\.tar'"):
        samples(content[: len(content) // 2])


@given(st.sampled_from(["w:gz", "w:bz2", "w:xz"]), st.integers(0, 10**6))
def test_a_packed_tar_with_a_damaged_byte(mode: str, place: int) -> None:
    content = bytearray(tar([(f"{n}.jpg", JPEG * 20) for n in range(3)], mode))
    content[place % len(content)] ^= 0x5A
    try:
        found = samples(bytes(content))
    except errors.DataError as error:
        assert "x.tar" in str(error)
    else:  # a byte that says nothing of the content, such as a time
        assert [one.image for one in found] == [JPEG * 20] * 3


def test_what_is_no_tar(tmp_path: Path) -> None:
    with pytest.raises(errors.DataError, match="is no tar, or damaged"):
        samples(b"PK\x03\x04" + b"zip" * 1000)


# As a data set


def photo(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (12, 12, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def labelled(start: int, count: int = 8, end: str = "cls") -> list[tuple[str, bytes]]:
    """Samples of two classes, the number of the photo in its name."""
    members = []
    for n in range(start, start + count):
        label = ("cat", "dog")[n % 2]
        text = label if end == "cls" else json.dumps({"label": label})
        members += [(f"{n:06d}.png", photo(n)), (f"{n:06d}.{end}", text.encode())]
    return members


def opened(path: Path) -> PhotoFolder:
    source = open_source(str(path))
    assert isinstance(source, PhotoFolder)
    return source


def photos_of(source: PhotoFolder) -> dict[bytes, str]:
    names = [source.class_names[label] for label in source.labels]
    return {(source.path / f).read_bytes(): n for f, n in zip(source.files, names, strict=True)}


@pytest.mark.parametrize("end", ["cls", "json"])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_one_shard(end: str, mode: str, tmp_path: Path, own_cache: None) -> None:
    path = tmp_path / f"pets.tar{'.gz' if mode != 'w' else ''}"
    path.write_bytes(tar(labelled(0, end=end), mode))
    assert photos_of(opened(path)) == {photo(n): ("cat", "dog")[n % 2] for n in range(8)}


def test_a_folder_of_shards(tmp_path: Path, own_cache: None) -> None:
    for n in range(3):
        (tmp_path / f"shard-{n:06d}.tar").write_bytes(tar(labelled(8 * n)))
    source = opened(tmp_path)
    assert len(photos_of(source)) == 24
    assert source.parts == {}
    assert source.origin == tmp_path


@pytest.mark.parametrize("form", ["pets-{part}-{n}.tar", "{part}/{n}.tar"])
def test_splits_by_name(form: str, tmp_path: Path, own_cache: None) -> None:
    for k, part in enumerate(("train", "validation", "test")):
        for n in range(2):
            path = tmp_path / form.format(part=part, n=n)
            path.parent.mkdir(exist_ok=True)
            # Names of photos are used again in every shard, as some makers do.
            members = [
                (f"{i // 2:06d}{Path(m).suffix}", c)
                for i, (m, c) in enumerate(labelled(8 * (2 * k + n)))
            ]
            path.write_bytes(tar(members))
    (tmp_path / "extra.tar").write_bytes(tar(labelled(900)))
    source = opened(tmp_path)
    assert {part: len(rows) for part, rows in source.parts.items()} == {
        "train": 16,
        "val": 16,
        "test": 16,
    }
    assert len(photos_of(source)) == 48
    assert "extra.tar" in " ".join(map(str, source.notes))


def test_photos_without_labels_are_counted(tmp_path: Path, own_cache: None) -> None:
    members = labelled(0) + [(f"x{n}.png", photo(100 + n)) for n in range(3)]
    (tmp_path / "a.tar").write_bytes(tar(members))
    source = opened(tmp_path / "a.tar")
    assert len(source) == 8
    assert "3 photo(s) of a.tar have no label and are not used" in map(str, source.notes)


def test_class_folders_in_a_tar_are_no_shard(tmp_path: Path, own_cache: None) -> None:
    members = [
        (f"{c}/{n}.{e}", photo(n) if e == "png" else b"{}")
        for c in ("cat", "dog")
        for n in range(3)
        for e in ("png", "json")
    ]
    (tmp_path / "a.tar").write_bytes(tar(members))
    assert opened(tmp_path / "a.tar").files[0] == "cat/0.png"


def test_a_shard_that_is_cut_off_is_refused_and_leaves_nothing(
    tmp_path: Path, own_cache: None
) -> None:
    whole = tar(labelled(0, 100))
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    done = olhar("data", tmp_path / "a.tar")
    assert done.status == 2
    assert "is damaged or cut off: its last whole file is 0000" in done.err
    assert "Traceback" not in done.err
    assert list((tmp_path / "cache").rglob("*.png")) == []
    (tmp_path / "a.tar").write_bytes(whole)
    assert len(opened(tmp_path / "a.tar")) == 100


def test_train_on_shards(tmp_path: Path, own_cache: None) -> None:
    for n in range(3):
        (tmp_path / "pets" / f"{n}.tar").parent.mkdir(exist_ok=True)
        (tmp_path / "pets" / f"{n}.tar").write_bytes(tar(labelled(20 * n, 20)))
    words = ["--network", "lenet5", "--epochs", 1, "--run", tmp_path / "run", "--json"]
    done = olhar("train", "--data", tmp_path / "pets", *words)
    assert done.status == 0, done.err
    done = olhar("evaluate", tmp_path / "run", "--json")
    assert done.status == 0, done.err
