"""Frames in C, pixel for pixel as Preprocess makes them."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import olhar.native
from olhar.images import _on_white, to_channels
from olhar.preprocess import Framing

SOURCES = Path(olhar.native.__file__).parent / "c"
FORMATS = ("grey", "rgb", "rgba", "rgb565", "rgb565_be")
RESIZES = ("crop", "squash", "pad")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """olhar_frame.c as a shared library, warnings being errors."""
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("there is no C compiler")
    made = tmp_path_factory.mktemp("frame") / "frame.so"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-ffp-contract=off"]
    command = [gcc, *strict, "-shared", "-fPIC", SOURCES / "olhar_frame.c", "-o", made]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(made))


def framed(library: ctypes.CDLL, frame: Any, form: str, framing: Framing) -> Any:
    """A frame (H, W[, bytes]) uint8 through the C code → (size, size, C) uint8."""
    frame = np.ascontiguousarray(frame)
    numbers = [frame.shape[1], frame.shape[0], frame.strides[0], FORMATS.index(form)]
    numbers += [framing.size, framing.channels, RESIZES.index(framing.resize)]
    fields = (ctypes.c_int32 * 7)(*numbers)
    scratch = np.full(library.olhar_frame_scratch(fields) + 16, 0xA5, np.uint8)
    out = np.full(framing.size**2 * framing.channels + 16, 0xA5, np.uint8)
    pointers = [ctypes.c_void_p(one.ctypes.data) for one in (frame, out, scratch)]
    library.olhar_frame(fields, *pointers)
    assert (scratch[-16:] == 0xA5).all(), "wrote behind its memory"
    assert (out[-16:] == 0xA5).all(), "wrote behind the input"
    return out[:-16].reshape(framing.shape)


@st.composite
def framings(draw: Any) -> tuple[Any, str, Framing]:
    """A frame (H, W, bytes a pixel) uint8, its form, and what it is to become."""
    form = draw(st.sampled_from(FORMATS))
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    depth = {"grey": 1, "rgb": 3, "rgba": 4, "rgb565": 2, "rgb565_be": 2}[form]
    frame = random.integers(0, 256, (height, width, depth), np.uint8)
    if random.random() < 0.3:  # of extremes, interpolation overshoots
        frame = (frame > 127).astype(np.uint8) * np.uint8(255)
    size, channels = draw(st.integers(1, 40)), draw(st.sampled_from([1, 3]))
    return frame, form, Framing(size, channels, resize=draw(st.sampled_from(RESIZES)))


@settings(max_examples=400)
@given(framings())
def test_a_frame_in_c_is_the_one_of_preprocess(library: ctypes.CDLL, given: Any) -> None:
    frame, form, framing = given
    expected = framing.frame(pixels_of(frame, form))
    assert (framed(library, frame, form, framing) == expected).all()


def pixels_of(frame: Any, form: str) -> Any:
    """What olhar would have read from a file of these pixels."""
    if form == "rgba":
        return np.array(_on_white(Image.fromarray(frame), "RGB"))
    if not form.startswith("rgb565"):
        return frame
    both = frame.view("<u2" if form == "rgb565" else ">u2")[..., 0].astype(int)
    red, green, blue = both >> 11, both >> 5 & 63, both & 31
    full = [red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2]
    return np.stack(full, -1).astype(np.uint8)


def test_greys_and_large_frames(library: ctypes.CDLL) -> None:
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (1200, 1600, 3), np.uint8)
    for size, channels, resize in ((224, 3, "crop"), (28, 1, "pad"), (96, 3, "squash")):
        framing = Framing(size, channels, resize=resize)
        assert (framed(library, frame, "rgb", framing) == framing.frame(frame)).all()
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 3)] * 3), -1).reshape(86, -1, 3)
    every = np.ascontiguousarray(every, np.uint8)
    framing = Framing(64, 1)
    assert (framed(library, every, "rgb", framing) == framing.frame(to_channels(every, 1))).all()


def test_large_photos_are_reduced_by_the_mean_of_blocks(library: ctypes.CDLL) -> None:
    random = np.random.default_rng(1)
    for side, channels in ((2, 3), (4, 1), (8, 3)):
        frame = random.integers(0, 256, (37, 51, channels), np.uint8)
        small = np.zeros((-(-37 // side), -(-51 // side), channels), np.uint8)
        given = [ctypes.c_void_p(frame.ctypes.data), 51, 37, channels, side]
        library.olhar_reduce(*given, ctypes.c_void_p(small.ctypes.data))
        for y, x in ((0, 0), (2, 3), (len(small) - 1, small.shape[1] - 1)):
            block = frame[y * side : (y + 1) * side, x * side : (x + 1) * side].astype(int)
            mean = block.mean(axis=(0, 1))
            assert (np.abs(small[y, x] - mean) <= 0.5).all()
