"""A file, bytes or an array → one uint8 image. The only place that decodes.

Does not know: networks, sizes, data sets, or what a photo shows. Colour profiles are not applied:
pixel values are taken as they are stored.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.depth import (
    give_low_bytes,
    is_wide_rgb,
    join_bytes,
    note_bits,
    spread_one_bit,
    uint16_to_uint8,
    wide_to_uint8,
)
from olhar.errors import (
    ConfigError,
    ImageError,
    ImageSizeError,
    machine_error,
)
from olhar.i18n import _
from olhar.image_bytes import label_of, read_bytes, too_little_memory
from olhar.signatures import (
    FORMATS,
    HAS_HEIF,
    HEAD_BYTES,
    image_format,
)
from olhar.unreadable import bands_text, reason

MAX_PIXELS = 100_000_000
_LARGE = 1_000_000  # a smaller image that needs more memory than there is, is damaged
_START_BYTES = 4096  # what a PNG says of itself lies before its pixels

# Pillow also logs what it then raises; without a handler Python would print it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_TRANSPOSITIONS = {  # EXIF 2.32, 4.6.4 A, Orientation: how to bring row 0, column 0 to the top left
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_HIGH_BYTE_OF_14_BITS = 64
_SIXTEEN_BITS = frozenset({"PNG", "PPM"})  # they alone promise that a 32-bit grey holds 16 bits
_SAMPLES_TAG = 277  # TIFF 6.0, section 8, SamplesPerPixel

_quiet_lock = threading.Lock()
_quiet_threads: list[warnings.catch_warnings[None]] = []


def read_image(
    source: Path | str | bytes | BinaryIO,
    *,
    name: str | None = None,
    shrink_to: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Decode an image as a person sees it: upright, on white, 8 bits, its first frame.

    Of 16-bit values the highest 8 bits in use are kept: an image whose greatest value is below 4096
    has 12 bits, as many cameras and scanners give, and so for 8, 10 and 14; a file that says how many
    it has (sBIT of PNG, MaxSampleValue of TIFF) is believed. 32-bit and float greys are fitted into
    0..255. Where no value is above 1, 1 is white.

    Args:
        source: a path (also as a string), the content itself, or an open binary file.
        name: what to call the image in messages; by default its path.
        shrink_to: a JPEG may be decoded at 1/2, 1/4 or 1/8, its shortest side still at least this
            many pixels: several times faster for large photos. Other formats come in full.
        max_pixels: width × height allowed, compared with the header before anything is decoded.
            More than twice Pillow's own limit (`PIL.Image.MAX_IMAGE_PIXELS`) is always refused.

    Returns:
        (H, W, C) uint8, writable; C is 1 for grey images and 3 (RGB) for all others.

    Raises:
        ImageError: it is empty, cut off, damaged, or no image.
        ImageSizeError: it has more pixels than `max_pixels`.
        MissingFileError: there is no such file.
        NoPermissionError: the file may not be read.
    """
    label = name or label_of(source)
    content = read_bytes(source, label)
    if not content:
        raise ImageError(
            _("'{name}' is empty (0 bytes); copy or download it again, or remove it", name=label)
        )
    pixels = 0
    try:
        with _pillow_quiet(), _open(content) as image:
            pixels = image.width * image.height
            _check_size(image.size, max_pixels, label)
            _check_bands(image, label)
            if shrink_to:
                image.draft(None, (shrink_to, shrink_to))
            return _decode(image, content)
    except ImageError:
        raise
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        lack = machine_error(error)  # then the photo may well be whole
        if isinstance(error, MemoryError):
            lack = too_little_memory(label) if pixels >= _LARGE else None
        if lack is not None:
            raise lack from error
        kind = ImageSizeError if isinstance(error, Image.DecompressionBombError) else ImageError
        raise kind(reason(error, content, label, max_pixels)) from error


