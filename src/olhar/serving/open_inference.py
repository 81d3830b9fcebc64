"""Open Inference Protocol, version 2, over REST (github.com/kserve/open-inference-protocol).

    input "images"          UINT8 [N, C, size, size]: what the network itself takes, unchanged
                            also as FP32 from 0 to 1
    input "image"           BYTES [N]: photos as base64 text, through the same path as /predict; in
                            binary tensors as they are in their files
    output "probabilities"  FP32 [N, K]
    output "label"          BYTES [N]: the top class

Errors have the shape of all others here. Tensors may be bytes behind the JSON: see binary_tensors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar._version import __version__
from olhar.i18n import _
from olhar.serving import binary_tensors
from olhar.serving.asked import check_count
from olhar.serving.bodies import read_json
from olhar.serving.engine import photo_outputs, run_inputs
from olhar.serving.photo_text import photo_from_text
from olhar.serving.served import ServedModel
from olhar.signatures import HEAD_BYTES, image_format
from olhar.web_server.refusals import RequestError, bad_request

if TYPE_CHECKING:
    from olhar.serving.settings import ServeState

_OUTPUTS = ("probabilities", "label")


def server_metadata() -> dict[str, Any]:
    """Answer of GET /v2."""
    return {"name": "olhar", "version": __version__, "extensions": ["binary_tensor_data"]}


def model_metadata(model: ServedModel) -> dict[str, Any]:
    """Answer of GET /v2/models/{name}; -1 is a size that the request chooses."""
    preprocess, classes = model.classifier.preprocess, len(model.classifier.class_names)
    shape = [-1, preprocess.channels, preprocess.size, preprocess.size]
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "images", "datatype": "UINT8", "shape": shape},
            {"name": "image", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
        ],
    }


async def infer(
    state: ServeState, model: ServedModel, body: bytes, header_length: str = ""
) -> tuple[bytes, dict[str, str]]:
    """Answer of POST /v2/models/{name}/infer: the body and its headers.

    Args:
        state: of the server.
        model: which to ask.
        body: JSON, or JSON with bytes behind it.
        header_length: the header that says how many bytes are JSON.

    Raises:
        RequestError: the request cannot be understood.
        ImageError: a photo in it cannot be read.
    """
    head, content = binary_tensors.split_body(body, header_length)
    values = await asyncio.to_thread(read_json, head)
    tensors = values.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise bad_request(_('"inputs" must be a list of one tensor: "images" or "image"'))
    wanted = _wanted(values)
    binary_tensors.attach(tensors, content)
    tensor = tensors[0]
    kind = (tensor.get("name"), tensor.get("datatype"))
    if kind in (("images", "UINT8"), ("images", "FP32")):  # a tuple: they may be lists
        read = _pixels if kind[1] == "UINT8" else _fractions
        inputs = await asyncio.to_thread(read, tensor, state.settings.max_images)
        probs = await run_inputs(state, model, inputs)
    elif kind == ("image", "BYTES"):
        probs = await _predict_photos(state, model, tensor)
    else:
        raise bad_request(
            _(
                'the input is {name} of {datatype}; allowed: "images" of UINT8 or FP32, "image" of BYTES',
                name=str(kind[0])[:200],
                datatype=str(kind[1])[:200],
            )
        )
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if isinstance(values.get("id"), str):
        answer["id"] = values["id"]
    outputs: dict[str, NDArray[np.float32] | list[str]] = {
        "probabilities": probs,
        "label": _labels(model, probs),
    }
    answer["outputs"] = [_output(name, outputs[name]) for name in wanted]
    contents = [
        binary_tensors.encode(outputs[name]) if binary_tensors.wants_binary(values, name) else None
        for name in wanted
    ]
    return binary_tensors.join(answer, contents)


def _wanted(values: Mapping[str, Any]) -> list[str]:
    """The outputs that are asked for; all, where none are named."""
    given = values.get("outputs", [{"name": name} for name in _OUTPUTS])
    try:
        names = [output["name"] for output in given]
    except (TypeError, KeyError) as error:
        raise bad_request(_('"outputs" must be a list of {"name"}')) from error
    if any("classification" in binary_tensors.parameters(output) for output in given):
        raise bad_request(_("outputs as classes are not offered; ask for: label, probabilities"))
    if not names or any(name not in _OUTPUTS for name in names):
        raise bad_request(
            _("outputs are {given}; allowed: {allowed}", given=names, allowed=", ".join(_OUTPUTS))
        )
    return names


def _check_shape(shape: Any) -> None:
    """Raise ValueError for what is no list of sides, the first of them how many there are."""
    if not isinstance(shape, list) or not shape:
        raise ValueError
    if not all(type(side) is int and side > 0 for side in shape):
        raise ValueError


def _pixels(tensor: Mapping[str, Any], max_images: int) -> NDArray[np.uint8]:
    """A UINT8 tensor, its data flat or nested → (N, C, H, W)."""
    shape, data = tensor.get("shape"), tensor.get("data")
    try:
        _check_shape(shape)
        values = np.asarray(data)
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
            raise ValueError
        inputs = values.astype(np.uint8).reshape(shape)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise bad_request(
            _('"data" must hold whole numbers from 0 to 255, as many as "shape" says')
        ) from error
    check_count(len(inputs), max_images)
    return inputs


def _fractions(tensor: Mapping[str, Any], max_images: int) -> NDArray[np.uint8]:
    """An FP32 tensor, its data flat or nested, from 0 to 1 → (N, C, H, W) uint8, as of photos."""
    shape = tensor.get("shape")
    try:
        _check_shape(shape)
        values = np.asarray(tensor.get("data"), np.float32).reshape(shape)
        if not (values.min() >= -1e-4 and values.max() <= 1.0001):  # as in `array_to_image`
            raise ValueError
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise bad_request(
            _(
                'FP32 "data" must be from 0 to 1, as many numbers as "shape" says: divide by 255 and do '
                "nothing more, the model does the rest; or send UINT8 from 0 to 255"
            )
        ) from error
    check_count(len(values), max_images)
    pixels: NDArray[np.uint8] = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return pixels


async def _predict_photos(
    state: ServeState, model: ServedModel, tensor: Mapping[str, Any]
) -> NDArray[np.float32]:
    """A BYTES tensor of photos → probabilities (N, K)."""
    data = tensor.get("data")
    data = [data] if isinstance(data, str) else data
    if (
        not isinstance(data, list)
        or not all(isinstance(one, str | bytes) for one in data)
        or not data
    ):
        raise bad_request(_('"data" must be a list of photos as base64 text'))
    check_count(len(data), state.settings.max_images)
    jobs = [
        photo_outputs(state, model, str(index), _content(one, str(index)))
        for index, one in enumerate(data)
    ]
    return np.concatenate([found.probs for found, _inverted in await asyncio.gather(*jobs)])


def _content(photo: str | bytes, name: str) -> bytes:
    """A photo of a BYTES tensor: base64 text, or in a binary one the bytes of its file, too."""
    if isinstance(photo, str):
        return photo_from_text(photo, name)
    if photo.isascii() and not image_format(photo[:HEAD_BYTES]):
        return photo_from_text(photo.decode(), name)
    return photo


def _labels(model: ServedModel, probs: NDArray[np.float32]) -> list[str]:
    return [model.classifier.class_names[index] for index in probs.argmax(axis=1)]


def _output(name: str, data: NDArray[np.float32] | list[str]) -> dict[str, Any]:
    if isinstance(data, np.ndarray):
        values = data.ravel().tolist()
        return {"name": name, "datatype": "FP32", "shape": list(data.shape), "data": values}
    return {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data}


def check_version(model: ServedModel, version: str) -> None:
    """Raise RequestError where `version` is not the one that is being served."""
    if version != model.version:
        raise RequestError(
            404,
            "unknown_name",
            _(
                "model '{name}' has no version '{given}'; allowed: {allowed}",
                name=model.name,
                given=version[:200],
                allowed=model.version,
            ),
        )
