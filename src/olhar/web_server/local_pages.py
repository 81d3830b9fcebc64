"""Pages that somebody opens on their own computer: files, JSON, safe headers, the right name of the host.

The board and the studio stand on it. Does not know: what is on a page.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import signal
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from olhar import i18n, looks
from olhar.errors import MissingExtraError, MissingFileError, explain_os_errors
from olhar.i18n import Text, _, choose_language
from olhar.web_server.hosts import HostNames, refusal
from olhar.web_server.prefix import PREFIX, place_page, redirect_of, without_prefix

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

_CLOSING_S = 2  # for answers that are on their way

Check = Callable[["Scope"], "tuple[int, Text] | None"]


def request_language(request: Request) -> str:
    """`?lang=`, else what the browser prefers."""
    header = request.headers.get("accept-language", "")
    return choose_language(request.query_params.get("lang", ""), header)


def file_answer(path: Path) -> Callable[[Request], Response]:
    """The answer that is a file; in a page, addresses begin where a proxy shows it."""

    def answer(request: Request) -> Response:
        with explain_os_errors(path):
            is_page = path.suffix.lower() == ".html"
            content = looks.read_page(path) if is_page else path.read_bytes()
        if is_page:
            content = place_page(content, request.scope[PREFIX])
        return content_answer(request, content, TYPES[path.suffix.lower()])

    return answer


def json_answer(request: Request, value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return content_answer(request, text.encode("utf-8", "replace"), "application/json", status)


def content_answer(
    request: Request, content: bytes, media_type: str, status: int = 200
) -> Response:
    """`content`, or 304 where the browser has it already."""
    from starlette.responses import Response

    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Vary": "Accept-Language"}
    if status == 200 and etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, status, media_type=media_type, headers=headers)


def refuse(request: Request, error: Exception, status: int = 500) -> Response:
    """An error of ours as JSON, in the language of the request; 404 for what is not there."""
    from starlette.responses import Response

    with i18n.using(request_language(request)):
        message, code = str(error), getattr(error, "code", "error")
    status = 404 if isinstance(error, MissingFileError) else status
    content = json.dumps({"code": code, "message": message}).encode()
    return Response(content, status, media_type="application/json")


def guarded(
    app: ASGIApp,
    command: str,
    *,
    local: bool,
    allow_host: Collection[str] = (),
    root_path: str = "",
    check: Check,
    headers: dict[str, str] | None = None,
) -> ASGIApp:
    """`app` with safe headers on every answer, under the right Host alone.

    Args:
        app: what answers.
        command: `board` or `studio`, for messages.
        local: whether only this machine reaches it; then no foreign page may, through a name of its own
            (DNS rebinding).
        allow_host: names that are answered besides.
        root_path: the path under which a proxy shows it.
        check: status and text where a request is refused; its scope has the language's header.
        headers: instead of those of `HEADERS` with these names.
    """
    from starlette.responses import PlainTextResponse, RedirectResponse

    hosts = HostNames(allow_host, local=local)
    always = HEADERS | (headers or {})

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name.lower() for name, _value in message["headers"]}
                for name, value in always.items():
                    if name.lower().encode() not in named:
                        message["headers"].append((name.lower().encode(), value.encode()))
            await send(message)

        answer = app
        if scope["type"] == "http":
            scope = without_prefix(scope, root_path)
            home, refused = redirect_of(scope), check(scope)
            if refused is not None:
                allow = {"Allow": "GET, HEAD"} if refused[0] == 405 else None
                answer = PlainTextResponse(str(refused[1]), refused[0], allow)
            elif not hosts.answers(host_of(scope)):
                answer = PlainTextResponse(str(refusal(host_of(scope), command)), 421)
            elif home is not None:
                answer = RedirectResponse(home)
        await answer(scope, receive, send_safely)

    return guard


def host_of(scope: Scope) -> str:
    """The Host header; "" where there is none, or several."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return hosts[0] if len(hosts) == 1 else ""


def require_server(command: str) -> None:
    """Raise MissingExtraError where the libraries of the web server are not installed."""
    if not all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn", "httptools")):
        raise MissingExtraError(
            _(
                "olhar {command} needs a web server; install it with: pip install 'olhar[serve]'",
                command=command,
            )
        )


def serve_app(app: ASGIApp, sockets: Sequence[socket.socket], **tls: Any) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: what answers.
        sockets: bound ones, of `listening.listen`.
        **tls: `ssl_certfile` and `ssl_keyfile`, for https.
    """
    server = _server_of(app, tls)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises the signal again once it has ended; here that ends nothing more.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=list(sockets))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve_beside(app: ASGIApp, sockets: Sequence[socket.socket], **tls: Any) -> Callable[[], None]:
    """Serve in a thread, as `serve_app` does in this one; what is returned ends that."""
    server = _server_of(app, tls)
    thread = threading.Thread(target=server.run, kwargs={"sockets": list(sockets)}, daemon=True)
    thread.start()

    def end() -> None:
        server.should_exit = True
        thread.join(2 * _CLOSING_S)

    return end


def _server_of(app: ASGIApp, tls: dict[str, Any]) -> uvicorn.Server:
    import uvicorn

    from olhar.web_server.connection import server_config

    config = server_config(app, log_level="error", timeout_graceful_shutdown=_CLOSING_S, **tls)
    return uvicorn.Server(config)
