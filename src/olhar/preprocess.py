"""What happens to an image before the network sees it: one object, stored in the model.

Training, evaluation, prediction, export and serving all use this one. Pixels stay uint8 until the
network's own first step, which scales and normalises with `mean` and `std` (see networks.build.Normalise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.errors import ConfigError, ModelError
from olhar.i18n import _
from olhar.images import MAX_PIXELS, read_image, to_channels

RESIZE_RULES = ("crop", "squash")
_LARGEST_SIZE = 2048
_STATISTICS_SAMPLE = 10_000
_STATISTICS_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Preprocess:
    """How any image becomes the network's input.

    Attributes:
        size: side of the square input, in pixels.
        channels: 1 (grey) or 3 (colour).
        mean: per channel, of pixels scaled to 0..1.
        std: per channel, of pixels scaled to 0..1.
        resize: "crop" scales the shorter side to `size` and cuts out the centre; "squash" scales
            both sides to `size`.
    """

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: str = "crop"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= _LARGEST_SIZE:
            raise ConfigError(
                _(
                    "size is {given}; allowed: 1 to {largest} pixels",
                    given=self.size,
                    largest=_LARGEST_SIZE,
                )
            )
        if self.channels not in (1, 3):
            raise ConfigError(
                _("channels is {given}; allowed: 1 (grey) or 3 (colour)", given=self.channels)
            )
        if self.resize not in RESIZE_RULES:
            raise ConfigError(
                _(
                    "resize rule '{given}' is unknown; allowed: {allowed}",
                    given=self.resize,
                    allowed=", ".join(RESIZE_RULES),
                )
            )

    def read(
        self,
        source: Path | str | bytes | BinaryIO,
        *,
        name: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> NDArray[np.uint8]:
        """A file, path or bytes → (C, size, size) uint8; `name` is what messages call it.

        Raises:
            ImageError: it cannot be read as an image.
        """
        picture = read_image(source, name=name, shrink_to=2 * self.size, max_pixels=max_pixels)
        return self.image(picture)

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One decoded image (H, W, C) uint8 → (C, size, size) uint8."""
        image = to_channels(image, self.channels)
        if image.shape[:2] != (self.size, self.size):
            image = self._resized(image)
        return np.ascontiguousarray(image.transpose(2, 0, 1))

    def _resized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width, channels = image.shape
        box = None
        if self.resize == "crop":
            side = min(height, width)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
        picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        return np.asarray(picture).reshape(self.size, self.size, channels)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """From plain values, as `to_dict` gives them."""
        try:
            fields = dict(values)
            fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ModelError(
                _("the model's preprocess settings are not readable: {reason}", reason=error)
            ) from error


def channel_statistics(
    images: NDArray[np.uint8], indices: NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of the training images, scaled to 0..1.

    Args:
        images: (N, H, W, C) uint8, the pool.
        indices: (n,) which of them; at most 10,000 and 128 MiB, evenly spaced, are read.

    Returns:
        Means and standard deviations; a channel without contrast gets a std of 1.
    """
    most = max(1, min(_STATISTICS_SAMPLE, _STATISTICS_BYTES // images[0].nbytes))
    step = -(-len(indices) // most)
    sample = images[indices[::step]]  # (n, H, W, C) uint8
    values = np.arange(256) / 255
    means, stds = [], []
    for channel in range(sample.shape[3]):
        counts = np.bincount(sample[..., channel].ravel(), minlength=256)
        mean = float(np.average(values, weights=counts))
        std = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
        means.append(round(mean, 4))
        stds.append(round(std, 4) or 1.0)
    return tuple(means), tuple(stds)
