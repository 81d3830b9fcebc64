"""What happens to an image before the network sees it: one object, stored in the model.

Training, evaluation, prediction, export and serving all use this one. `Framing` is how an image becomes
a square of pixels, which is all that data sets need to know; `Preprocess` adds how the network scales them.
Pixels stay uint8 until the network's own first step, which scales and normalises with `mean` and `std`
(see networks.build.Normalise).

Pixels lie as (H, W, C), in memory, in the cache and on the screen; network inputs as (C, H, W). They turn
in `to_inputs` alone, once an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.data_settings import DATA, INVERT
from olhar.errors import ModelError, unknown_name
from olhar.given_images import ImageSource, to_image
from olhar.i18n import _
from olhar.image_bytes import label_of, too_little_memory
from olhar.images import MAX_PIXELS, to_channels
from olhar.progress import Progress

_STATISTICS_SAMPLE = 10_000
_STATISTICS_BYTES = 128 * 2**20
_BATCH, _BATCH_PIXELS = 256, 2**20
_BORDER = 14  # parts of a side: MNIST's digits keep further from it
_SURE = 0.05  # of brightness 0 to 1, on either side of the middle

# Images whose shorter side is at least this long are photos (docs/transfer.md): a backbone takes them
# at its own size and warns of what is unlike them, and is what they are trained with by default.
PHOTO_SIDE = 96

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Framing:
    """How any image becomes a square of pixels.

    Attributes:
        size: side of the square, in pixels.
        channels: 1 (grey) or 3 (colour).
        resize: "crop" scales the shorter side to `size` and cuts out the centre; "squash" scales
            both sides to `size`; "pad" scales the longer side to `size` and fills up the other with
            the photo's own mean colour. "auto" is "crop" where nothing has chosen otherwise.
    """

    size: int
    channels: int
    resize: str = field(default="crop", kw_only=True)

    def __post_init__(self) -> None:
        for name in ("size", "channels", "resize"):
            object.__setattr__(self, name, DATA[name].read(getattr(self, name)))
        if self.resize == "auto":
            object.__setattr__(self, "resize", "crop")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(size, size, C) of an image that is framed."""
        return self.size, self.size, self.channels

    def read_pixels(
        self, source: ImageSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
    ) -> Pixels:
        """One image, as `given_images.to_image` takes it → (size, size, C) uint8.

        Args:
            source: one image.
            name: what messages call it.
            max_pixels: width × height that a file may have.

        Raises:
            ImageError: it cannot be read as an image.
        """
        shrink_to = 2 * self.size
        image = to_image(source, name=name, shrink_to=shrink_to, max_pixels=max_pixels)
        try:
            return self.frame(image)
        except MemoryError as error:
            raise too_little_memory(name or label_of(source)) from error

    def frame(self, image: Pixels) -> Pixels:
        """One decoded image (H, W, C) uint8 → (size, size, C) uint8; its own memory where it fits."""
        image = to_channels(image, self.channels)
        return image if image.shape == self.shape else self._resized(image)

    def _resized(self, image: Pixels) -> Pixels:
        height, width, channels = image.shape
        box = None
        if self.resize == "crop":
            side = min(height, width)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
        if self.resize == "pad":
            scale = self.size / max(height, width)
            inner = max(1, round(height * scale)), max(1, round(width * scale))
            picture = picture.resize(inner[::-1], Image.Resampling.BICUBIC)
            return self._padded(np.asarray(picture).reshape(*inner, channels))
        picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        return np.asarray(picture).reshape(self.shape)

    def _padded(self, inner: Pixels) -> Pixels:
        """Pixels (h, w, C) in the middle of a square of their mean colour."""
        height, width, channels = inner.shape
        mean = inner.reshape(-1, channels).mean(axis=0)
        square = np.empty(self.shape, np.uint8)
        square[:] = (mean + 0.5).astype(np.uint8)
        top, left = (self.size - height) // 2, (self.size - width) // 2
        square[top : top + height, left : left + width] = inner
        return square


