"""What the network sees of a photo, and where it looked, as pictures for the page.

Does not know: HTTP. Needs no Matplotlib: the browser enlarges and lays one picture over the other.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.classifier import Classifier
from olhar.evaluation.explain import explain
from olhar.images import MAX_PIXELS

_FAINT = 0.05  # a fall of the probability under this is not shown in full colour
_HEAT = (213, 94, 0)  # vermillion of Okabe and Ito, "Color universal design", 2008


def seen_png(inputs: NDArray[np.uint8]) -> bytes:
    """A network input (C, H, W) uint8 as the bytes of a PNG of the same size."""
    image = inputs.transpose(1, 2, 0)  # (H, W, C) uint8
    return _to_png(image[:, :, 0] if image.shape[2] == 1 else image)


def heat_png(heat: NDArray[np.floating]) -> bytes:
    """Heat (H, W) as a PNG that is one colour, the more opaque the more the place matters."""
    shares = np.maximum(heat, 0)
    layer = np.empty((*heat.shape, 4), np.uint8)  # (H, W, RGBA)
    layer[..., :3] = _HEAT
    layer[..., 3] = np.rint(230 * np.sqrt(shares / max(float(shares.max()), _FAINT)))
    return _to_png(layer)


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
    inputs = classifier.preprocess.read(content, name=name, max_pixels=max_pixels)
    # The network's own input, which preprocessing leaves as it is.
    found = explain(classifier, inputs.transpose(1, 2, 0), name=name)
    return {
        **found.to_dict(),
        "shown_label": found.shown_label,
        "sentence": str(found.sentence()),
        "seen": base64.b64encode(seen_png(found.image.transpose(2, 0, 1))).decode(),
        "heatmap": base64.b64encode(heat_png(found.heat)).decode(),
    }


def _to_png(pixels: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG")
    return content.getvalue()
