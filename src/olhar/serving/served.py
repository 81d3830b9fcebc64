"""A model that is being served, loaded and tried once."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.classifier import CONFIG, Classifier, load_classifier
from olhar.errors import explain_os_errors

_SLOW_S = 0.005  # a network that takes longer for one photo gets all cores


_QUICK_S = 0.002  # one that takes no longer may run in the event loop


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
    Image.init()  # later there may be too few open files left to load decoders
    config = classifier.folder / CONFIG
    with explain_os_errors(config):
        digest = hashlib.sha256(config.read_bytes()).hexdigest()
    return ServedModel(name, classifier, digest, seconds <= _QUICK_S)


def _timed(classifier: Classifier, inputs: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    classifier.predict_probs(inputs)
    return time.perf_counter() - started