@dataclass(frozen=True)
class Preprocess(Framing):
    """How any image becomes the network's input: its framing, and how the network scales its pixels.

    Attributes:
        mean: per channel, of pixels scaled to 0..1.
        std: per channel, of pixels scaled to 0..1.
        border: of a grey model whose training images are all dark at the border, or all bright: the
            least and the greatest mean brightness there, 0 to 1; else None.
        invert: whether dark is read as bright: no, yes, or auto, which is decided for each image by its
            border (see `inverts`), where `border` says what the model has learnt. Not stored.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    border: tuple[float, float] | None = field(default=None, kw_only=True)
    invert: str = field(default="auto", kw_only=True)

    def read(
        self, source: ImageSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
    ) -> Pixels:
        """One image, as `read_pixels` takes it → a network input (C, size, size) uint8."""
        return self.read_input(source, name=name, max_pixels=max_pixels)[0]

    def read_input(
        self, source: ImageSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
    ) -> tuple[Pixels, bool]:
        """The same, and whether it was inverted."""
        framed = super().read_pixels(source, name=name, max_pixels=max_pixels)
        inverted = bool(self.inverts(framed[None])[0])
        return to_inputs(255 - framed if inverted else framed), inverted

    def read_pixels(
        self, source: ImageSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
    ) -> Pixels:
        """As of Framing; inverted where `invert` asks for it."""
        framed = super().read_pixels(source, name=name, max_pixels=max_pixels)
        pixels: Pixels = self.turned(framed[None])[0]
        return pixels

    def reading(self, invert: str | None) -> Preprocess:
        """The same with another `invert`; None leaves it.

        Raises:
            UnknownNameError: it is none of `INVERT`.
        """
        if invert not in {None, *INVERT}:
            raise unknown_name("--invert", str(invert), INVERT)
        return self if invert in {None, self.invert} else replace(self, invert=invert)

    def inverts(self, pixels: Pixels) -> NDArray[np.bool_]:
        """Which of some framed images (n, size, size, C) uint8 are inverted: (n,) bool.

        Under auto those whose border is bright where that of every training image was dark, or the
        other way round: a dark digit on paper, where the model learnt bright digits on black.
        """
        if self.invert != "auto" or self.border is None:
            return np.full(len(pixels), self.invert == "yes")
        brightness = border_brightness(pixels)
        learnt_dark = self.border[1] < 0.5
        inverted: NDArray[np.bool_] = (
            brightness > 0.5 + _SURE if learnt_dark else brightness < 0.5 - _SURE
        )
        return inverted

    def turned(self, pixels: Pixels) -> Pixels:
        """Framed images (n, size, size, C) uint8 with those inverted that `inverts` names."""
        which = self.inverts(pixels)
        if not which.any():
            return pixels
        turned: Pixels = np.where(which[:, None, None, None], 255 - pixels, pixels)
        return turned

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "size": self.size,
            "channels": self.channels,
            "mean": list(self.mean),
            "std": list(self.std),
            "resize": self.resize,
            **({"border": list(self.border)} if self.border else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """From plain values, as `to_dict` gives them."""
        try:
            fields = dict(values)
            fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
            if fields.get("border"):
                fields["border"] = tuple(map(float, fields["border"]))
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ModelError(
                _("the model's preprocess settings are not readable: {reason}", reason=error)
            ) from error


def border_brightness(pixels: Pixels) -> NDArray[np.float64]:
    """Mean brightness at the border of framed images (n, size, size, C) uint8: (n,), 0 to 1."""
    size = pixels.shape[1]
    width = max(1, size // _BORDER)
    inner = slice(width, size - width)
    total = pixels.sum(axis=(1, 2, 3), dtype=np.float64)
    total -= pixels[:, inner, inner].sum(axis=(1, 2, 3), dtype=np.float64)
    count = (size**2 - max(0, size - 2 * width) ** 2) * pixels.shape[3]
    brightness: NDArray[np.float64] = total / (255 * count)
    return brightness


def border_range(images: Pixels, indices: NDArray[np.int64]) -> tuple[float, float] | None:
    """`Preprocess.border` of grey training images; None where some are dark and some bright there.

    Args:
        images: (N, H, W, C) uint8, the pool.
        indices: (n,) which of them; they are sampled as by `channel_statistics`.
    """
    if images.shape[3] != 1:
        return None
    brightness = border_brightness(images[_sample(images, indices)])
    low, high = float(brightness.min()), float(brightness.max())
    if high < 0.5 - _SURE or low > 0.5 + _SURE:
        return round(low, 4), round(high, 4)
    return None


def choose_side(sizes: Sequence[int], image_side: int) -> int:
    """The input side of a backbone for images whose shorter side is so long.

    Args:
        sizes: those that it takes well, in rising order; the last is what it was trained on.
        image_side: in pixels.
    """
    return sizes[-1 if image_side >= PHOTO_SIDE else 0]


def to_inputs(pixels: Pixels) -> Pixels:
    """Pixels (..., H, W, C) uint8 → network inputs (..., C, H, W) uint8, contiguous."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, -3))


