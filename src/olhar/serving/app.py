"""The server over HTTP, as one plain ASGI application.

    POST /predict, /invocations      photos → the list that `olhar predict --json` prints
    GET  /models                     what is being served
    GET  /ping                       alive (SageMaker)
    GET  /v2, /v2/health/…, /v2/models/…, POST /v2/models/{name}/infer    Open Inference Protocol
    /v1/models/…                     TensorFlow Serving's API
    GET  /metrics, /openapi.json
    /                                the page, with what it needs

No framework stands on the way of a photo: routing, validation and answer objects of one took longer
than a small network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from olhar import i18n
from olhar.errors import OlharError, machine_error
from olhar.i18n import _
from olhar.serving import open_inference, tensorflow_serving
from olhar.serving.bodies import read_asked
from olhar.serving.engine import predict_images, predict_photo
from olhar.serving.guard import Guard
from olhar.serving.metrics import Metrics
from olhar.serving.served import ServedModel
from olhar.serving.settings import ServeState
from olhar.web_server.answers import Answer, json_content, redirect, send_answer
from olhar.web_server.hosts import HostNames
from olhar.web_server.prefix import redirect_of, without_prefix
from olhar.web_server.refusals import (
    ClientGoneError,
    busy,
    error_body,
    not_found,
    status_of,
    too_slow_to_answer,
    too_slow_to_send,
    wrong_media_type,
    wrong_method,
)
from olhar.web_server.request import Receive, Request, Send
from olhar.web_server.routes import Route, Routes

log = logging.getLogger("olhar.serving")
_UNREAD_S = 5.0  # for the body of a request that was refused before it was read
_PARSED_AT_ONCE = 64 * 1024  # a larger body is taken apart in a thread
_VERSIONS = ("", "/versions/{version}")  # that may stand in a path


class App:
    """Answers requests; `state` is shared with whoever reloads models."""

    def __init__(
        self, state: ServeState, metrics: Metrics | None = None, *, local: bool = False
    ) -> None:
        self.state = state
        self.metrics = metrics or Metrics()
        self.draining = False
        self._guard = Guard(state.settings, HostNames(state.settings.allow_host, local=local))
        self._in_flight = 0
        self._pages: Routes | None = None
        self._routes = Routes(self._protocol_routes())

    def _protocol_routes(self) -> Iterator[Route]:
        yield Route("POST", "/predict", self._predict)
        yield Route("POST", "/invocations", self._predict)
        yield Route("GET", "/ping", self._alive)
        yield Route("GET", "/models", self._models)
        yield Route("GET", "/metrics", self._metrics)
        yield Route("GET", "/openapi.json", self._openapi)
        yield Route("GET", "/v2", self._v2)
        yield Route("GET", "/v2/health/live", self._alive)
        yield Route("GET", "/v2/health/ready", self._ready)
        for version in _VERSIONS:
            path = f"/v2/models/{{name}}{version}"
            yield Route("POST", f"{path}/infer", self._infer)
            yield Route("GET", f"{path}/ready", self._model_ready)
            yield Route("GET", path, self._v2_metadata)
            path = f"/v1/models/{{name}}{version}"
            yield Route("POST", f"{path}:predict", partial(self._v1_answer, "predict"))
            yield Route("POST", f"{path}:classify", partial(self._v1_answer, "classify"))
            yield Route("GET", f"{path}/metadata", self._v1_metadata)
            yield Route("GET", path, self._v1_status)
            yield Route("POST", path, self._v1_without_verb)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """One request (ASGI 3.0)."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        request = Request(without_prefix(scope, self.state.settings.root_path or ""), receive)
        with i18n.using(request.language):
            answer = await self._answer(request)
        if request.has_unread_body and "Connection" not in answer.headers:
            await self._make_room(request, answer)
        if self.draining:
            answer.headers["Connection"] = "close"
        headers = self._guard.headers(request, answer) | {"X-Request-Id": request.id}
        await send_answer(answer, headers, receive, send)
        seconds = time.perf_counter() - started
        self.metrics.count(_route(request.path), answer.status, seconds)
        if answer.status >= 400 or self.state.settings.log_requests:
            _log(request, answer, seconds)

    async def _answer(self, request: Request) -> Answer:
        """The answer, whatever happens."""
        counted = request.method == "POST"
        self._in_flight += counted
        try:
            answer = self._guard.preflight(request)
            if answer is not None:
                return answer
            home = redirect_of(request.scope)
            if home is not None and not counted:
                return redirect(home)
            self._guard.check(request)
            if counted and self._in_flight > self.state.settings.concurrency:
                raise busy(self.state.settings.concurrency)
            return await self._in_time(request)
        except OlharError as error:
            headers = getattr(error, "headers", {})
            with i18n.using(request.language):  # the body may have asked for another
                body = error_body(error.code, str(error), request.id)
            return Answer(status_of(error), body, headers=headers)
        except ClientGoneError:
            return Answer(499, b"")  # nobody reads it; the log and the metrics have it
        except Exception as error:
            lack = machine_error(error)
            if lack is not None:
                body = error_body(lack.code, str(lack), request.id)
                return Answer(503, body, headers={"Retry-After": "5"})
            log.exception("id=%s %s", request.id, ascii(request.path))
            message = _("an error of the server's own; its log has more under this request's id")
            return Answer(500, error_body("internal", str(message), request.id))
        finally:
            self._in_flight -= counted

    async def _in_time(self, request: Request) -> Answer:
        seconds = self.state.settings.timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._route(request)
        except TimeoutError as error:
            if request.method == "POST" and not request.body_read:
                raise too_slow_to_send(seconds) from error
            raise too_slow_to_answer(seconds) from error

    async def _route(self, request: Request) -> Answer:
        handler = self._routes.find(request) or self.load_pages().find(request)
        if handler is None:
            raise not_found(request.path)
        return await handler(request)

    async def _make_room(self, request: Request, answer: Answer) -> None:
        """Take in a body that was refused unread; close the connection where it does not end."""
        whole = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNREAD_S):
                whole = await request.discard(self.state.settings.max_bytes)
        if not whole:
            answer.headers["Connection"] = "close"

    async def _predict(self, request: Request) -> Answer:
        settings = self.state.settings
        body = await _plain_body(request, settings.max_bytes)
        words = (body, request.header(b"content-type"), request.query, settings.max_images)
        if len(body) <= _PARSED_AT_ONCE:
            asked = read_asked(*words)
        else:
            asked = await asyncio.to_thread(read_asked, *words)
        request.language = asked.language or request.language
        with i18n.using(request.language):
            model = self.state.model(asked.model)
            options: dict[str, Any] = {
                name: getattr(asked, name) for name in ("top_k", "threshold", "invert")
            }
            if len(asked.photos) == 1:
                # Alone, a photo that cannot be read is an error of the request.
                return _json([await predict_photo(self.state, model, *asked.photos[0], **options)])
            return _json(await predict_images(self.state, model, asked.photos, **options))

    async def _alive(self, _request: Request) -> Answer:
        return _json({"live": True})

    async def _ready(self, _request: Request) -> Answer:
        return _json({"ready": not self.draining}, 503 if self.draining else 200)

    async def _models(self, _request: Request) -> Answer:
        return _json([_describe(model) for model in self.state.models.values()])

    async def _metrics(self, _request: Request) -> Answer:
        batcher = self.state.batcher
        self.metrics.set_gauges(self._in_flight, batcher.batches, batcher.photos)
        models = [(model.name, model.digest) for model in self.state.models.values()]
        return Answer(200, self.metrics.text(models).encode(), "text/plain; version=0.0.4")

    async def _openapi(self, request: Request) -> Answer:
        from olhar.serving.openapi import openapi

        return _json(openapi(self.state, request.prefix))

    async def _v2(self, _request: Request) -> Answer:
        return _json(open_inference.server_metadata())

    def _model(self, request: Request) -> ServedModel:
        """That whose name, and perhaps whose version, stands in the path."""
        model = self.state.model(request.params["name"])
        if "version" in request.params:
            open_inference.check_version(model, request.params["version"])
        return model

    async def _infer(self, request: Request) -> Answer:
        model = self._model(request)
        body = await _plain_body(request, self.state.settings.max_bytes)
        length = request.header(b"inference-header-content-length")
        body, headers = await open_inference.infer(self.state, model, body, length)
        kind = "application/octet-stream" if headers else "application/json"
        return Answer(200, body, kind, headers)

    async def _model_ready(self, request: Request) -> Answer:
        return _json({"name": self._model(request).name, "ready": True})

    async def _v2_metadata(self, request: Request) -> Answer:
        return _json(open_inference.model_metadata(self._model(request)))

    async def _v1_answer(self, verb: str, request: Request) -> Answer:
        model = self._model(request)
        body = await _plain_body(request, self.state.settings.max_bytes)
        return Answer(200, await tensorflow_serving.answer(self.state, model, verb, body))

    async def _v1_metadata(self, request: Request) -> Answer:
        return _json(tensorflow_serving.metadata(self._model(request)))

    async def _v1_status(self, request: Request) -> Answer:
        return _json(tensorflow_serving.status(self._model(request)))

    async def _v1_without_verb(self, request: Request) -> Answer:
        self._model(request)  # a verb that there is not is taken for the end of a name
        raise wrong_method(request.method, "GET")

    def load_pages(self) -> Routes:
        """The page's routes; loading what they need takes a moment that no photo should wait for."""
        if self._pages is None:
            from olhar.serving.page_routes import page_routes

            self._pages = Routes(page_routes(self.state))
        return self._pages


