"""A file, bytes or an array → one uint8 image. The only place that decodes.

Does not know: networks, sizes, data sets, or what a photo shows. Colour profiles are not applied:
pixel values are taken as they are stored.
"""

from __future__ import annotations

import importlib.util
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from olhar.errors import ConfigError, ImageError, ImageSizeError, explain_os_errors
from olhar.i18n import Text, _

MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30  # no picture of MAX_PIXELS needs more; stops a mislabelled film or archive

_HAS_AVIF = importlib.util.find_spec("PIL._avif") is not None
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", *([".avif"] if _HAS_AVIF else [])}
)

# Only these decoders run, whatever a file says it is: others are rare, and some start programs.
# The first five are loaded by Pillow anyway; asking for the rest loads all of its plug-ins.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", *(("AVIF",) if _HAS_AVIF else ()))
_ALLOWED = ", ".join(_FORMATS)

_SIGNATURES = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_LOOKALIKES = (  # lower case, at the start of the file
    (b"version https://git-lfs", _("a Git LFS pointer (fetch it with `git lfs pull`)")),
    (b"%pdf", _("a PDF document")),
    (b"%!ps", _("a PostScript file")),
    (b"pk\x03\x04", _("a ZIP archive or Office document")),
    (b"rar!", _("a RAR archive")),
    (b"\x1f\x8b", _("a gzip archive")),
    (b"8bps", _("a Photoshop document")),
    (b"{", _("JSON text")),
    (b"<?xml", _("an XML file")),
)

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

_quiet_lock = threading.Lock()
_quiet_threads: list[warnings.catch_warnings[None]] = []


