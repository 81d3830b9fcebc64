"""What the network sees of a photo, and where it looked, as pictures for the page.

Does not know: HTTP. Needs no Matplotlib: the browser enlarges and lays one picture over the other.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier
from olhar.evaluation.explain import explain
from olhar.images import MAX_PIXELS, encode_png

_FAINT = 0.05  # a fall of the probability under this is not shown in full colour
_HEAT = (213, 94, 0)  # vermillion of Okabe and Ito, "Color universal design", 2008


def heat_png(heat: NDArray[np.floating]) -> bytes:
    """Heat (H, W) as a PNG that is one colour, the more opaque the more the place matters."""
    shares = np.maximum(heat, 0)
    layer = np.empty((*heat.shape, 4), np.uint8)  # (H, W, RGBA)
    layer[..., :3] = _HEAT
    layer[..., 3] = np.rint(230 * np.sqrt(shares / max(float(shares.max()), _FAINT)))
    return encode_png(layer)


def explain_photo(
    classifier: Classifier, content: bytes, *, name: str = "-", max_pixels: int = MAX_PIXELS
) -> dict[str, Any]:
    """Where a classifier looks in a photo.

    Args:
        classifier: answers for 370 covered copies of the photo.
        content: bytes of the photo.
        name: what to call it.
        max_pixels: width × height allowed.

    Returns:
        As `explain --json` gives it, with `shown_label` and `sentence` in the language in force,
        and as base64 of PNGs at the network's size: `seen`, and `heatmap` to lay over it.

    Raises:
        ImageError: it cannot be read as an image.
    """
    found = explain(classifier, content, name=name, max_pixels=max_pixels)
    return {
        **found.to_dict(),
        "shown_label": found.shown_label,
        "sentence": str(found.sentence()),
        "seen": base64.b64encode(encode_png(found.image)).decode(),
        "heatmap": base64.b64encode(heat_png(found.heat)).decode(),
    }
