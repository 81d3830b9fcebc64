"""What the studio's page asks of models: training, trying, handing on.

Does not know: how a model is trained or exported.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import quote

from olhar.serving.looked import explain_photo
from olhar.studio import exports
from olhar.studio.requests import json_route, photo_route, text_of
from olhar.studio.studio import Studio
from olhar.web_server.answers import Answer, json_answer
from olhar.web_server.request import Request
from olhar.web_server.routes import Route, get, in_thread

_PART = 2**18  # bytes of a download that are sent at once
_BARS = 10  # the most probable classes that an answer tells


def model_routes(studio: Studio) -> list[Route]:
    """Trainings, models, and what leaves the studio."""
    project, change = studio.project, studio.change
    return [
        json_route("POST", "/api/train", lambda v: _train(studio, v)),
        json_route("POST", "/api/train/stop", lambda _v: studio.stop()),
        json_route("POST", "/api/train/resume", lambda v: studio.resume(text_of(v, "run"))),
        get("/api/networks", lambda request: json_answer(request, _networks())),
        photo_route("/api/predict", lambda request, content: _predict(studio, request, content)),
        photo_route("/api/explain", lambda request, content: _explain(studio, request, content)),
        get(
            "/api/models/{run}",
            lambda request: json_answer(request, studio.models.describe(request.params["run"])),
        ),
        json_route(
            "DELETE", "/api/models/{run}", lambda v: change(lambda: project.delete_run(v["run"]))
        ),
        get("/api/models/{run}/export/{kind}", lambda request: _export(studio, request)),
        json_route(
            "POST",
            "/api/models/{run}/push",
            lambda v: exports.push(project.run_path(v["run"]), text_of(v, "address")),
        ),
        get("/api/project.zip", lambda _request: _download(exports.zip_project(project))),
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
    classifier = studio.models.classifier(request.query.get("model"))
    answer = classifier.predict(content, top_k=_BARS, name=request.query.get("name", "-"))
    return answer.to_dict()


def _explain(studio: Studio, request: Request, content: bytes) -> dict[str, Any]:
    classifier = studio.models.classifier(request.query.get("model"))
    found = explain_photo(classifier, content)
    return {
        "image": f"data:image/png;base64,{found['heatmap']}",
        "seen": f"data:image/png;base64,{found['seen']}",
        "text": found["sentence"],
    }


def _export(studio: Studio, request: Request) -> Answer:
    run = studio.project.run_path(request.params["run"])
    return _download(exports.make(run, request.params["kind"]))


def _download(made: exports.Download) -> Answer:
    async def parts() -> AsyncGenerator[bytes, None]:
        with made.file as file:
            while part := await in_thread(lambda: file.read(_PART)):
                yield part

    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(made.name)}",
        "Content-Length": str(made.file.seek(0, os.SEEK_END)),
    }
    made.file.seek(0)
    return Answer(200, content_type=made.media_type, headers=headers, parts=parts())
