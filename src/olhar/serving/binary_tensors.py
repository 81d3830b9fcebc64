"""The binary tensor data extension of the Open Inference Protocol, which Triton's clients use unless told.

    a body = JSON, then the bytes of its tensors one after the other, in the order of the JSON
    Inference-Header-Content-Length    how many bytes are JSON
    "parameters": {"binary_data_size": n} of a tensor, in place of its "data"
    "parameters": {"binary_data": true} of an output, or {"binary_data_output": true} of the request

Numbers are little-endian; a text is its length as 4 bytes, then itself.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.i18n import _
from olhar.web_server.refusals import RequestError, bad_request

HEADER = "Inference-Header-Content-Length"
_SIZE, _OUTPUT, _ALL_OUTPUTS = "binary_data_size", "binary_data", "binary_data_output"
_NUMBERS: dict[Any, np.dtype[Any]] = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype("<f4")}


def split_body(body: bytes, header: str) -> tuple[bytes, bytes]:
    """The JSON of a body, and what is behind it.

    Raises:
        RequestError: the header is no length within the body.
    """
    if not header:
        return body, b""
    if not header.isascii() or not header.isdigit() or int(header) > len(body):
        raise bad_request(
            _(
                "the header {name} is '{given}'; allowed: the length of the JSON, at most {most}",
                name=HEADER,
                given=header[:50],
                most=len(body),
            )
        )
    return body[: int(header)], body[int(header) :]


def attach(tensors: Sequence[Any], content: bytes) -> None:
    """Give every tensor that names a size its bytes, as an array or a list of bytes under "data".

    Raises:
        RequestError: sizes, types or shapes do not fit the bytes.
    """
    start = 0
    for tensor in tensors:
        size = parameters(tensor).get(_SIZE)
        if size is None:
            continue
        if type(size) is not int or size < 0 or start + size > len(content) or "data" in tensor:
            raise _damaged()
        part, start = content[start : start + size], start + size
        kind = tensor.get("datatype")
        if kind == "BYTES":
            tensor["data"] = _texts(part)
        elif isinstance(kind, str) and kind in _NUMBERS and size % _NUMBERS[kind].itemsize == 0:
            tensor["data"] = np.frombuffer(part, _NUMBERS[kind])
        else:
            raise _damaged()
    if start != len(content):
        raise _damaged()


def wants_binary(values: Mapping[str, Any], name: str) -> bool:
    """Whether a request asks for this output as bytes."""
    outputs = values.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and output.get("name") == name:
            own = parameters(output).get(_OUTPUT)
            if own is not None:
                return bool(own)
    return bool(parameters(values).get(_ALL_OUTPUTS))


def join(answer: dict[str, Any], contents: Sequence[bytes | None]) -> tuple[bytes, dict[str, str]]:
    """A body and its headers; `contents` are the bytes of each output, None for those in the JSON."""
    if all(content is None for content in contents):
        return json.dumps(answer).encode(), {}
    for output, content in zip(answer["outputs"], contents, strict=True):
        if content is not None:
            del output["data"]
            output["parameters"] = {_SIZE: len(content)}
    head = json.dumps(answer).encode()
    parts = [content for content in contents if content is not None]
    return b"".join([head, *parts]), {HEADER: str(len(head))}


def encode(data: NDArray[np.float32] | Sequence[str]) -> bytes:
    """Numbers or texts → bytes."""
    if isinstance(data, np.ndarray):
        return data.astype("<f4").tobytes()
    texts = [text.encode("utf-8", "replace") for text in data]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _texts(content: bytes) -> list[bytes]:
    found, start = [], 0
    while start < len(content):
        if start + 4 > len(content):
            raise _damaged()
        end = start + 4 + struct.unpack_from("<I", content, start)[0]
        if end > len(content):
            raise _damaged()
        found.append(content[start + 4 : end])
        start = end
    return found


def parameters(values: Any) -> Mapping[str, Any]:
    """The "parameters" of a request, a tensor or an output."""
    found = values.get("parameters") if isinstance(values, dict) else None
    return found if isinstance(found, dict) else {}


def _damaged() -> RequestError:
    return bad_request(
        _(
            "the bytes behind the JSON do not fit what it says of them; send each tensor with "
            "binary_data_size and the header {name}, or all of them as JSON: in tritonclient, "
            "binary_data=False",
            name=HEADER,
        )
    )
