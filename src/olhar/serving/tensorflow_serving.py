"""TensorFlow Serving's REST API, version 1, which Vertex AI's clients speak too.

    GET  /v1/models/{name}              state;  …/metadata: inputs, outputs, classes
    POST /v1/models/{name}:predict      {"instances": [photo, …]} → {"predictions": [[p, …], …]}
                                        {"inputs": [photo, …]} → {"outputs": [[p, …], …]}
    POST /v1/models/{name}:classify     {"examples": [{"image": photo}, …]}
                                        → {"results": [[[label, p], …], …]}

A photo is {"b64": …}, also below a name ({"image_bytes": {"b64": …}}), or whatever /predict takes. A row
has the probabilities of all classes in their order, as the metadata and /models name them. A version may
stand in the path (/versions/{v}). Errors have the shape of all others here; a photo that cannot be read is
one for the whole request.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from olhar.i18n import _
from olhar.serving.asked import Asked
from olhar.serving.bodies import add_json, read_json
from olhar.serving.engine import photo_outputs
from olhar.serving.served import ServedModel
from olhar.web_server.refusals import bad_request

if TYPE_CHECKING:
    from olhar.serving.settings import ServeState


def status(model: ServedModel) -> dict[str, Any]:
    """Answer of GET /v1/models/{name}."""
    state = {
        "version": model.version,
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [state]}


def metadata(model: ServedModel) -> dict[str, Any]:
    """Answer of GET /v1/models/{name}/metadata."""
    classes = list(model.classifier.class_names)
    rows = {"dim": [{"size": "-1"}, {"size": str(len(classes))}], "unknown_rank": False}
    column = {"dim": [{"size": "-1"}], "unknown_rank": False}
    signature = {
        "inputs": {"image_bytes": {"dtype": "DT_STRING", "tensor_shape": column}},
        "outputs": {"probabilities": {"dtype": "DT_FLOAT", "tensor_shape": rows}},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": model.version},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
        "class_names": classes,
    }


async def answer(state: ServeState, model: ServedModel, verb: str, body: bytes) -> bytes:
    """Answer of :predict and :classify.

    Raises:
        RequestError: the request cannot be understood.
        ImageError: a photo in it cannot be read.
    """
    values = await asyncio.to_thread(read_json, body)
    key = "examples" if verb == "classify" else "inputs" if "inputs" in values else "instances"
    if key not in values:
        raise bad_request(_('there is no "{key}" in the request; send a list of photos', key=key))
    asked = Asked()
    if verb == "classify":
        values["instances"] = values.pop("examples")
    await asyncio.to_thread(add_json, values, asked, state.settings.max_images)
    if not asked.photos:
        raise bad_request(_("there is no photo in the request; send one or more"))
    jobs = [photo_outputs(state, model, *photo) for photo in asked.photos]
    outputs = await asyncio.gather(*jobs)
    probs = np.concatenate([found.probs for found, _inverted in outputs])  # (N, K)
    rows = probs.tolist()
    if verb == "classify":
        names = model.classifier.class_names
        results = [[list(pair) for pair in zip(names, row, strict=True)] for row in rows]
        return json.dumps({"results": results}).encode()
    return json.dumps({"outputs" if key == "inputs" else "predictions": rows}).encode()
