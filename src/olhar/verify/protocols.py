"""The protocols of a server: how each is asked for photos, and how its answer is read."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from olhar.errors import ClusterError, ExportError
from olhar.i18n import _
from olhar.verify.endpoint import Endpoint
from olhar.verify.links import (
    ABSENT,
    FAILED,
    Answers,
    Item,
    Link,
    answers_from_probs,
    answers_from_records,
    compare,
)

_ABSENT_STATUS = frozenset({404, 405, 501})
_MOST_AT_ONCE, _BYTES_AT_ONCE = 8, 2**20

Body = tuple[bytes, str]  # content, Content-Type


@dataclass(frozen=True)
class Protocol:
    """One way to ask.

    Attributes:
        name: for people.
        path: of the URL; {model} is the model's name.
        build: inputs → body of the request.
        many: whether one request takes several inputs.
    """

    name: str
    path: str
    build: Callable[[Sequence[Item]], Body]
    many: bool = True


def _raw(items: Sequence[Item]) -> Body:
    content = items[0].content
    kinds = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg"}
    found = (kind for start, kind in kinds.items() if content.startswith(start))
    return content, next(found, "application/octet-stream")


def _x_image(items: Sequence[Item]) -> Body:
    return items[0].content, "application/x-image"


def _multipart(items: Sequence[Item]) -> Body:
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{index}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + item.content
        + b"\r\n"
        for index, item in enumerate(items)
    ]
    end = f"--{boundary}--\r\n".encode()
    return b"".join([*parts, end]), f"multipart/form-data; boundary={boundary}"


def _json(values: Any) -> Body:
    return json.dumps(values).encode(), "application/json"


def _base64(item: Item) -> str:
    return base64.b64encode(item.content).decode()


def _images(items: Sequence[Item]) -> Body:
    return _json({"images": [_base64(item) for item in items]})


def _inputs(items: Sequence[Item]) -> Body:
    return _json({"inputs": [_base64(item) for item in items]})


def _instances(items: Sequence[Item]) -> Body:
    """The network's own pixels, (N, H, W, C)."""
    return _json({"instances": [item.pixels.transpose(1, 2, 0).tolist() for item in items]})


def _uint8(items: Sequence[Item]) -> Body:
    pixels = np.stack([item.pixels for item in items])  # (N, C, H, W) uint8
    return _tensor("images", "UINT8", list(pixels.shape), pixels.ravel().tolist())


def _bytes(items: Sequence[Item]) -> Body:
    return _tensor("image", "BYTES", [len(items)], [_base64(item) for item in items])


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> Body:
    tensor = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return _json({"inputs": [tensor], "outputs": [{"name": "probabilities"}]})


_INFER = "/v2/models/{model}/infer"
PROTOCOLS = (
    Protocol("/predict photo", "/predict", _raw, many=False),
    Protocol("/predict multipart", "/predict", _multipart),
    Protocol("/predict JSON", "/predict", _images),
    Protocol("/invocations photo", "/invocations", _x_image, many=False),
    Protocol("/invocations inputs", "/invocations", _inputs),
    Protocol("/invocations instances", "/invocations", _instances),
    Protocol("/v2 UINT8", _INFER, _uint8),
    Protocol("/v2 BYTES", _INFER, _bytes),
)


def find_model(endpoint: Endpoint, name: str, digest: str) -> tuple[str, str]:
    """The name by which a server knows a model, and the digest of what it serves under it.

    That with the same digest, else of the same name, else the only one. `name` and "" where the
    server does not say what it has.

    Raises:
        ExportError: it has several, and none of them is this one.
    """
    status, content = endpoint.ask("/models")
    try:
        listed = json.loads(content) if status == 200 else []
        models = {str(one["name"]): str(one["digest"]) for one in listed}
    except (ValueError, KeyError, TypeError):
        models = {}
    if not models:
        return name, ""
    same = [one for one, found in models.items() if found == digest]
    if same:
        return (name if name in same else same[0]), digest
    if name not in models and len(models) > 1:
        raise ExportError(
            _(
                "{url} serves {names}; none of them is this model ({name})",
                url=endpoint.url,
                names=", ".join(models),
                name=name,
            )
        )
    chosen = name if name in models else next(iter(models))
    return chosen, models[chosen]


def check_protocol(
    protocol: Protocol,
    endpoint: Endpoint,
    model: str,
    items: Sequence[Item],
    expected: Answers,
    class_names: Sequence[str],
) -> Link:
    """Ask for every input by one protocol, and compare with what Python says.

    A protocol that is not there is "absent"; an answer that is none makes the link "failed".
    """
    link = Link(protocol.name, "python")
    found: list[Answers] = []
    for group in _groups(items, protocol):
        try:
            status, content = endpoint.ask(
                _path(protocol, model, class_names), *protocol.build(group)
            )
        except ClusterError as error:
            return Link(link.name, link.against, FAILED, note=error.message)
        if status in _ABSENT_STATUS and not found:
            return Link(link.name, link.against, ABSENT, note=_("HTTP {status}", status=status))
        try:
            if status != 200:
                raise ValueError(f"HTTP {status} {content[:200].decode(errors='replace')}")
            found.append(_read(protocol, content, class_names, len(group)))
        except ValueError as error:
            note = _("{input}: no answer that can be read: {reason}", input=group[0].name,
                     reason=error)  # fmt: skip
            return Link(link.name, link.against, FAILED, note=note)
    labels = tuple(label for answers in found for label in answers.labels)
    answers = Answers(labels, np.concatenate([answers.probs for answers in found]))
    return compare(link.name, link.against, answers, expected, items, class_names)


def _path(protocol: Protocol, model: str, class_names: Sequence[str]) -> str:
    name = quote(model, safe="")
    if protocol.path == _INFER:
        return protocol.path.format(model=name)
    return f"{protocol.path}?model={name}&top_k={len(class_names)}"


def _read(protocol: Protocol, content: bytes, class_names: Sequence[str], count: int) -> Answers:
    """The answers in a response; ValueError where there are none."""
    values = json.loads(content)
    if protocol.path != _INFER:
        return answers_from_records(values, class_names, count)
    try:
        (output,) = values["outputs"]
        probs: NDArray[np.float64] = np.asarray(output["data"], np.float64)
        return answers_from_probs(probs.reshape(count, len(class_names)), class_names)
    except (KeyError, TypeError) as error:
        raise ValueError(str(values)[:200]) from error


def _groups(items: Sequence[Item], protocol: Protocol) -> Iterator[Sequence[Item]]:
    """Inputs for one request each: at most 8 and, unless one alone has more, 1 MiB."""
    group: list[Item] = []
    for item in items:
        size = sum(len(one.content) + one.pixels.nbytes for one in (*group, item))
        full = not protocol.many or len(group) == _MOST_AT_ONCE or size > _BYTES_AT_ONCE
        if group and full:
            yield group
            group = []
        group.append(item)
    yield group
