"""Open Inference Protocol, version 2, over REST (github.com/kserve/open-inference-protocol).

    input "images"          UINT8 [N, C, size, size]: what the network itself takes, unchanged
    input "image"           BYTES [N]: photos as base64 text, through the same path as /predict
    output "probabilities"  FP32 [N, K]
    output "label"          BYTES [N]: the top class

Errors have the shape of all others here. Binary tensors, an extension, are not offered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar._version import __version__
from olhar.i18n import _
from olhar.serving.asked import check_count
from olhar.serving.bodies import photo_from_text, read_json
from olhar.serving.engine import photo_outputs, run_inputs
from olhar.serving.refusals import RequestError, bad_request
from olhar.serving.served import ServedModel

if TYPE_CHECKING:
    from olhar.serving.settings import ServeState

_OUTPUTS = ("probabilities", "label")


def server_metadata() -> dict[str, Any]:
    """Answer of GET /v2."""
    return {"name": "olhar", "version": __version__, "extensions": []}


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


async def infer(state: ServeState, model: ServedModel, body: bytes) -> bytes:
    """Answer of POST /v2/models/{name}/infer.

    Raises:
        RequestError: the request cannot be understood.
        ImageError: a photo in it cannot be read.
    """
    values = await asyncio.to_thread(read_json, body)
    tensors = values.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise bad_request(_('"inputs" must be a list of one tensor: "images" or "image"'))
    wanted = _wanted(values)
    tensor = tensors[0]
    kind = (tensor.get("name"), tensor.get("datatype"))
    if kind == ("images", "UINT8"):
        inputs = await asyncio.to_thread(_pixels, tensor, state.settings.max_images)
        probs = await run_inputs(state, model, inputs)
    elif kind == ("image", "BYTES"):
        probs = await _predict_photos(state, model, tensor)
    else:
        raise bad_request(
            _(
                'the input is {name} of {datatype}; allowed: "images" of UINT8, "image" of BYTES',
                name=str(kind[0])[:200],
                datatype=str(kind[1])[:200],
            )
        )
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if isinstance(values.get("id"), str):
        answer["id"] = values["id"]
    answer["outputs"] = [_output(name, model, probs) for name in wanted]
    return json.dumps(answer).encode()


def _wanted(values: Mapping[str, Any]) -> list[str]:
    """The outputs that are asked for; all, where none are named."""
    given = values.get("outputs", [{"name": name} for name in _OUTPUTS])
    try:
        names = [output["name"] for output in given]
    except (TypeError, KeyError) as error:
        raise bad_request(_('"outputs" must be a list of {"name"}')) from error
    if not names or any(name not in _OUTPUTS for name in names):
        raise bad_request(
            _("outputs are {given}; allowed: {allowed}", given=names, allowed=", ".join(_OUTPUTS))
        )
    return names


def _pixels(tensor: Mapping[str, Any], max_images: int) -> NDArray[np.uint8]:
    """A UINT8 tensor, its data flat or nested → (N, C, H, W)."""
    shape, data = tensor.get("shape"), tensor.get("data")
    try:
        if not isinstance(shape, list) or not all(type(side) is int and side > 0 for side in shape):
            raise ValueError
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


async def _predict_photos(
    state: ServeState, model: ServedModel, tensor: Mapping[str, Any]
) -> NDArray[np.float32]:
    """A BYTES tensor of photos → probabilities (N, K)."""
    data = tensor.get("data")
    data = [data] if isinstance(data, str) else data
    if not isinstance(data, list) or not all(isinstance(text, str) for text in data) or not data:
        raise bad_request(_('"data" must be a list of photos as base64 text'))
    check_count(len(data), state.settings.max_images)
    jobs = [
        photo_outputs(state, model, str(index), photo_from_text(text, str(index)))
        for index, text in enumerate(data)
    ]
    return np.concatenate([found.probs for found in await asyncio.gather(*jobs)])


def _output(name: str, model: ServedModel, probs: NDArray[np.float32]) -> dict[str, Any]:
    if name == "probabilities":
        values: list[Any] = probs.ravel().tolist()
        return {"name": name, "datatype": "FP32", "shape": list(probs.shape), "data": values}
    labels = [model.classifier.class_names[index] for index in probs.argmax(axis=1)]
    return {"name": name, "datatype": "BYTES", "shape": [len(probs)], "data": labels}


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
