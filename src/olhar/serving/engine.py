"""The one way from photos to answers, for every protocol.

A photo goes through `Preprocess.read` and `Classifier.predict_outputs`, as on the command line, and
its answer is `Prediction.to_dict()`, as `olhar predict --json` prints it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.depth import spread_one_bit
from olhar.errors import ConfigError, ImageError
from olhar.i18n import _
from olhar.prediction import Outputs
from olhar.serving.served import ServedModel

if TYPE_CHECKING:
    from olhar.serving.settings import ServeState

# The content of a file, the pixels of one image, or why there is neither.
Photo = bytes | NDArray[Any] | ImageError
_QUICK_BYTES, _QUICK_PIXELS = 64 * 1024, 2_000_000  # as may the decoding of what is no larger


def _is_quick(photo: Photo) -> bool:
    """Whether decoding takes a moment only: a small file with few pixels, by its own account.

    A JPEG of so few bytes cannot have many pixels with something in them; a PNG says how many it has.
    """
    if isinstance(photo, np.ndarray):
        return photo.size <= _QUICK_PIXELS
    if isinstance(photo, ImageError) or len(photo) > _QUICK_BYTES:
        return isinstance(photo, ImageError)
    if photo.startswith(b"\x89PNG") and len(photo) > 24:
        width, height = struct.unpack(">II", photo[16:24])
        return int(width) * int(height) <= _QUICK_PIXELS
    return photo.startswith(b"\xff\xd8\xff")


async def photo_outputs(
    state: ServeState, model: ServedModel, name: str, photo: Photo, invert: str | None = None
) -> tuple[Outputs, bool]:
    """One photo → what the model says of it, (1, K) and (1,), and whether it was read inverted.

    `invert` is auto, no or yes; None leaves it to the server's settings.

    Raises:
        ImageError: it cannot be read as an image.
    """
    preprocess = model.classifier.preprocess.reading(invert or state.settings.invert)
    max_pixels, inverted = state.settings.max_pixels, False

    def prepare() -> NDArray[np.uint8]:
        if isinstance(photo, ImageError):
            raise photo
        nonlocal inverted
        inputs, inverted = preprocess.read_input(photo, name=name, max_pixels=max_pixels)
        return inputs[None]

    quick = model.quick and _is_quick(photo)
    return await state.batcher.run(model.classifier, prepare, quick=quick), inverted


async def predict_photo(
    state: ServeState,
    model: ServedModel,
    name: str,
    photo: Photo,
    *,
    top_k: int = 3,
    threshold: float | None = None,
    invert: str | None = None,
) -> dict[str, Any]:
    """One photo → `Prediction.to_dict()`.

    Args:
        state: of the server.
        model: which to ask.
        name: what to call the photo, in the answer and in messages.
        photo: content of a file, or (H, W[, C]) pixels; an error is raised.
        top_k: how many classes the answer lists.
        threshold: a top probability below it is "not sure"; by default the model's own.
        invert: auto, no or yes, as in `Preprocess`; by default as the server's settings say.

    Raises:
        ImageError: it cannot be read as an image.
    """
    found, inverted = await photo_outputs(state, model, name, photo, invert)
    return model.classifier.describe(
        found.probs[0],
        name,
        top_k=top_k,
        distance=found.distances[0],
        threshold=threshold,
        inverted=inverted,
    ).to_dict()


async def predict_images(
    state: ServeState,
    model: ServedModel,
    photos: Sequence[tuple[str, Photo]],
    *,
    top_k: int = 3,
    threshold: float | None = None,
    invert: str | None = None,
) -> list[dict[str, Any]]:
    """[(name, photo)] → `Prediction.to_dict()` of each, or {file, error} where it cannot be read.

    Messages are in the language in force. See `predict_photo`.
    """

    async def answer(name: str, photo: Photo) -> dict[str, Any]:
        try:
            return await predict_photo(
                state, model, name, photo, top_k=top_k, threshold=threshold, invert=invert
            )
        except ImageError as error:
            return {"file": name, "error": str(error)}

    return await asyncio.gather(*(answer(name, photo) for name, photo in photos))


async def run_inputs(
    state: ServeState, model: ServedModel, inputs: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Network inputs (N, C, size, size) uint8, N at least 1 → probabilities (N, K) float32.

    Of ranges the same holds as for photos: where no value of an input is above 1, 1 is white.

    Raises:
        ConfigError: another shape.
    """
    preprocess = model.classifier.preprocess
    expected = (preprocess.channels, preprocess.size, preprocess.size)
    if inputs.shape[1:] != expected:
        raise ConfigError(
            _(
                "the shape is {given}; allowed: N, {expected}",
                given=", ".join(map(str, inputs.shape)),
                expected=", ".join(map(str, expected)),
            )
        )
    read = np.stack([spread_one_bit(one) for one in inputs])
    return (await state.batcher.run(model.classifier, lambda: read)).probs
