"""How the drawings that a model knows lie in their images.

Does not know: who draws, or on what.
"""

from __future__ import annotations

from dataclasses import dataclass

from olhar.classifier import ModelConfig
from olhar.datasets.class_names import class_key

_SMALL = 64  # pixels; larger greys are photos


@dataclass(frozen=True)
class DigitStyle:
    """How the digits of a data set lie in their images, in pixels of the image.

    Attributes:
        field: side of the image.
        box: side of the square that the digit is fitted into.
        pen: width of a stroke, such that drawings have as much ink as the data set.
        by_mass: whether the centre of mass, or else of the box around the ink, is at the centre.
    """

    field: int
    box: int
    pen: float
    by_mass: bool


# LeCun, Cortes and Burges, "The MNIST database": fitted into 20 × 20 pixels with the aspect kept,
# the centre of mass at the centre of 28 × 28.
MNIST = DigitStyle(field=28, box=20, pen=2.6, by_mass=True)
# Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI 1998: 8 × 8 and filled.
UCI_DIGITS = DigitStyle(field=8, box=8, pen=1.25, by_mass=False)


def knows_digits(config: ModelConfig) -> bool:
    """Whether its classes are the ten digits."""
    names = config.class_names
    return len(names) == 10 and {class_key(name) for name in names} == set("0123456789")


def digit_style(config: ModelConfig) -> DigitStyle | None:
    """How to draw for a model of grey digits; None for every other model."""
    if not knows_digits(config) or config.preprocess.channels != 1:
        return None
    return UCI_DIGITS if config.data.get("name") == "digits" else MNIST


def drawing_style(config: ModelConfig) -> DigitStyle | None:
    """How to draw for a model of small greys; None for every other model.

    Digits are drawn as those of their data set; letters and the like are taken to lie as those of MNIST
    do, at the size of the network's input.
    """
    size = config.preprocess.size
    if config.preprocess.channels != 1 or size > _SMALL:
        return None
    scale = size / MNIST.field
    other = DigitStyle(size, max(1, round(MNIST.box * scale)), MNIST.pen * scale, by_mass=True)
    return digit_style(config) or other
