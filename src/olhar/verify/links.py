"""Links of the chain, and how the answers of one are compared with those of another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.i18n import Text, in_english

TOLERANCE = 1e-4  # in a probability
OK, DIFFERS, FAILED, SKIPPED, ABSENT = "ok", "differs", "failed", "skipped", "absent"


@dataclass(frozen=True)
class Item:
    """One input of the chain.

    Attributes:
        name: for people.
        content: an image file, as it is decoded or sent.
        pixels: (C, size, size) uint8, what the network takes.
    """

    name: str
    content: bytes
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Answers:
    """What one link says of each input: labels, and probabilities (N, K) in the model's order."""

    labels: tuple[str, ...]
    probs: NDArray[np.float64]

    def first(self, count: int) -> Answers:
        """Those of the first inputs."""
        return Answers(self.labels[:count], self.probs[:count])


@dataclass(frozen=True)
class Difference:
    """One answer that is not what it should be: the largest difference, or else a label."""

    input: str
    class_name: str
    found: float
    expected: float
    found_label: str
    expected_label: str


@dataclass(frozen=True)
class Link:
    """One link of the chain, as it was found.

    Attributes:
        name: golden, torch, onnx, c, web, python, cli, server, or a protocol.
        against: the link that it must agree with.
        status: ok; differs; failed (it gave no answer); skipped (it cannot be tried here); absent
            (the server does not have this protocol).
        inputs: how many were compared.
        largest: the largest difference of a probability.
        note: why it was skipped or failed, or where it differs first.
        difference: where it differs most.
    """

    name: str
    against: str = ""
    status: str = OK
    inputs: int = 0
    largest: float | None = None
    note: Text | str = ""
    difference: Difference | None = None

    @property
    def broken(self) -> bool:
        """Whether the chain breaks here."""
        return self.status in {DIFFERS, FAILED}

    def to_dict(self) -> dict[str, Any]:
        """As `verify --json` prints it."""
        values = dict(vars(self)) | {"note": in_english(self.note)}
        if self.difference:
            values["difference"] = _for_json(dataclasses.asdict(self.difference))
        return _for_json(values)


def _for_json(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no numbers that are none."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def answers_from_probs(probs: NDArray[np.floating[Any]], class_names: Sequence[str]) -> Answers:
    """Probabilities (N, K) → answers."""
    return Answers(tuple(class_names[i] for i in probs.argmax(1)), probs.astype(np.float64))


def answers_from_records(records: Any, class_names: Sequence[str], count: int) -> Answers:
    """What `predict --json` or a server says, with all classes in `top` → answers.

    Raises:
        ValueError: it is something else; the reason is for people.
    """
    if not isinstance(records, list) or len(records) != count:
        raise ValueError(f"{count} answers expected: {str(records)[:200]}")
    labels, probs = [], np.zeros((count, len(class_names)))
    for row, record in enumerate(records):
        if not isinstance(record, Mapping) or "error" in record:
            raise ValueError(str(record)[:200])
        try:
            shares = {str(one["label"]): float(one["probability"]) for one in record["top"]}
            probs[row] = [shares[name] for name in class_names]
            labels.append(str(record["label"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{type(error).__name__} {error}: {str(record)[:200]}") from error
    return Answers(tuple(labels), probs)


def compare(
    name: str,
    against: str,
    found: Answers,
    expected: Answers,
    items: Sequence[Item],
    class_names: Sequence[str],
) -> Link:
    """The link `name`: does it say what the link `against` says of the same inputs?"""
    # What is no number is as different as can be.
    distance = np.nan_to_num(np.abs(found.probs - expected.probs), nan=np.inf)  # (N, K)
    row, column = divmod(int(distance.argmax()), distance.shape[1])
    largest = float(distance[row, column])
    link = Link(name, against, OK, len(items), largest)
    if largest <= TOLERANCE:
        pairs = zip(found.labels, expected.labels, strict=True)
        other = next((i for i, (one, two) in enumerate(pairs) if one != two), None)
        if other is None:
            return link
        row, column = other, _index(class_names, found.labels[other])
    difference = Difference(
        items[row].name,
        class_names[column],
        float(found.probs[row, column]),
        float(expected.probs[row, column]),
        found.labels[row],
        expected.labels[row],
    )
    return dataclasses.replace(link, status=DIFFERS, difference=difference)


def _index(class_names: Sequence[str], label: str) -> int:
    return class_names.index(label) if label in class_names else 0