def opened_to_image(
    image: Image.Image, label: str, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """An image that a Python caller has opened with Pillow → what `read_image` gives for its file.

    Raises:
        ImageError: it cannot be decoded, or its file was closed.
        ImageSizeError: it has more pixels than `max_pixels`.
        MemoryLimitError: it does not fit into memory.
    """
    try:
        with _pillow_quiet():
            _check_size(image.size, max_pixels, label)
            _check_bands(image, label)
            return _upright(image, sixteen_bits=image.format in _SIXTEEN_BITS)
    except ImageError:
        raise
    except MemoryError as error:
        raise too_little_memory(label) from error
    except Exception as error:  # as above
        raise ImageError(reason(error, b"", label, max_pixels)) from error


@contextmanager
def open_header(path: Path) -> Iterator[Image.Image]:
    """A file opened as an image by the decoders that are allowed, not yet decoded.

    Raises:
        Exception: nearly any, where its header is damaged.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
        file.seek(0)
        with _pillow_quiet(), Image.open(file, formats=_formats(start[:HEAD_BYTES])) as image:
            note_bits(image, start)
            yield image


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=_formats(content[:HEAD_BYTES]))


def _formats(head: bytes) -> tuple[str, ...]:
    """The decoders that may read a file that begins so."""
    if not HAS_HEIF or image_format(head) != "HEIF":
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return ("HEIF",)


def to_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Grey to RGB by repetition, RGB to grey by ITU-R BT.601 luma; unchanged where it fits.

    Args:
        image: (..., H, W, 1) or (..., H, W, 3) uint8.
        channels: 1 or 3.

    Returns:
        (..., H, W, channels) uint8; the greys are those of Pillow's `convert("L")`.

    Raises:
        ConfigError: `channels` is neither 1 nor 3.
    """
    if channels not in {1, 3}:
        raise ConfigError(_("{given} channels are not possible; allowed: 1 or 3", given=channels))
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    rows = np.ascontiguousarray(image).reshape(-1, *image.shape[-2:])  # (rows, W, 3) uint8
    return np.array(Image.fromarray(rows).convert("L")).reshape(*image.shape[:-1], 1)


def array_to_image(value: NDArray[Any]) -> NDArray[np.uint8]:
    """Check an array from a Python caller and bring it to what `read_image` returns.

    Args:
        value: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): grey, RGB or RGBA (put on white). uint8 in
            0..255, uint16 (the highest 8 of the bits in use, as in `read_image`), bool, or float in
            0..1 (times 255, rounded). Whole numbers none of which is above 1 mean what those
            fractions do: 1 is white.

    Returns:
        (H, W, C) uint8, C 1 or 3; the same memory where nothing had to change.

    Raises:
        ImageError: another shape or type, or floats outside 0..1.
    """
    if not isinstance(value, np.ndarray):
        raise ImageError(
            _(
                "an image in memory must be a NumPy array, not {given}; use numpy.asarray",
                given=type(value).__name__,
            )
        )
    image = value[..., np.newaxis] if value.ndim == 2 else value
    if image.ndim != 3 or image.shape[-1] not in {1, 3, 4} or image.size == 0:
        raise ImageError(
            _(
                "an array of shape {given} is not one image; allowed: (height, width), or "
                "(height, width, channels) with 1, 3 or 4 channels; give images one by one",
                given=value.shape,
            )
        )
    pixels = _array_to_uint8(image)
    return _to_array(Image.fromarray(pixels)) if pixels.shape[-1] == 4 else pixels


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (H, W, 1), (H, W, 3) or (H, W, 4) uint8 → the bytes of a PNG of just these pixels."""
    content = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(flat)).save(content, "PNG")
    return content.getvalue()


def _array_to_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return spread_one_bit(image)
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "u" and image.dtype.itemsize == 2:
        return uint16_to_uint8(image)
    if image.dtype.kind != "f":
        raise ImageError(
            _(
                "pixels of type {given} are not possible; allowed: uint8 (0 to 255), uint16, bool, "
                "or float (0 to 1); for whole numbers from 0 to 255 use .astype('uint8')",
                given=str(image.dtype),
            )
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-4 and high <= 1.0001):  # NaN fails too; resizing may overshoot by a rounding
        raise ImageError(
            _(
                "floating-point pixels must be from 0 to 1, these are from {low} to {high}; "
                "divide them by 255, or give them as uint8",
                low=low,
                high=high,
            )
        )
    return np.rint(np.clip(image.astype(np.float32), 0, 1) * 255).astype(np.uint8)


@contextmanager
def _pillow_quiet() -> Iterator[None]:
    """Keep Pillow's warnings away from people: what matters among them, we raise.

    Warning filters belong to the process, not to a thread, so that two overlapping
    `catch_warnings` would leave each other's behind: the first thread in sets the filter, the last
    one out takes it away, and threads decode side by side in between.
    """
    with _quiet_lock:
        caught = _quiet_threads[0] if _quiet_threads else warnings.catch_warnings()
        if not _quiet_threads:
            caught.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _quiet_threads.append(caught)
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_threads.pop()
            if not _quiet_threads:
                caught.__exit__(None, None, None)


def _check_size(size: tuple[int, int], max_pixels: int, label: str) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageSizeError(
            _(
                "'{name}' has {width} × {height} pixels; at most {limit} in all are allowed; "
                "save a smaller copy",
                name=label,
                width=width,
                height=height,
                limit=max_pixels,
            )
        )


def _check_bands(image: Image.Image, label: str) -> None:
    """Refuse a TIFF of which Pillow would read the first of several bands alone."""
    if image.format == "TIFF" and len(image.getbands()) == 1:
        bands = image.tag_v2.get(_SAMPLES_TAG, 1)  # type: ignore[attr-defined]
        if bands > 1:
            raise ImageError(bands_text(label, bands))


def _decode(image: Image.Image, content: bytes) -> NDArray[np.uint8]:
    """Opened image → (H, W, C) uint8, upright.

    Args:
        image: not yet decoded.
        content: the bytes that it was opened from.
    """
    sixteen_bits = image.format in _SIXTEEN_BITS
    note_bits(image, content)
    wide = is_wide_rgb(image) and "transparency" not in image.info
    image.load()
    if wide and int(np.array(image).max(initial=0)) < _HIGH_BYTE_OF_14_BITS:
        transposition = _TRANSPOSITIONS.get(_orientation(image))
        with _open(content) as low:
            give_low_bytes(low)
            low.load()
            image = Image.fromarray(join_bytes(image, low))
        return _upright(image, transposition, sixteen_bits=sixteen_bits)
    return _upright(image, sixteen_bits=sixteen_bits)


def _upright(
    image: Image.Image,
    transposition: Image.Transpose | None = None,
    *,
    sixteen_bits: bool,
) -> NDArray[np.uint8]:
    """Turned as its EXIF says (or as is given) → (H, W, C) uint8."""
    image.load()
    # After load: some formats are turned by Pillow while they load, and then no longer say so.
    transposition = transposition or _TRANSPOSITIONS.get(_orientation(image))
    upright = image if transposition is None else image.transpose(transposition)
    pixels = _to_array(upright, sixteen_bits=sixteen_bits)  # (H, W, C) uint8
    if pixels.size == 0:
        raise ValueError("no pixels")
    return pixels


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where EXIF is damaged, for the picture may well be whole."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001  hostile EXIF makes the parser raise nearly anything
        return 1


def _to_array(image: Image.Image, *, sixteen_bits: bool = False) -> NDArray[np.uint8]:
    """Any Pillow mode → (H, W, C) uint8, C 1 or 3."""
    if image.mode.startswith(("I", "F")):
        return wide_to_uint8(image, sixteen_bits=sixteen_bits)[..., np.newaxis]
    grey = image.mode in {"1", "L", "LA", "La"}
    if image.has_transparency_data:
        image = _on_white(image, "L" if grey else "RGB")
    elif image.mode not in {"L", "RGB"}:
        image = image.convert("L" if grey else "RGB")
    pixels = spread_one_bit(np.array(image))  # (H, W) or (H, W, 3) uint8
    return pixels[..., np.newaxis] if grey else pixels


def _on_white(image: Image.Image, mode: str) -> Image.Image:
    """Composite on white; `mode` is L or RGB."""
    layered = image.convert("LA" if mode == "L" else "RGBA")
    alpha, colours = layered.getchannel("A"), np.array(layered.convert(mode))
    colours[np.asarray(alpha) == 0] = 0  # what nobody sees says nothing of the range
    white = Image.new(mode, image.size, "white")
    white.paste(Image.fromarray(spread_one_bit(colours)), mask=alpha)
    return white
