"""What the studio's page asks of models: training, trying, handing on.

Does not know: how a model is trained or exported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from olhar.serving.looked import explain_photo
from olhar.studio import exports
from olhar.studio.requests import json_route, photo_route, plain_route, text_of
from olhar.studio.studio import Studio
from olhar.web_server.local_pages import json_answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

_PART = 2**18  # bytes of a download that are sent at once
_BARS = 10  # the most probable classes that an answer tells


def model_routes(studio: Studio) -> list[Route]:
    """Trainings, models, and what leaves the studio."""
    project, change = studio.project, studio.change
    return [
        json_route("POST", "/api/train", lambda v: _train(studio, v)),
        json_route("POST", "/api/train/stop", lambda _v: studio.stop()),
        json_route("POST", "/api/train/resume", lambda v: studio.resume(text_of(v, "run"))),
        plain_route("/api/networks", lambda request: json_answer(request, _networks())),
        photo_route("/api/predict", lambda request, content: _predict(studio, request, content)),
        photo_route("/api/explain", lambda request, content: _explain(studio, request, content)),
        plain_route(
            "/api/models/{run}",
            lambda request: json_answer(
                request, studio.models.describe(request.path_params["run"])
            ),
        ),
        json_route(
            "DELETE", "/api/models/{run}", lambda v: change(lambda: project.delete_run(v["run"]))
        ),
        plain_route("/api/models/{run}/export/{kind}", lambda request: _export(studio, request)),
        json_route(
            "POST",
            "/api/models/{run}/push",
            lambda v: exports.push(project.run_path(v["run"]), text_of(v, "address")),
        ),
        plain_route("/api/project.zip", lambda _request: _download(exports.zip_project(project))),
    ]


def _train(studio: Studio, values: Mapping[str, Any]) -> dict[str, str]:
    from olhar.networks.specs import resolve_network
    from olhar.training.recipe import SETTINGS

    network = values.get("network")
    if network is not None:
        resolve_network(text_of(values, "network"))
    minutes, seed = (
        None if values.get(key) is None else SETTINGS[key].read(values[key])
        for key in ("minutes", "seed")
    )
    return studio.train(network, minutes=minutes, augment=values.get("augment"), seed=seed)


def _networks() -> list[dict[str, str]]:
    from olhar.networks.specs import LISTED, network_source

    return [{"name": name, "text": str(network_source(name))} for name in LISTED]


def _predict(studio: Studio, request: Request, content: bytes) -> dict[str, Any]:
    classifier = studio.models.classifier(request.query_params.get("model"))
    answer = classifier.predict(content, top_k=_BARS, name=request.query_params.get("name", "-"))
    return answer.to_dict()


def _explain(studio: Studio, request: Request, content: bytes) -> dict[str, Any]:
    classifier = studio.models.classifier(request.query_params.get("model"))
    found = explain_photo(classifier, content)
    return {
        "image": f"data:image/png;base64,{found['heatmap']}",
        "seen": f"data:image/png;base64,{found['seen']}",
        "text": found["sentence"],
    }


def _export(studio: Studio, request: Request) -> Response:
    run = studio.project.run_path(request.path_params["run"])
    return _download(exports.make(run, request.path_params["kind"]))


def _download(made: exports.Download) -> Response:
    from urllib.parse import quote

    from starlette.responses import StreamingResponse

    def parts() -> Iterator[bytes]:
        with made.file as file:
            while part := file.read(_PART):
                yield part

    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(made.name)}",
        "Content-Length": str(made.file.seek(0, os.SEEK_END)),
    }
    made.file.seek(0)
    return StreamingResponse(parts(), media_type=made.media_type, headers=headers)