def is_image_name(path: Path | str) -> bool:
    """Whether the suffix of `path` is that of an image; upper and lower case are the same."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def read_image(
    source: Path | str | bytes | BinaryIO,
    *,
    name: str | None = None,
    shrink_to: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Decode an image as a person sees it: upright, on white, 8 bits, its first frame.

    16-bit values keep their high byte. 32-bit and float greys are fitted into 0..255.

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
    label = name or _label_of(source)
    content = _read_bytes(source, label)
    if not content:
        raise ImageError(
            _("'{name}' is empty (0 bytes); copy or download it again, or remove it", name=label)
        )
    try:
        with _pillow_quiet(), Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _check_size(image.size, max_pixels, label)
            if shrink_to:
                image.draft(None, (shrink_to, shrink_to))
            return _decode(image)
    except ImageError:
        raise
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        kind = ImageSizeError if isinstance(error, Image.DecompressionBombError) else ImageError
        raise kind(_reason(error, content, label, max_pixels)) from error


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
            0..255, uint16 in 0..65535, bool, or float in 0..1 (times 255, rounded).

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
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "u" and image.dtype.itemsize == 2:
        return (image >> 8).astype(np.uint8)
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


def _label_of(source: Path | str | bytes | BinaryIO) -> str:
    if isinstance(source, Path | str):
        return str(source)
    called = getattr(source, "name", None)
    return called if isinstance(called, str) else "<bytes>"


def _read_bytes(source: Path | str | bytes | BinaryIO, label: str) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, Path | str):
        with explain_os_errors(label):
            return source.read()
    path = Path(source)
    with explain_os_errors(path):
        if "\0" in str(path):
            raise ImageError(
                _("{name} is not a file name; it contains a null byte", name=repr(label))
            )
        if path.is_dir():
            raise ImageError(_("'{name}' is a folder; give an image file instead", name=label))
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ImageError(
                _(
                    "'{name}' has {given} bytes; at most {limit} are allowed; save a smaller copy",
                    name=label,
                    given=size_bytes,
                    limit=MAX_BYTES,
                )
            )
        return path.read_bytes()


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


def _decode(image: Image.Image) -> NDArray[np.uint8]:
    """Opened image → (H, W, C) uint8, upright."""
    # Only PNG and PPM promise that a 32-bit grey holds 16 bits.
    sixteen_bits = image.format in {"PNG", "PPM"}
    image.load()
    # After load: some formats are turned by Pillow while they load, and then no longer say so.
    transposition = _TRANSPOSITIONS.get(_orientation(image))
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
        return _wide_to_uint8(image, sixteen_bits=sixteen_bits)[..., np.newaxis]
    grey = image.mode in {"1", "L", "LA", "La"}
    if image.has_transparency_data:
        image = _on_white(image, "L" if grey else "RGB")
    elif image.mode not in {"L", "RGB"}:
        image = image.convert("L" if grey else "RGB")
    pixels = np.array(image)  # (H, W) or (H, W, 3) uint8
    return pixels[..., np.newaxis] if grey else pixels


def _on_white(image: Image.Image, mode: str) -> Image.Image:
    """Composite on white; `mode` is L or RGB."""
    layered = image.convert("LA" if mode == "L" else "RGBA")
    white = Image.new(mode, image.size, "white")
    white.paste(layered.convert(mode), mask=layered.getchannel("A"))
    return white


def _wide_to_uint8(image: Image.Image, *, sixteen_bits: bool) -> NDArray[np.uint8]:
    """Grey of more than 8 bits (modes I;16…, I, F) → (H, W) uint8."""
    values = np.array(image)  # (H, W) uint16, int32 or float32
    if image.mode.startswith("I;16") or sixteen_bits:
        # The high byte, which is also what Pillow keeps of 16-bit RGB.
        pixels: NDArray[np.uint8] = (np.clip(values, 0, 65535) >> 8).astype(np.uint8)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            pixels[values == transparent] = 255
        return pixels
    # Nothing says what is white, so the values must: the least usual range that holds them all,
    # and where there is none (heights, temperatures), from the least to the greatest.
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    white = next((top for top in ranges if low >= 0 and high <= top), None)
    if white is None:
        finite, white = finite - low, max(high - low, 1e-30)
    return np.rint(finite * (255.0 / white)).astype(np.uint8)


def _reason(error: Exception, content: bytes, label: str, max_pixels: int) -> Text:
    """Why Pillow could not read it, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        return _(
            "'{name}' has far too many pixels; at most {limit} are allowed; save a smaller copy",
            name=label,
            limit=max_pixels,
        )
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(content, label)
    if isinstance(error, EOFError) or "truncat" in str(error).lower():
        return _(
            "'{name}' ends too early, a part is missing; copy or download it again, or remove it",
            name=label,
        )
    return _(
        "'{name}' is damaged ({reason}); copy or download it again, or remove it",
        name=label,
        reason=str(error) or type(error).__name__,
    )


def _unidentified(content: bytes, label: str) -> Text:
    for start, image_format in _SIGNATURES:
        if content.startswith(start):
            return _(
                "'{name}' begins like a {format} image, but its header is damaged or of a kind "
                "that cannot be read; save it again as an 8-bit PNG or JPEG, or remove it",
                name=label,
                format=image_format,
            )
    return _(
        "'{name}' is not an image that can be read: it looks like {kind}; allowed: {allowed}; "
        "convert it to one of them, or remove it",
        name=label,
        kind=_looks_like(content),
        allowed=_ALLOWED,
    )


def _looks_like(content: bytes) -> Text:
    """What a file that is no readable image seems to be, judged by its first bytes."""
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<") and b"<svg" in head:
        return _("an SVG drawing")
    if head.startswith(b"<") and (b"<html" in head or b"<!doctype html" in head):
        return _("an HTML page")
    if content[4:8] == b"ftyp":
        still = content[8:12] in {b"heic", b"heix", b"hevc", b"mif1", b"msf1"}
        return _("a HEIC photo, as phones make them") if still else _("a video or an AVIF image")
    for start, kind in _LOOKALIKES:
        if head.startswith(start):
            return kind
    printable = all(byte >= 32 or byte in b"\t\r\n" for byte in content[:1024])
    return _("text") if printable else _("data of an unknown kind")
