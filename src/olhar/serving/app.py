"""The server over HTTP, as one plain ASGI application.

    POST /predict, /invocations      photos → the list that `olhar predict --json` prints
    GET  /models                     what is being served
    GET  /ping                       alive (SageMaker)
    GET  /v2, /v2/health/…, /v2/models/…, POST /v2/models/{name}/infer    Open Inference Protocol
    /v1/models/…                     TensorFlow Serving's API
    GET  /metrics, /openapi.json
    /                                the page, with what it needs

No framework stands on the way of a photo: routing, validation and answer objects of one took longer
than a small network. The page's routes are Starlette's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

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
from olhar.web_server.hosts import HostNames
from olhar.web_server.prefix import PREFIX, redirect_of, without_prefix
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
from olhar.web_server.request import Answer, Message, Receive, Request, Send

if TYPE_CHECKING:
    from starlette.routing import Router

log = logging.getLogger("olhar.serving")
_UNREAD_S = 5.0  # for the body of a request that was refused before it was read
_PARSED_AT_ONCE = 64 * 1024  # a larger body is taken apart in a thread
_V2_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?")

_Handler = Callable[[Request], Awaitable[Answer]]


class App:
    """Answers requests; `state` is shared with whoever reloads models."""

    def __init__(
        self,
        state: ServeState,
        metrics: Metrics | None = None,
        *,
        local: bool = False,
    ) -> None:
        self.state = state
        self.metrics = metrics or Metrics()
        self.draining = False
        self._guard = Guard(state.settings, HostNames(state.settings.allow_host, local=local))
        self._in_flight = 0
        self._pages: Router | None = None
        self._routes: dict[str, dict[str, _Handler]] = {
            "/predict": {"POST": self._predict},
            "/invocations": {"POST": self._predict},
            "/ping": {"GET": self._alive},
            "/models": {"GET": self._models},
            "/metrics": {"GET": self._metrics},
            "/openapi.json": {"GET": self._openapi},
            "/v2": {"GET": self._v2},
            "/v2/health/live": {"GET": self._alive},
            "/v2/health/ready": {"GET": self._ready},
        }

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
        await self._send(request, answer, send)
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
                return Answer(307, b"", "text/plain", {"Location": home})
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
        methods = self._routes.get(request.path)
        if methods is not None:
            return await _by_method(request, methods)
        found = _V2_MODEL.fullmatch(request.path)
        if found:
            return await self._v2_model(request, found[1], found[2], found[3])
        found = tensorflow_serving.PATH.fullmatch(request.path)
        if found:
            return await self._v1_model(request, found[1], found[2], found[3] or found[4])
        return await self._page(request)

    async def _make_room(self, request: Request, answer: Answer) -> None:
        """Take in a body that was refused unread; close the connection where it does not end."""
        whole = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNREAD_S):
                whole = await request.discard(self.state.settings.max_bytes)
        if not whole:
            answer.headers["Connection"] = "close"

    async def _send(self, request: Request, answer: Answer, send: Send) -> None:
        headers = self._guard.headers(request, answer)
        headers["Content-Type"] = answer.content_type
        headers["Content-Length"] = str(len(answer.body))
        headers["X-Request-Id"] = request.id
        if self.draining:
            headers["Connection"] = "close"
        if answer.status == 204:
            del headers["Content-Type"], headers["Content-Length"]
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

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

        return _json(openapi(self.state, request.scope[PREFIX]))

    async def _v2(self, _request: Request) -> Answer:
        return _json(open_inference.server_metadata())

    async def _v2_model(
        self, request: Request, name: str, version: str | None, action: str | None
    ) -> Answer:
        model = self.state.model(name)
        if version is not None:
            open_inference.check_version(model, version)

        async def infer(request: Request) -> Answer:
            body = await _plain_body(request, self.state.settings.max_bytes)
            length = request.header(b"inference-header-content-length")
            body, headers = await open_inference.infer(self.state, model, body, length)
            kind = "application/octet-stream" if headers else "application/json"
            return Answer(200, body, kind, headers)

        async def metadata(_request: Request) -> Answer:
            return _json(open_inference.model_metadata(model))

        async def ready(_request: Request) -> Answer:
            return _json({"name": model.name, "ready": True})

        handlers: dict[str | None, dict[str, _Handler]] = {
            "infer": {"POST": infer},
            "ready": {"GET": ready},
            None: {"GET": metadata},
        }
        return await _by_method(request, handlers[action])

    async def _v1_model(
        self, request: Request, name: str, version: str | None, action: str | None
    ) -> Answer:
        model = self.state.model(name)
        if version is not None:
            open_inference.check_version(model, version)

        async def answer(request: Request) -> Answer:
            body = await _plain_body(request, self.state.settings.max_bytes)
            words = (self.state, model, str(action), body)
            return Answer(200, await tensorflow_serving.answer(*words))

        async def describe(_request: Request) -> Answer:
            tell = tensorflow_serving.metadata if action else tensorflow_serving.status
            return _json(tell(model))

        handlers: dict[str, _Handler] = {"GET": describe}
        if action in {"predict", "classify"}:
            handlers = {"POST": answer}
        return await _by_method(request, handlers)

    async def _page(self, request: Request) -> Answer:
        """An answer of the page's Starlette routes, whole before it is sent."""
        from starlette.exceptions import HTTPException

        messages: list[Message] = []
        bodies = [await request.body(self.state.settings.max_bytes)]

        async def receive() -> Message:
            if not bodies:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}

        async def collect(message: Message) -> None:
            messages.append(message)

        scope = {**request.scope, "app": self}
        try:
            await self.load_pages()(scope, receive, collect)
        except HTTPException as error:
            if error.status_code == 405:
                raise wrong_method(
                    request.method, (error.headers or {}).get("Allow", "")
                ) from error
            raise not_found(request.path) from error
        return _collected(messages)

    def load_pages(self) -> Router:
        """The page's routes; loading Starlette takes a moment that no photo should wait for."""
        if self._pages is None:
            from starlette.routing import Router

            from olhar.serving.page_routes import page_routes

            self._pages = Router(page_routes(self.state), redirect_slashes=False)
        return self._pages


async def _by_method(request: Request, methods: Mapping[str, _Handler]) -> Answer:
    method = "GET" if request.method == "HEAD" else request.method
    if method not in methods:
        raise wrong_method(request.method, ", ".join(methods))
    return await methods[method](request)


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
    # A file's name may hold half a surrogate pair, which UTF-8 cannot.
    return Answer(status, json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _collected(messages: list[Message]) -> Answer:
    """ASGI messages → one answer."""
    start = messages[0]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    body = b"".join(message.get("body", b"") for message in messages[1:])
    kind = headers.pop("content-type", "application/octet-stream")
    headers.pop("content-length", None)
    shown = {name.title(): value for name, value in headers.items()}
    return Answer(start["status"], body, kind, shown)


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
