"""The one way from photos to answers, for every protocol.

A photo goes through `Preprocess.read` and `Classifier.predict_outputs`, as on the command line, and
its answer is `Prediction.to_dict()`, as `olhar predict --json` prints it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import CONFIG, Classifier, load_classifier
from olhar.errors import ConfigError, ImageError, explain_os_errors
from olhar.i18n import _
from olhar.prediction import Outputs

if TYPE_CHECKING:
    from olhar.serving.settings import ServeState

# The content of a file, the pixels of one image, or why there is neither.
Photo = bytes | NDArray[Any] | ImageError
_SLOW_S = 0.005  # a network that takes longer for one photo gets all cores
_QUICK_S = 0.002  # one that takes no longer may run in the event loop
_QUICK_BYTES, _QUICK_PIXELS = 64 * 1024, 2_000_000  # as may the decoding of what is no larger


@dataclass(frozen=True)
class ServedModel:
    """One version of a model that is being served.

    Attributes:
        name: what requests call it.
        classifier: the loaded model.
        digest: sha256 of its config.json, which holds those of all its files: names the version.
        quick: one photo takes its network a moment only.
    """

    name: str
    classifier: Classifier
    digest: str
    quick: bool

    @property
    def version(self) -> str:
        """The first characters of its digest."""
        return self.digest[:12]


def load_served(name: str, path: Path, cores: int) -> ServedModel:
    """Load a model and run it once, so that its first request is as fast as the others.

    A small network gets one thread a run, and several runs go on side by side; a large one gets
    `cores` threads a run, so that one request alone is answered as fast as this machine can.

    Raises:
        OlharError: it cannot be loaded.
    """
    classifier = load_classifier(path, threads=1)
    side, channels = classifier.preprocess.size, classifier.preprocess.channels
    blank = np.zeros((1, channels, side, side), np.uint8)  # (1, C, size, size) uint8
    classifier.predict_probs(blank)
    seconds = min(_timed(classifier, blank) for _run in range(3))
    if cores > 1 and seconds > _SLOW_S:
        classifier = load_classifier(path, threads=cores)
        classifier.predict_probs(blank)
    config = classifier.folder / CONFIG
    with explain_os_errors(config):
        digest = hashlib.sha256(config.read_bytes()).hexdigest()
    return ServedModel(name, classifier, digest, seconds <= _QUICK_S)


def _timed(classifier: Classifier, inputs: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    classifier.predict_probs(inputs)
    return time.perf_counter() - started


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


async def photo_outputs(state: ServeState, model: ServedModel, name: str, photo: Photo) -> Outputs:
    """One photo → what the model says of it, (1, K) and (1,).

    Raises:
        ImageError: it cannot be read as an image.
    """
    preprocess, max_pixels = model.classifier.preprocess, state.settings.max_pixels

    def prepare() -> NDArray[np.uint8]:
        if isinstance(photo, ImageError):
            raise photo
        return preprocess.read(photo, name=name, max_pixels=max_pixels)[None]

    quick = model.quick and _is_quick(photo)
    return await state.batcher.run(model.classifier, prepare, quick=quick)


async def predict_photo(
    state: ServeState,
    model: ServedModel,
    name: str,
    photo: Photo,
    *,
    top_k: int = 3,
    threshold: float | None = None,
) -> dict[str, Any]:
    """One photo → `Prediction.to_dict()`.

    Args:
        state: of the server.
        model: which to ask.
        name: what to call the photo, in the answer and in messages.
        photo: content of a file, or (H, W[, C]) pixels; an error is raised.
        top_k: how many classes the answer lists.
        threshold: a top probability below it is "not sure"; by default the model's own.

    Raises:
        ImageError: it cannot be read as an image.
    """
    found = await photo_outputs(state, model, name, photo)
    prediction = model.classifier.describe(
        found.probs[0], name, top_k=top_k, distance=found.distances[0]
    )
    if threshold is not None:
        prediction = dataclasses.replace(prediction, sure=prediction.probability >= threshold)
    return prediction.to_dict()


async def predict_images(
    state: ServeState,
    model: ServedModel,
    photos: Sequence[tuple[str, Photo]],
    *,
    top_k: int = 3,
    threshold: float | None = None,
) -> list[dict[str, Any]]:
    """[(name, photo)] → `Prediction.to_dict()` of each, or {file, error} where it cannot be read.

    Messages are in the language in force. See `predict_photo`.
    """

    async def answer(name: str, photo: Photo) -> dict[str, Any]:
        try:
            return await predict_photo(state, model, name, photo, top_k=top_k, threshold=threshold)
        except ImageError as error:
            return {"file": name, "error": str(error)}

    return await asyncio.gather(*(answer(name, photo) for name, photo in photos))


async def run_inputs(
    state: ServeState, model: ServedModel, inputs: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Network inputs (N, C, size, size) uint8 → probabilities (N, K) float32.

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
    return (await state.batcher.run(model.classifier, lambda: inputs)).probs
