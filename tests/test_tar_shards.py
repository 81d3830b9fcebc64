"""Shards: tar files of photos with their labels beside them, read as streams."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olhar import errors
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


@given(st.integers(0, 7), st.integers(0, 511))
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


def test_what_is_no_tar(tmp_path: Path) -> None:
    with pytest.raises(errors.DataError, match="is no tar, or damaged"):
        samples(b"PK\x03\x04" + b"zip" * 1000)
