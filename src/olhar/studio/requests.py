"""What the studio's pages ask, read within bounds; and how they are answered.

Does not know: what is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar import i18n, looks
from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.serving.local_pages import file_answer, json_answer, refuse, request_language

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import Scope

_HERE = Path(__file__).parent
MOST_BYTES = 512 * 2**20  # of one request
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_HEADER = b"x-olhar"
_READING = frozenset({"GET", "HEAD"})
_SHARED = (  # by all pages
    _HERE / "page" / "base.css",
    *(looks.FOLDER / name for name in ("words.js", "address.js", "draw.js", "icon.svg")),
)


def check_header(scope: Scope) -> tuple[int, Text] | None:
    """Status and text where something is to be changed that no page of the studio's asks for."""
    if scope["method"] in _READING or any(name == _HEADER for name, _value in scope["headers"]):
        return None
    return 403, _(
        "send the header {header}: what changes a project comes from its own page",
        header="X-Olhar",
    )


def refuse_in_words(request: Request, error: Exception) -> Response:
    """An error of ours as an answer: 404, 400, or 422 where the world has failed."""
    return refuse(request, error, 400 if isinstance(error, ConfigError) else 422)


async def in_thread(request: Request, answer: Callable[[], Any]) -> Response:
    """What `answer` gives, as JSON, in the language of the request."""
    from starlette.concurrency import run_in_threadpool

    def work() -> Response:
        with i18n.using(request_language(request)):
            return json_answer(request, answer())

    return await run_in_threadpool(work)


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """The body of a request.

    Raises:
        ConfigError: it has more than `most` bytes.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise ConfigError(
                _("that is more than {limit} MB at once; send less", limit=most // 2**20)
            )
    return bytes(content)


async def read_json(request: Request, most: int = MOST_BYTES) -> dict[str, Any]:
    """The values of a JSON object; {} of an empty body.

    Raises:
        ConfigError: it is none, or has more than `most` bytes.
    """
    content = await read_body(request, most)
    if not content:
        return {}
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(_("the body is no JSON: {reason}", reason=error)) from error
    if not isinstance(values, dict):
        raise ConfigError(_("the body is no JSON object"))
    return values


# What is asked


def text_of(values: Mapping[str, Any], key: str) -> str:
    """A value that must be a text."""
    found = values.get(key)
    if not isinstance(found, str):
        raise ConfigError(_("'{key}' is missing, or no text", key=key))
    return found


def files_of(values: Mapping[str, Any]) -> list[str]:
    """The value "files", which must be a list of texts."""
    found = values.get("files")
    if not isinstance(found, list) or not all(isinstance(file, str) for file in found):
        raise ConfigError(_("'{key}' is missing, or no list of texts", key="files"))
    return found


# Routes


def page_routes(
    folder: str, texts: Callable[[str], Mapping[str, Any]], under: str = ""
) -> list[Route]:
    """A page: index.html, the style and scripts beside it, and its texts.

    Args:
        folder: of this package, in which it lies.
        texts: gives its strings in a language.
        under: the path that all of it is under, such as /class.
    """
    home = _HERE / folder
    own = [file for file in sorted(home.iterdir()) if file.suffix in {".css", ".js"}]
    files = {file.name: file for file in (*_SHARED, *own)}
    return [
        plain_route(f"{under}/", file_answer(home / "index.html")),
        *(plain_route(f"{under}/page/{name}", file_answer(files[name])) for name in files),
        plain_route(
            f"{under}/api/texts", lambda request: json_answer(request, texts(i18n.language()))
        ),
    ]


def plain_route(path: str, answer: Callable[[Request], Response]) -> Route:
    """A route that is read from, and answered in a thread, in the language of the request."""
    from starlette.routing import Route

    def endpoint(request: Request) -> Response:
        with i18n.using(request_language(request)):
            return answer(request)

    return Route(path, endpoint)


def json_route(method: str, path: str, answer: Callable[[Mapping[str, Any]], Any]) -> Route:
    """A route that is sent values as JSON; what its path names is among them. None is answered as {}."""
    from starlette.routing import Route

    async def endpoint(request: Request) -> Response:
        values = await read_json(request)
        return await in_thread(request, lambda: answer(values | request.path_params) or {})

    return Route(path, endpoint, methods=[method])


def photo_route(path: str, answer: Callable[[Request, bytes], Any]) -> Route:
    """A route that is sent a photo as it is."""
    from starlette.routing import Route

    async def endpoint(request: Request) -> Response:
        content = await read_body(request)
        return await in_thread(request, lambda: answer(request, content))

    return Route(path, endpoint, methods=["POST"])
