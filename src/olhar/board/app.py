"""The board over HTTP: GET only, nothing but this folder, nothing from any other host.

    GET /                            the page, with its style, scripts and icon
    GET /api/texts                   the page's strings (`?lang=pt`, else Accept-Language)
    GET /api/runs                    {"folder", "runs": [...]}: see `folders.list_runs`
    GET /api/runs/{id}               all of one run: see `folders.describe_run`
    GET /api/runs/{id}/card          {"html"}: its README, in the language asked for
    GET /pictures/{id}/{file}        a picture of its folder

An id comes from /api/runs and is itself percent-encoded once more in a URL. Every answer has an
ETag; with If-None-Match it is 304 where nothing has changed. Errors are {"code", "message"}.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from olhar import i18n
from olhar.board import card, folders, texts
from olhar.errors import MissingFileError, OlharError, explain_os_errors
from olhar.i18n import _, choose_language
from olhar.serving.hosts import HostNames, refusal
from olhar.serving.prefix import PREFIX, place_page, redirect_of, without_prefix

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def build_app(
    root: Path, *, local: bool = True, allow_host: Collection[str] = (), root_path: str = ""
) -> ASGIApp:
    """The board over the runs in `root`, as an ASGI application.

    Args:
        root: the folder of runs.
        local: whether only this machine reaches it; then no foreign page may, through a name of its own
            (DNS rebinding).
        allow_host: names that are answered besides.
        root_path: the path under which a proxy shows it.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        def endpoint(request: Request) -> Response:
            with i18n.using(_language(request)):
                return answer(request)

        return Route(path, endpoint, methods=["GET"])

    pages = [route(f"/{file.name}", _file_answer(file)) for file in sorted(_PAGE.iterdir())]
    routes = [
        route("/", _file_answer(_PAGE / "index.html", placed=True)),
        *pages,
        route("/api/texts", lambda request: _json(request, texts.page_texts(i18n.language()))),
        route("/api/runs", lambda request: _json(request, _list(root))),
        route(
            "/api/runs/{id}",
            lambda request: _json(request, folders.describe_run(root, _id(request))),
        ),
        route("/api/runs/{id}/card", lambda request: _json(request, _card(root, request))),
        route("/pictures/{id}/{file:path}", lambda request: _picture(request, root)),
    ]
    app: Starlette = Starlette(routes=routes, exception_handlers={OlharError: _refuse})
    return _guarded(app, HostNames(allow_host, local=local), root_path)


def _language(request: Request) -> str:
    header = request.headers.get("accept-language", "")
    return choose_language(request.query_params.get("lang", ""), header)


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _list(root: Path) -> dict[str, Any]:
    return {"folder": root.as_posix(), "runs": folders.list_runs(root)}


def _card(root: Path, request: Request) -> dict[str, str]:
    key, prefix = _id(request), request.scope[PREFIX]
    address = f"{prefix and f'{prefix}/'}pictures/{quote(key, safe='')}/"
    markdown = card.read_card(folders.run_path(root, key))
    return {"html": card.render_card(markdown, folders.pictures(root, key), address)}


def _picture(request: Request, root: Path) -> Response:
    name = str(request.path_params["file"])
    path = folders.pictures(root, _id(request)).get(name)
    if path is None:
        raise MissingFileError(_("this run has no picture '{name}'", name=name))
    return _file_answer(path)(request)


def _file_answer(path: Path, *, placed: bool = False) -> Callable[[Request], Response]:
    """The answer that is a file; where it is `placed`, its addresses begin where a proxy shows it."""

    def answer(request: Request) -> Response:
        with explain_os_errors(path):
            content = path.read_bytes()
        if placed:
            content = place_page(content, request.scope[PREFIX])
        return _answer(request, content, _TYPES[path.suffix.lower()])

    return answer


def _json(request: Request, value: Any) -> Response:
    content = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _answer(request, content.encode("utf-8", "replace"), "application/json")


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    """`content`, or 304 where the browser has it already."""
    from starlette.responses import Response

    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Vary": "Accept-Language"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _refuse(request: Request, error: Exception) -> Response:
    """An error of ours as JSON, in the language of the request."""
    from starlette.responses import Response

    with i18n.using(_language(request)):
        message, code = str(error), getattr(error, "code", "error")
    status = 404 if isinstance(error, MissingFileError) else 500
    content = json.dumps({"code": code, "message": message}).encode()
    return Response(content, status, media_type="application/json")


def _guarded(app: ASGIApp, hosts: HostNames, root_path: str) -> ASGIApp:
    """`app` with safe headers on every answer, for GET under the right Host alone."""
    from starlette.responses import PlainTextResponse, RedirectResponse

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name.lower() for name, _value in message["headers"]}
                for name, value in _HEADERS.items():
                    if name.lower().encode() not in named:
                        message["headers"].append((name.lower().encode(), value.encode()))
            await send(message)

        answer = app
        if scope["type"] == "http":
            scope = without_prefix(scope, root_path)
            home = redirect_of(scope)
            if scope["method"] not in {"GET", "HEAD"}:
                text = str(_("this page can only be read"))
                answer = PlainTextResponse(text, 405, {"Allow": "GET, HEAD"})
            elif not hosts.answers(_host(scope)):
                answer = PlainTextResponse(str(refusal(_host(scope), "board")), 421)
            elif home is not None:
                answer = RedirectResponse(home)
        await answer(scope, receive, send_safely)

    return guard


def _host(scope: Scope) -> str:
    """The Host header; "" where there is none, or several."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return hosts[0] if len(hosts) == 1 else ""
