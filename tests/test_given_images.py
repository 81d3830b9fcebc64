"""What may be given as an image from Python, and on the command line."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from olhar import errors, images
from olhar.cli.patterns import expand_pattern, one_photo
from olhar.given_images import to_image
from olhar.web import refuse_web_address


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)).save(path)
    return path


class _Tensor:
    """As another library's tensor: an array inside, its channels first."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return self._values


def test_all_forms_give_the_same_pixels(photo: Path) -> None:
    expected = images.read_image(photo)
    content = photo.read_bytes()
    read = io.BytesIO(content)
    read.read()
    begun = io.BytesIO(content)
    begun.read(7)
    with Image.open(photo) as opened, photo.open("rb") as file:
        Image.open(file).load()
        forms = {
            "Pillow": opened,
            "copy": opened.copy(),
            "read to its end": read,
            "read in part": begun,
            "file that Pillow has read": file,
            "channels first": _Tensor(expected.transpose(2, 0, 1)),
            "channels last": _Tensor(expected),
            "floats": _Tensor((expected / 255).transpose(2, 0, 1)),
            "lists": expected.tolist(),
            "view": memoryview(content),
        }
        for name, form in forms.items():
            assert np.array_equal(to_image(form), expected), name


def test_a_pillow_image_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3))
    image.save(tmp_path / "turned.png", exif=exif)
    expected = images.read_image(tmp_path / "turned.png")
    assert expected.shape == (6, 8, 3)
    with Image.open(tmp_path / "turned.png") as opened:
        assert np.array_equal(to_image(opened), expected)


def test_torch_tensors() -> None:
    import torch

    values = torch.linspace(0, 1, 3 * 8 * 6).reshape(3, 8, 6).requires_grad_()
    assert to_image(values).shape == (8, 6, 3)
    with pytest.raises(errors.ImageError, match="give images one by one"):
        to_image(values[None])


_NOTHING = [None, 3, 2.5, object(), {}, ["a.png", "b.png"], [], [[1, 2], [3]], np.zeros(3), ""]
_NOTHING += [io.StringIO("x"), io.BytesIO(), "https://e.org/a.png", [[0, 1], [1, 0]], [[-1, 3]]]
_NOTHING += [_Tensor(np.zeros((3, 9, 3))), _Tensor(np.zeros((2, 9, 9)))]


@pytest.mark.parametrize("given", _NOTHING, ids=lambda given: type(given).__name__)
def test_all_else_is_refused_in_words(given: object) -> None:
    with pytest.raises(errors.OlharError):
        to_image(given)


def test_closed_files_are_refused_in_words(photo: Path) -> None:
    with photo.open("rb") as file:
        pass
    with pytest.raises(errors.ImageError, match="closed"):
        to_image(file)
    opened = Image.open(photo)
    opened.close()
    with pytest.raises(errors.ImageError):
        to_image(opened)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded by RLIMIT_AS")
def test_too_little_memory_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 9000)).save(tmp_path / "large.png", compress_level=1)
    script = """
        import resource, sys
        from olhar import given_images, errors
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, resource.RLIM_INFINITY))
        try:
            given_images.to_image(sys.argv[1])
        except errors.MemoryLimitError as error:
            print(error)
    """
    words = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "large.png")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "save a smaller copy" in done.stdout, done.stderr


def test_patterns(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "c.txt", "odd[1].png"):
        (tmp_path / name).touch()
    assert expand_pattern(f"{tmp_path}/?.png") == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]
    assert expand_pattern(f"{tmp_path}/odd[1].png") == [f"{tmp_path}/odd[1].png"]
    assert expand_pattern(f"{tmp_path}/none.png") == [f"{tmp_path}/none.png"]
    assert one_photo(f"{tmp_path}/a.*") == f"{tmp_path}/a.png"
    with pytest.raises(errors.MissingFileError, match="pattern"):
        expand_pattern(f"{tmp_path}/*.jpg")
    with pytest.raises(errors.DataError, match="3 files"):
        one_photo(f"{tmp_path}/*.png")


@pytest.mark.parametrize(
    "address", ["https://e.org/a.png", "https:/e.org/a.png", "HTTP://e.org", "ftp://e.org/a"]
)
def test_web_addresses_say_how_to_fetch(address: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"download it first, curl -L -O") as caught:
        refuse_web_address(address)
    assert "://e.org" in str(caught.value)
    with pytest.raises(errors.ConfigError, match="own program"):
        refuse_web_address("gs://bucket/photos")