async def _plain_body(request: Request, max_bytes: int) -> bytes:
    body = await request.body(max_bytes)
    encoding = request.header(b"content-encoding")
    if encoding not in {"", "identity"}:
        raise wrong_media_type(f"{request.header(b'content-type')}; {encoding}", "identity")
    return body


def _describe(model: ServedModel) -> dict[str, Any]:
    classifier = model.classifier
    config = classifier.config
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "class_names": list(classifier.class_names),
        "translated_names": {tag: list(names) for tag, names in config.translated_names.items()},
        "network": config.network["name"],
        "data": config.data.get("name"),
        "size": classifier.preprocess.size,
        "channels": classifier.preprocess.channels,
        "threshold": config.threshold,
    }


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json_content(value))


def _route(path: str) -> str:
    """Which line of the metrics a path belongs to."""
    if path in {"/predict", "/invocations", "/explain", "/corrections", "/ping"}:
        return path
    start = path[:3]
    return start if start in {"/v1", "/v2"} else "other"


def _log(request: Request, answer: Answer, seconds: float) -> None:
    client = (request.scope.get("client") or ("-",))[0]
    log.info(
        "id=%s %s %s %d %.1f ms %s",
        *(request.id, request.method, ascii(request.path), answer.status, 1000 * seconds, client),
    )
