"""The studio over HTTP.

    GET    /                            the page; /page/NAME its style and scripts; /api/texts its strings
    GET    /api/state                   what there is: see `studio.Studio.state`
    GET    /api/events                  the same as server-sent events, whenever it changes
    POST   /api/classes                 {"name"}; PATCH and DELETE /api/classes/{name}
    GET    /api/photos                  ?class=NAME or ?tray=1: see `studio.Studio.photos`
    POST   /api/photos                  photos or zips, into ?class=NAME or the tray; ?burst= a recording
    POST   /api/photos/move             {"files", "class"}; /api/photos/delete {"files"}
    POST   /api/undo                    the latest change is taken back
    GET    /photos/{folder}/{file}      a photo; ?side=240 a small one
    POST   /api/train                   {"network", "minutes", "augment", "seed"}; /stop; /resume {"run"}
    GET    /api/networks                what can be trained by name
    POST   /api/predict, /api/explain   a photo, ?model=RUN
    GET    /api/models/{run}            all of one run; DELETE moves it into the bin
    GET    /api/models/{run}/export/{kind}, /api/project.zip   downloads
    POST   /api/phones                  {"address"}: a page for phones alone (see `phones`); DELETE ends it

Whatever changes something wants the header X-Olhar, which a page of another site cannot send without
being asked first (CORS preflight), and is not allowed to. Errors are {"code", "message"}.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from olhar import i18n
from olhar.errors import ConfigError, OlharError
from olhar.i18n import _
from olhar.images import MAX_PIXELS, read_image
from olhar.serving.local_pages import (
    content_answer,
    file_answer,
    guarded,
    json_answer,
    request_language,
)
from olhar.serving.looked import explain_photo
from olhar.studio import exports, zips
from olhar.studio.phones import Phones
from olhar.studio.project import Taken
from olhar.studio.requests import (
    HEADERS,
    check_header,
    in_thread,
    read_body,
    read_json,
    refuse_in_words,
    taken_as_json,
)
from olhar.studio.studio import Studio
from olhar.studio.texts import page_texts

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Scope

PAGE = Path(__file__).parent / "page"
_MOST_FILES = 2_000
_EVERY_S, _BEAT_S = 0.2, 15.0  # between two states that are sent; between signs of life
_BARS = 10  # the most probable classes that an answer tells
_SIDES = range(32, 1025)
Answer = Callable[["Request"], "Response"]


def build_app(
    studio: Studio,
    *,
    phones: Phones,
    local: bool = True,
    token: str | None = None,
    allow_host: tuple[str, ...] = (),
    root_path: str = "",
) -> ASGIApp:
    """The studio as an ASGI application.

    Args:
        studio: an open one.
        phones: what lets phones in.
        local: whether only this machine reaches it.
        token: that requests must bring, as a cookie that ?token= sets, or as a bearer token.
        allow_host: names that are answered besides its own.
        root_path: the path under which a proxy shows it.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    def plain(path: str, answer: Answer, *methods: str) -> Route:
        """A route that is answered in a thread."""

        def endpoint(request: Request) -> Response:
            with i18n.using(request_language(request)):
                return answer(request)

        return Route(path, endpoint, methods=list(methods or ("GET",)))

    def with_json(path: str, answer: Callable[[Mapping[str, Any]], Any], method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            values = await read_json(request)
            return await in_thread(request, lambda: answer(values | request.path_params))

        return Route(path, endpoint, methods=[method])

    def with_photo(path: str, answer: Callable[[Request, bytes], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            content = await read_body(request)
            return await in_thread(request, lambda: answer(request, content))

        return Route(path, endpoint, methods=["POST"])

    project = studio.project
    pages = [
        plain(f"/page/{file.name}", file_answer(file))
        for file in sorted(PAGE.iterdir())
        if file.is_file()
    ]
    routes = [
        plain("/", file_answer(PAGE / "index.html", placed=True)),
        *pages,
        plain("/api/texts", lambda request: json_answer(request, page_texts(i18n.language()))),
        plain("/api/state", lambda request: json_answer(request, studio.state())),
        Route("/api/events", partial(_events, studio)),
        with_json(
            "/api/classes",
            lambda v: _change(studio, lambda: {"name": project.add_class(_text(v, "name"))}),
            "POST",
        ),
        with_json(
            "/api/classes/{old}",
            lambda v: _change(
                studio, lambda: {"name": project.rename_class(v["old"], _text(v, "name"))}
            ),
            "PATCH",
        ),
        with_json(
            "/api/classes/{old}",
            lambda v: _change(studio, lambda: project.delete_class(v["old"])),
            "DELETE",
        ),
        plain("/api/photos", lambda request: json_answer(request, _photos(studio, request))),
        Route("/api/photos", partial(_take, studio), methods=["POST"]),
        with_json(
            "/api/photos/move",
            lambda v: _change(studio, lambda: project.move(_files(v), _text(v, "class"))),
            "POST",
        ),
        with_json(
            "/api/photos/delete",
            lambda v: _change(studio, lambda: project.delete(_files(v))),
            "POST",
        ),
        with_json(
            "/api/undo", lambda _v: _change(studio, lambda: {"text": str(project.undo())}), "POST"
        ),
        plain("/photos/{folder}/{file}", lambda request: _photo(studio, request)),
        with_json("/api/train", lambda v: _train(studio, v), "POST"),
        with_json("/api/train/stop", lambda _v: studio.stop(), "POST"),
        with_json("/api/train/resume", lambda v: studio.resume(_text(v, "run")), "POST"),
        plain("/api/networks", lambda request: json_answer(request, _networks())),
        with_photo("/api/predict", lambda request, content: _predict(studio, request, content)),
        with_photo("/api/explain", lambda request, content: _explain(studio, request, content)),
        plain(
            "/api/models/{run}",
            lambda request: json_answer(
                request, studio.models.describe(request.path_params["run"])
            ),
        ),
        with_json(
            "/api/models/{run}",
            lambda v: _change(studio, lambda: project.delete_run(v["run"])),
            "DELETE",
        ),
        plain("/api/models/{run}/export/{kind}", lambda request: _export(studio, request)),
        with_json(
            "/api/models/{run}/push",
            lambda v: exports.push(project.run_path(v["run"]), _text(v, "address")),
            "POST",
        ),
        plain("/api/project.zip", lambda request: _zip(studio, request)),
        with_json(
            "/api/phones",
            lambda v: phones.open(_text(v, "address") if v.get("address") else None),
            "POST",
        ),
        with_json("/api/phones", lambda _v: phones.close(), "DELETE"),
    ]
    app = Starlette(routes=routes, exception_handlers={OlharError: refuse_in_words})
    return guarded(
        _with_token(app, token),
        "studio",
        local=local,
        allow_host=allow_host,
        root_path=root_path,
        check=check_header,
        headers=HEADERS,
    )


# Requests


def _with_token(app: ASGIApp, token: str | None) -> ASGIApp:
    """`app` for those alone who bring the token; a page that was opened with it is given a cookie."""
    from starlette.requests import HTTPConnection
    from starlette.responses import PlainTextResponse, RedirectResponse

    if token is None:
        return app

    async def check(scope: Scope, receive: Any, send: Any) -> None:
        answer: ASGIApp = app
        if scope["type"] == "http":
            asked = HTTPConnection(scope)
            given = asked.query_params.get("token", "")
            bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
            if hmac.compare_digest(given.encode(), token.encode()):
                page = RedirectResponse(str(asked.url.remove_query_params("token").path))
                page.set_cookie(
                    "olhar_token",
                    token,
                    httponly=True,
                    samesite="strict",
                    secure=asked.url.scheme == "https",
                )
                answer = page
            elif not any(
                hmac.compare_digest(one.encode(), token.encode())
                for one in (bearer, asked.cookies.get("olhar_token", ""))
            ):
                text = _("this studio wants its token: add ?token=TOKEN to its address")
                answer = PlainTextResponse(str(text), 401)
        await answer(scope, receive, send)

    return check


def _text(values: Mapping[str, Any], key: str) -> str:
    found = values.get(key)
    if not isinstance(found, str):
        raise ConfigError(_("'{key}' is missing, or no text", key=key))
    return found


def _files(values: Mapping[str, Any]) -> list[str]:
    found = values.get("files")
    if not isinstance(found, list) or not all(isinstance(file, str) for file in found):
        raise ConfigError(_("'{key}' is missing, or no list of texts", key="files"))
    return found


def _change(studio: Studio, change: Callable[[], Any]) -> Any:
    """Change something, and tell whoever watches; what it answers."""
    answer = change()
    studio.changed()
    return answer or {}


# Answers


async def _events(studio: Studio, request: Request) -> Response:
    """The state, and again whenever it has changed."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import StreamingResponse

    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    language = request_language(request)

    def state() -> str:
        with i18n.using(language):
            return json.dumps(studio.state(), ensure_ascii=False)

    async def stream() -> AsyncIterator[bytes]:
        end = studio.watch(partial(_wake, loop, changed))
        try:
            while not await request.is_disconnected():
                changed.clear()
                text = await run_in_threadpool(state)
                yield f"event: state\ndata: {text}\n\n".encode("utf-8", "replace")
                await asyncio.sleep(_EVERY_S)
                while not changed.is_set():
                    try:
                        await asyncio.wait_for(changed.wait(), _BEAT_S)
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            end()

    return StreamingResponse(stream(), media_type="text/event-stream")


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(changed.set)


def _photos(studio: Studio, request: Request) -> dict[str, Any]:
    query = request.query_params
    return studio.photos(None if query.get("tray") else query.get("class", ""))


async def _take(studio: Studio, request: Request) -> Response:
    """Photos, or archives of them, as a form or as the body itself."""
    query = request.query_params
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=_MOST_FILES, max_fields=20) as form:
            given = [
                (part.filename or "", await part.read())
                for _name, part in form.multi_items()
                if not isinstance(part, str)
            ]
    else:
        given = [(query.get("name", ""), await read_body(request))]
    class_name, burst = query.get("class"), query.get("burst")

    def take() -> dict[str, Any]:
        total = Taken()
        try:
            for taken in zips.take_all(studio.project, given, class_name, burst):
                total.taken += taken.taken
                total.already += taken.already
                total.refused += taken.refused
        finally:
            studio.changed()
        return taken_as_json(total)

    return await in_thread(request, take)


def _photo(studio: Studio, request: Request) -> Response:
    path = studio.project.locate(f"{request.path_params['folder']}/{request.path_params['file']}")
    side = request.query_params.get("side", "")
    if not side:
        # Never as a page: a file that only looks like a photo must not run in the studio's name.
        return content_answer(request, path.read_bytes(), _photo_type(path))
    if not side.isdigit() or int(side) not in _SIDES:
        raise ConfigError(
            _(
                "side is {given}; allowed: {low} to {high}",
                given=side,
                low=_SIDES[0],
                high=_SIDES[-1],
            )
        )
    return content_answer(request, _small(path, int(side)), "image/jpeg")


def _photo_type(path: Path) -> str:
    types = {
        ".jpg": "jpeg",
        ".jpeg": "jpeg",
        ".png": "png",
        ".gif": "gif",
        ".webp": "webp",
        ".bmp": "bmp",
    }
    return f"image/{types.get(path.suffix.lower(), 'octet-stream')}"


def _small(path: Path, side: int) -> bytes:
    pixels = read_image(path, shrink_to=side, max_pixels=MAX_PIXELS)  # (H, W, C) uint8
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def _train(studio: Studio, values: Mapping[str, Any]) -> dict[str, str]:
    from olhar.networks.specs import resolve_network
    from olhar.training.recipe import SETTINGS

    network = values.get("network")
    if network is not None:
        resolve_network(_text(values, "network"))
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
    made = exports.make(run, request.path_params["kind"])
    return _download(made.content, made.media_type, made.name)


def _zip(studio: Studio, _request: Request) -> Response:
    made = exports.zip_project(studio.project)
    return _download(made.content, made.media_type, made.name)


def _download(content: bytes, media_type: str, name: str) -> Response:
    from urllib.parse import quote

    from starlette.responses import Response

    named = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": named})
