"""A block of photos → a row each: what every engine runs, in whatever process.

A row is what `olhar predict --json` prints of a photo, or its name and its error.

Does not know: which process it is in, or where rows go.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.bulk.items import Block, Item, ObjectPlace
from olhar.classifier import load_classifier
from olhar.errors import OlharError, StoreError
from olhar.given_images import ImageSource
from olhar.i18n import in_english
from olhar.objects import Objects, open_objects

_FETCHED_AT_ONCE = 16  # objects on their way from a bucket

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What is asked of each photo; plain values, which any process understands.

    Attributes:
        folder: of the model.
        onnx: runs in place of its graph (see `features.graph_with_features`).
        top_k: how many classes a row lists.
        invert: auto, no or yes; None leaves it to the model.
        features: whether a row has the features of its photo.
    """

    folder: str
    onnx: bytes | None = None
    top_k: int = 3
    invert: str | None = None
    features: bool = False


class Answerer:
    """A model that answers blocks of photos on one core."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        classifier = load_classifier(Path(asked.folder), threads=1, onnx=asked.onnx)
        self._classifier = classifier.reading(asked.invert)
        self._objects: dict[str, Objects] = {}
        self._fetching = ThreadPoolExecutor(_FETCHED_AT_ONCE)

    def answer(self, block: Block) -> list[Row]:
        """A row for each item, in their order.

        Raises:
            StoreError: a bucket does not answer.
            StorageError: the system lets this process open no more files.
        """
        rows: list[Row] = []
        good: list[int] = []
        inputs: list[NDArray[np.uint8]] = []
        for item, source in self._fetched(block):
            row: Row = {"file": item.written_name}
            try:
                if isinstance(source, OlharError):
                    raise source
                pixels, row["inverted"] = self._classifier.preprocess.read_input(
                    source, name=item.name
                )
                good.append(len(rows))
                inputs.append(pixels)
            except OlharError as error:
                if _is_fatal(error):
                    raise
                row["error"] = _writable(in_english(error))
            rows.append(row)
        if inputs:
            self._fill(rows, good, np.stack(inputs))
        return rows

    def _fill(self, rows: list[Row], good: list[int], inputs: NDArray[np.uint8]) -> None:
        """Answer the rows whose photos could be read; inputs (n, C, size, size) are theirs."""
        if self._asked.features:
            found, features = self._classifier.predict_features(inputs)
        else:
            found = self._classifier.predict_outputs(inputs)
        for at, place in enumerate(good):
            row = rows[place]
            said = self._classifier.describe(
                found.probs[at],
                row["file"],
                top_k=self._asked.top_k,
                distance=found.distances[at],
            )
            rows[place] = dataclasses.replace(said, inverted=row["inverted"]).to_dict()
            if self._asked.features:
                rows[place]["features"] = features[at]

    def _fetched(self, block: Block) -> Iterator[tuple[Item, ImageSource | OlharError]]:
        """Each item with its path or content, or why there is neither; objects come side by side."""
        coming = {
            at: self._fetching.submit(self._read_object, item.place)
            for at, item in enumerate(block)
            if isinstance(item.place, ObjectPlace)
        }
        for at, item in enumerate(block):
            if at in coming:
                yield item, coming.pop(at).result()
            elif item.place is None:
                yield item, OlharError(item.error)
            else:
                assert not isinstance(item.place, ObjectPlace)
                yield item, item.place

    def _read_object(self, place: ObjectPlace) -> bytes | OlharError:
        try:
            if place.address not in self._objects:
                self._objects[place.address] = open_objects(place.address)
            return self._objects[place.address].read(place.key)
        except OlharError as error:
            return error


def _is_fatal(error: OlharError) -> bool:
    """Whether an error is no photo's own, so that the others would have it too."""
    cause = error.__cause__
    full = isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE}
    return full or isinstance(error, StoreError)


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
