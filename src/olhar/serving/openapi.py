"""The description of the server (OpenAPI 3.1), with examples that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from olhar._version import __version__
from olhar.serving.settings import ServeState

if TYPE_CHECKING:
    from olhar.serving.served import ServedModel

# A grey PNG of one pixel.
EXAMPLE_PHOTO = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_REFUSALS = {
    400: "No HTTP that can be read.",
    401: "The token is missing or wrong.",
    403: "A web page of an origin that was not allowed; see --cors and --allow-host.",
    404: "No such model, version or path.",
    405: "The path is right, the method is not.",
    408: "The request did not arrive in time.",
    413: "Too many bytes, pixels or photos.",
    415: "A kind of body that is not read.",
    421: "A server on this machine, asked under a name that --allow-host does not name.",
    422: "A photo, body or parameter that cannot be read.",
    429: "Too many requests from this client.",
    503: "Too many requests at once, no answer in time, or too little memory; see Retry-After.",
}
_SCHEMAS: dict[str, Any] = {
    "Prediction": {
        "type": "object",
        "description": "What the model says of a photo; as `olhar predict --json` prints it.",
        "required": ["file", "label", "probability", "sure", "top"],
        "properties": {
            "file": {"type": "string"},
            "label": {"type": "string"},
            "probability": {"type": "number"},
            "sure": {"type": "boolean"},
            "outlier": {
                "type": "boolean",
                "description": "Whether the photo is unlike those that the model learnt from, and "
                "may show none of its classes; absent where the model cannot tell.",
            },
            "inverted": {
                "type": "boolean",
                "description": "true where dark was read as bright; else absent.",
            },
            "top": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["label", "probability"],
                    "properties": {"label": {"type": "string"}, "probability": {"type": "number"}},
                },
            },
        },
    },
    "Unreadable": {
        "type": "object",
        "description": "One of several photos that could not be read.",
        "required": ["file", "error"],
        "properties": {"file": {"type": "string"}, "error": {"type": "string"}},
    },
    "Answers": {
        "type": "array",
        "items": {
            "anyOf": [
                {"$ref": "#/components/schemas/Prediction"},
                {"$ref": "#/components/schemas/Unreadable"},
            ]
        },
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "request_id"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "request_id": {"type": "string"},
                },
            }
        },
    },
    "Photo": {
        "description": "Base64 of a photo, or its pixels as lists (height, width[, channels]).",
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "array"}},
            {
                "type": "object",
                "required": ["image"],
                "additionalProperties": False,
                "properties": {"image": {"type": "string"}, "file": {"type": "string"}},
            },
        ],
    },
}


def openapi(state: ServeState, prefix: str = "") -> dict[str, Any]:
    """The document; names and sizes are those of the models that are being served.

    `prefix` is the path under which a proxy shows the server.
    """
    model = state.model()
    most = state.settings.max_images
    predict, page = _predict(model, most), _photo_body()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "olhar",
            "version": __version__,
            "description": "Image classifiers: " + ", ".join(state.models),
        },
        **({"servers": [{"url": prefix}]} if prefix else {}),
        "paths": {
            "/predict": {"post": predict},
            "/invocations": {"post": {**predict, "operationId": "invocations"}},
            "/explain": {
                "post": _operation(
                    "explain", "Where the model looks", {"type": "object"}, page, _OPTIONS[:1]
                )
            },
            **(
                {"/corrections": {"post": _correct(model, page)}}
                if state.settings.corrections
                else {}
            ),
            "/models": {"get": _operation("models", "What is being served", {"type": "array"})},
            "/ping": {"get": _operation("ping", "Whether the server lives", {"type": "object"})},
            "/v2": {"get": _operation("server_metadata", "Server", {"type": "object"})},
            "/v2/health/live": {"get": _operation("live", "Alive", {"type": "object"})},
            "/v2/health/ready": {"get": _operation("ready", "Ready", {"type": "object"})},
            "/v2/models/{name}": {
                "get": _operation("metadata", "A model", {"type": "object"}, None, [_name(model)])
            },
            "/v2/models/{name}/ready": {
                "get": _operation("model_ready", "Ready", {"type": "object"}, None, [_name(model)])
            },
            "/v2/models/{name}/infer": {"post": _infer(model)},
            **_tensorflow(model, most),
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        **({"security": [{"token": []}]} if state.settings.token else {}),
    }


_OPTIONS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "description": description,
        "schema": schema,
        **({"example": example} if example is not None else {}),
    }
    for name, description, schema, example in (
        ("model", "Which model; by default the first.", {"type": "string"}, None),
        ("top_k", "Classes in an answer.", {"type": "integer", "minimum": 1, "maximum": 100000}, 3),
        (
            "threshold",
            "A top probability below it is not sure; by default the model's own.",
            {"type": "number", "minimum": 0, "maximum": 1},
            0.5,
        ),
        (
            "invert",
            "Whether dark is read as bright; auto where the border is bright and was dark in training.",
            {"enum": ["auto", "no", "yes"]},
            "auto",
        ),
        ("lang", "Language of messages.", {"enum": ["en", "pt_BR"]}, "en"),
    )
]


def _operation(
    name: str,
    summary: str,
    schema: dict[str, Any],
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    example: Any = None,
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses = {
        "200": {"description": "The answer.", "content": {"application/json": content}},
        **{
            str(status): {"description": text, "content": error}
            for status, text in _REFUSALS.items()
        },
    }
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    if parameters:
        found["parameters"] = parameters
    return found


def _photo_body() -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return dict.fromkeys(("image/jpeg", "image/png", "application/octet-stream"), binary)


def _predict(model: ServedModel, most: int) -> dict[str, Any]:
    options = {option["name"]: option["schema"] for option in _OPTIONS}
    photo = {"$ref": "#/components/schemas/Photo"}
    many = {"type": "array", "items": photo, "maxItems": most}
    properties = {"image": photo, "images": many, "instances": many, "inputs": many, **options}
    form = {"photo": {"type": "string", "format": "binary"}, **options}
    body = {
        **_photo_body(),
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["photo"], "properties": form},
            # A part is a photo where it says so; without this a client may send it as a field.
            "encoding": {"photo": {"contentType": "image/png"}},
        },
        "application/json": {
            "schema": {"type": "object", "additionalProperties": False, "properties": properties},
            "example": {"images": [EXAMPLE_PHOTO], "top_k": 2},
        },
    }
    names = model.classifier.class_names
    top = [
        {"label": label, "probability": share}
        for label, share in zip(names, (0.9, 0.1), strict=False)
    ]
    answer = {"file": "0", "label": names[0], "probability": 0.9, "sure": True, "top": top}
    schema = {"$ref": "#/components/schemas/Answers"}
    file = {
        "name": "file",
        "in": "query",
        "description": "What the answer calls a photo that is the body itself.",
        "schema": {"type": "string"},
    }
    return _operation("predict", "What photos show", schema, body, [*_OPTIONS, file], [answer])


def _correct(model: ServedModel, body: dict[str, Any]) -> dict[str, Any]:
    names = list(model.classifier.class_names)
    label = {
        "name": "label",
        "in": "query",
        "required": True,
        "description": "What the photo shows, in the words of its class or a new one.",
        "schema": {"type": "string", "examples": names},
    }
    properties = {
        "file": {"type": "string"},
        "label": {"type": "string"},
        "new": {"type": "boolean"},
    }
    schema = {"type": "object", "required": list(properties), "properties": properties}
    options = [*_OPTIONS[:1], label]
    return _operation("corrections", "Keep a photo with its true class", schema, body, options)


def _name(model: ServedModel) -> dict[str, Any]:
    return {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "example": model.name,
    }


def _infer(model: ServedModel) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"enum": ["images", "image"]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "datatype": {"enum": ["UINT8", "FP32", "BYTES"]},
            "data": {"type": "array"},
        },
    }
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
        },
    }
    photo = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [EXAMPLE_PHOTO]}
    body = {"application/json": {"schema": schema, "example": {"inputs": [photo]}}}
    return _operation("infer", "Probabilities", {"type": "object"}, body, [_name(model)])


def _tensorflow(model: ServedModel, most: int) -> dict[str, Any]:
    """TensorFlow Serving's API."""
    many = {"type": "array", "items": {"$ref": "#/components/schemas/Photo"}, "maxItems": most}
    found: dict[str, Any] = {}
    for verb, key in (("predict", "instances"), ("classify", "examples")):
        schema = {"type": "object", "required": [key], "properties": {key: many}}
        body = {"schema": schema, "example": {key: [{"b64": EXAMPLE_PHOTO}]}}
        words = (f"tensorflow_{verb}", "Probabilities of all classes", {"type": "object"})
        content = {"application/json": body}
        found[f"/v1/models/{{name}}:{verb}"] = {"post": _operation(*words, content, [_name(model)])}
    for name, path in (("state", ""), ("metadata", "/metadata")):
        words = (f"tensorflow_{name}", "A model", {"type": "object"})
        found[f"/v1/models/{{name}}{path}"] = {"get": _operation(*words, None, [_name(model)])}
    return found


def _metrics() -> dict[str, Any]:
    found = _operation("metrics", "Counters, for Prometheus", {"type": "string"})
    found["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return found
