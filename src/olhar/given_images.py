"""What a Python caller may give as one image → uint8 pixels: files, arrays, Pillow's images, tensors.

Does not know: sizes, networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.errors import ImageError
from olhar.i18n import _
from olhar.image_bytes import no_image, too_little_memory
from olhar.images import MAX_PIXELS, array_to_image, opened_to_image, read_image

# Pillow's images, tensors and whatever NumPy makes an array of, too; their libraries are not imported.
ImageSource = Path | str | bytes | BinaryIO | NDArray[Any] | Image.Image | Any


def to_image(
    source: ImageSource,
    *,
    name: str | None = None,
    shrink_to: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """One image, however it is given → (H, W, C) uint8, C 1 or 3.

    Args:
        source: what `read_image` or `array_to_image` takes; a Pillow image; or an array-like, as nested
            lists or a tensor of any library: (H, W), (H, W, C), or (C, H, W) with 1 or 3 channels, as
            torch has them. Whole numbers of nested lists are from 0 to 255.
        name: what messages call it.
        shrink_to: see `read_image`.
        max_pixels: width × height that a file may have.

    Raises:
        ImageError: it is no image, or its values may mean two things.
        MemoryLimitError: it does not fit into memory.
    """
    try:
        if isinstance(source, np.ndarray):
            return array_to_image(source)
        if isinstance(source, Image.Image):
            return opened_to_image(source, name or _called(source), max_pixels=max_pixels)
        if isinstance(source, list | tuple) or _is_array_like(source):
            return array_to_image(_as_array(source))
        return read_image(source, name=name, shrink_to=shrink_to, max_pixels=max_pixels)
    except MemoryError as error:
        raise too_little_memory(name or type(source).__name__) from error


def _called(image: Image.Image) -> str:
    return str(getattr(image, "filename", "")) or "<Pillow image>"


def _is_array_like(source: object) -> bool:
    return hasattr(source, "__array__") or hasattr(source, "__array_interface__")


def _as_array(source: Any) -> NDArray[Any]:
    """An array-like as an array with its channels last."""
    if hasattr(source, "detach"):  # torch's, perhaps of another device, or with a gradient
        source = source.detach().cpu()
    try:
        array = np.asarray(source)
    except MemoryError:
        raise
    except Exception as error:  # other libraries' arrays raise nearly anything
        raise ImageError(
            _(
                "this {given} is no array of pixels: {reason}",
                given=type(source).__name__,
                reason=error,
            )
        ) from error
    if array.dtype.kind not in "buif" or array.ndim < 2:
        raise no_image(source)
    if isinstance(source, list | tuple) and array.dtype.kind == "i":
        array = _whole_numbers(array)
    return _channels_last(array)


def _whole_numbers(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Whole numbers of a list, 0 to 255."""
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    if low < 0 or high > 255 or high == 1:
        raise ImageError(
            _(
                "whole numbers from {low} to {high} may mean several things; give an array of NumPy: "
                "uint8 (0 to 255), float (0 to 1) or bool",
                low=low,
                high=high,
            )
        )
    return array.astype(np.uint8)


def _channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """(C, H, W) as torch has it, where its shape can mean nothing else → (H, W, C)."""
    if array.ndim != 3:
        return array
    first, last = array.shape[0] in {1, 3}, array.shape[-1] in {1, 3, 4}
    if first and last:
        raise ImageError(
            _(
                "an image of shape {given} may have its channels first or last; give a NumPy array "
                "with the channels last",
                given=array.shape,
            )
        )
    return array.transpose(1, 2, 0) if first else array
