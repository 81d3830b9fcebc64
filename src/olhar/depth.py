"""What the range of pixel values means: values of more than 8 bits → 8 bits, and 0 and 1 alone.

Does not know: files, or how they were decoded. What is done to an image follows from that image alone,
so that it is the same in training and in prediction.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_DECLARED = "olhar_bits"  # key of Image.info: as many bits as the file says
_DEPTHS = (8, 10, 12, 14, 16)  # of the sensors and scanners that there are
# Where the low bytes lie that Pillow leaves out, in its names for how pixels lie in a file.
_LOW_BYTES = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
}
_MAX_SAMPLE_TAG = 281  # TIFF 6.0, section 8, MaxSampleValue


def wide_to_uint8(image: Image.Image, *, sixteen_bits: bool) -> NDArray[np.uint8]:
    """Grey of more than 8 bits (modes I;16…, I, F) → (H, W) uint8.

    Args:
        image: decoded.
        sixteen_bits: whether its values are of 16 bits although its mode has more.
    """
    values = np.array(image)  # (H, W) uint16, int32 or float32
    if image.mode.startswith("I;16") or sixteen_bits:
        transparent = image.info.get("transparency")
        shift = _depth(values, image) - 8
        pixels: NDArray[np.uint8] = (np.clip(values, 0, 65535) >> shift).astype(np.uint8)
        if not shift:
            pixels = spread_one_bit(pixels)
        if isinstance(transparent, int):
            pixels[values == transparent] = 255
        return pixels
    # Nothing says what is white, so the values must: the least usual range that holds them all,
    # and where there is none (heights, temperatures), from the least to the greatest.
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    white = next((top for top in (1.0, 255.0, 65535.0) if low >= 0 and high <= top), None)
    if white is None:
        finite, white = finite - low, max(high - low, 1e-30)
    return np.rint(finite * (255.0 / white)).astype(np.uint8)


def used_bits(image: Image.Image) -> int:
    """How many of its 16 bits an opened image uses; 0 where it has no 16."""
    if image.mode.startswith("I;16"):
        return _depth(np.array(image), image)
    if not is_wide_rgb(image):
        return 0
    return _depth(np.array(image).astype(np.uint16) << 8, image)


def is_wide_rgb(image: Image.Image) -> bool:
    """Whether an opened, not yet decoded image is RGB of 16 bits, of which Pillow keeps the high byte."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return False
    return all(_raw_mode(tile.args) in _LOW_BYTES for tile in image.tile)


def give_low_bytes(image: Image.Image) -> None:
    """Let an image that `is_wide_rgb` be decoded to the low byte of its values."""
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [
        tile._replace(args=_LOW_BYTES[tile.args])
        if isinstance(tile.args, str)
        else tile._replace(args=(_LOW_BYTES[_raw_mode(tile.args)], *(tile.args or ())[1:]))
        for tile in image.tile
    ]


def _raw_mode(args: Any) -> str:
    """How the pixels lie in a file, as Pillow names it."""
    return str(args[0] if isinstance(args, tuple) and args else args)


def join_bytes(high: Image.Image, low: Image.Image) -> NDArray[np.uint8]:
    """The two bytes of RGB values → (H, W, 3) uint8, the highest bits in use."""
    values = (np.array(high).astype(np.uint16) << 8) | np.array(low)  # (H, W, 3) uint16
    shift = _depth(values, high) - 8
    pixels: NDArray[np.uint8] = (values >> shift).astype(np.uint8)
    return pixels if shift else spread_one_bit(pixels)


def uint16_to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """16-bit values in memory, any shape → uint8: the highest 8 of the bits in use, as of a file."""
    shift = _fitting(int(values.max(initial=0)).bit_length()) - 8
    pixels: NDArray[np.uint8] = (values >> shift).astype(np.uint8)
    return pixels if shift else spread_one_bit(pixels)


def spread_one_bit(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image of 8 bits whose greatest value is 1 is black and white: its 1 becomes 255.

    Read as 0 to 255 it would be black to every eye, and such files and lists are what 0.0 and 1.0
    become where their type is lost. The same memory where nothing had to change.
    """
    if pixels[:: max(1, len(pixels) // 16)].max(initial=0) > 1 or pixels.max(initial=0) != 1:
        return pixels
    return pixels * np.uint8(255)


def _depth(values: NDArray[Any], image: Image.Image) -> int:
    """Of how many bits 16-bit values are: as the file says, else by the greatest of them."""
    transparent = image.info.get("transparency")
    opaque = values[values != transparent] if isinstance(transparent, int) else values
    return _fitting(max(image.info.get(_DECLARED, 0), int(opaque.max(initial=0)).bit_length()))


def _fitting(needed: int) -> int:
    return next((bits for bits in _DEPTHS if needed <= bits), 16)


def note_bits(image: Image.Image, content: bytes) -> None:
    """Keep in `Image.info` how many bits the file says that its values have.

    Args:
        image: not yet decoded, for what says so is lost when it is turned.
        content: the first bytes of the file.
    """
    if image.format == "PPM":
        image.info[_DECLARED] = 16  # Pillow brings them to the full range
    elif image.format == "PNG":
        image.info[_DECLARED] = _significant_bits(content)
    elif image.format == "TIFF":
        stated = image.tag_v2.get(_MAX_SAMPLE_TAG)  # type: ignore[attr-defined]
        highest = stated[0] if isinstance(stated, tuple) and stated else stated
        image.info[_DECLARED] = highest.bit_length() if isinstance(highest, int) else 0


def _significant_bits(content: bytes) -> int:
    """What a PNG's sBIT says (PNG 3rd edition, 11.3.2.7); 0 where it has none."""
    at = 8
    while len(content) >= at + 9:
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"sBIT":
            return content[at + 8]
        if kind in {b"PLTE", b"IDAT", b"IEND"}:
            break
        at += 12 + length
    return 0