def batch_rows(size: int) -> int:
    """How many network inputs of this side are computed at once: 256, fewer of large ones.

    What the layers of a large network hold for 256 inputs of 224 pixels is 2 GB and more.
    """
    return max(8, min(_BATCH, _BATCH_PIXELS // size**2))


def input_batches(
    images: Pixels,
    rows: NDArray[np.int64],
    change: Callable[[Pixels], Pixels] | None = None,
) -> Iterator[Pixels]:
    """Walk over rows of a pool, in their order, a batch at a time.

    Args:
        images: (N, size, size, C) uint8, framed; a memory map, or lazily resized.
        rows: (n,) which of them.
        change: what is done with the pixels (b, size, size, C) of each batch; by default nothing.

    Yields:
        Network inputs (b, C, size, size) uint8, contiguous; b is `batch_rows`, less in the last.
    """
    step = batch_rows(images.shape[1])
    for start in range(0, len(rows), step):
        pixels = images[rows[start : start + step]]
        yield to_inputs(change(pixels) if change else pixels)


def compute_rows(
    compute: Callable[[Pixels], NDArray[np.float32]],
    images: Pixels,
    rows: NDArray[np.int64],
    progress: Progress | None = None,
    change: Callable[[Pixels], Pixels] | None = None,
) -> NDArray[np.float32]:
    """What `compute` gives for network inputs (b, C, size, size), of all rows: (n, ...) float32.

    The pool, its rows and `change` are as `input_batches` takes them; `progress` hears how many are
    done.
    """
    found, done = [], 0
    for inputs in input_batches(images, rows, change):
        found.append(compute(inputs))
        done += len(inputs)
        if progress:
            progress.advance(done)
    return np.concatenate(found)


def _sample(images: Pixels, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most 10,000 of some rows and 128 MiB, evenly spaced."""
    most = max(1, min(_STATISTICS_SAMPLE, _STATISTICS_BYTES // images[0].nbytes))
    return indices[:: -(-len(indices) // most)]


def channel_statistics(
    images: Pixels, indices: NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of the training images, scaled to 0..1.

    Args:
        images: (N, H, W, C) uint8, the pool.
        indices: (n,) which of them; at most 10,000 and 128 MiB, evenly spaced, are read.

    Returns:
        Means and standard deviations; a channel without contrast gets a std of 1.
    """
    sample = images[_sample(images, indices)]  # (n, H, W, C) uint8
    values = np.arange(256) / 255
    means, stds = [], []
    for channel in range(sample.shape[3]):
        counts = np.bincount(sample[..., channel].ravel(), minlength=256)
        mean = float(np.average(values, weights=counts))
        std = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
        means.append(round(mean, 4))
        stds.append(round(std, 4) or 1.0)
    return tuple(means), tuple(stds)
