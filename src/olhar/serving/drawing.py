"""Strokes of a pen become the image of a digit, the way the training digits were made.

Does not know: the page that they were drawn on, or the network. The browser sends the pen's path
and not its pixels, so that a drawing is the same image on every screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from olhar.errors import ImageError
from olhar.i18n import _
from olhar.native.style import MNIST, DigitStyle

_MOST_POINTS = 20_000
_SUPERSAMPLING = 16

Strokes = Sequence[Sequence[tuple[float, float]]]


def read_strokes(value: Any) -> Strokes:
    """Check `[[[x, y], …], …]`, a list of points for each stroke, as JSON gives it.

    Raises:
        ImageError: it is something else, empty, or too long.
    """
    try:
        strokes = [[(float(x), float(y)) for x, y in stroke] for stroke in value]
        points = [number for stroke in strokes for point in stroke for number in point]
        bad = not all(math.isfinite(number) and abs(number) < 1e6 for number in points)
    except (TypeError, ValueError, OverflowError):
        points, bad = [], True
    if bad or len(points) > 2 * _MOST_POINTS:
        raise ImageError(
            _(
                "the drawing cannot be read; send strokes as lists of points [x, y], at most "
                "{limit} points in all",
                limit=_MOST_POINTS,
            )
        )
    if not points:
        raise ImageError(_("the drawing is empty; draw a digit first"))
    return [stroke for stroke in strokes if stroke]


def draw_digit(strokes: Strokes, style: DigitStyle = MNIST) -> NDArray[np.uint8]:
    """Strokes → the image of a digit, (field, field) uint8, white on black.

    The pen is as wide as the data set's, however large the drawing is.

    Args:
        strokes: points (x, y) of each stroke, y downwards, in any unit.
        style: of the data set that the model was trained on.
    """
    points = np.array([point for stroke in strokes for point in stroke])  # (P, 2)
    low = points.min(axis=0)
    longest = float((points.max(axis=0) - low).max())
    box, pen = style.box * _SUPERSAMPLING, style.pen * _SUPERSAMPLING
    scale = (box - pen) / longest if longest else 0.0
    picture = Image.new("L", (box, box))
    brush = ImageDraw.Draw(picture)
    for stroke in strokes:
        path = [tuple((np.array(point) - low) * scale + pen / 2) for point in stroke]
        brush.line(path, fill=255, width=round(pen), joint="curve")
        for x, y in path[:1] + path[-1:]:  # round ends
            brush.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return centre_digit(np.asarray(picture), style)


def centre_digit(ink: NDArray[np.uint8], style: DigitStyle = MNIST) -> NDArray[np.uint8]:
    """Crop a digit to its ink, fit it into the box, and put it at the centre.

    Args:
        ink: (H, W) uint8, white on black, at any size, with some ink.
        style: of the data set that the model was trained on.

    Returns:
        (field, field) uint8.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * style.box / max(ink.shape))) for side in ink.shape)
    small = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))
    # Whole pixels, as in MNIST, whose centres of mass all lie within half a pixel of 14.
    middle = style.field // 2
    top, left = (style.field - height) // 2, (style.field - width) // 2
    if style.by_mass:
        mass = small.sum(dtype=np.float64)
        top = round(middle - float(small.sum(axis=1) @ np.arange(height)) / mass)
        left = round(middle - float(small.sum(axis=0) @ np.arange(width)) / mass)
    top = min(max(top, 0), style.field - height)
    left = min(max(left, 0), style.field - width)
    image = np.zeros((style.field, style.field), np.uint8)
    image[top : top + height, left : left + width] = small
    return image
