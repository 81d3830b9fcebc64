"""What the studio's pages ask, read within bounds; and how they are answered.

Does not know: what is asked for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from olhar import i18n, looks
from olhar.errors import ConfigError, OlharError
from olhar.i18n import _
from olhar.web_server.answers import (
    OWN_CAMERA,
    OWN_PICTURES,
    Answer,
    file_answer,
    json_answer,
    plain_answer,
    safe_headers,
)
from olhar.web_server.forms import FormReader, Part
from olhar.web_server.request import Request
from olhar.web_server.routes import Route, get, in_thread
from olhar.web_server.site import Statuses

_HERE = Path(__file__).parent
MOST_BYTES = 512 * 2**20  # of one request
HEADERS = safe_headers(OWN_PICTURES, "media-src 'self' blob:") | OWN_CAMERA
STATUSES: Statuses = ((ConfigError, 400), (OlharError, 422))  # 422 where the world has failed
_HEADER = b"x-olhar"
_READING = frozenset({"GET", "HEAD"})
_SHARED = (  # by all pages
    _HERE / "page" / "base.css",
    *(looks.FOLDER / name for name in ("words.js", "address.js", "draw.js", "icon.svg")),
)


def check_header(request: Request) -> Answer | None:
    """An answer where something is to be changed that no page of the studio's asks for."""
    if request.method in _READING or _HEADER in request.headers:
        return None
    text = _(
        "send the header {header}: what changes a project comes from its own page",
        header="X-Olhar",
    )
    return plain_answer(403, text)


async def as_json(request: Request, answer: Callable[[], Any]) -> Answer:
    """What `answer` gives, as JSON; it works in a thread."""
    return await in_thread(lambda: json_answer(request, answer()))


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """The body of a request.

    Raises:
        ConfigError: it has more than `most` bytes.
    """
    content = bytearray()
    async for chunk in _bounded(request, most):
        content += chunk
    return bytes(content)


async def read_form(request: Request, most_parts: int) -> list[Part]:
    """The parts of a form, which is not kept besides.

    Raises:
        ConfigError: it has more than `MOST_BYTES`.
        RequestError: it is damaged, or has more than `most_parts`.
    """
    form = FormReader(request.header(b"content-type"), most_parts)
    async for chunk in _bounded(request, MOST_BYTES):
        form.write(chunk)
    return form.parts()


async def _bounded(request: Request, most: int) -> AsyncIterator[bytes]:
    had = 0
    async for chunk in request.chunks():
        had += len(chunk)
        if had > most:
            raise ConfigError(
                _("that is more than {limit} MB at once; send less", limit=most // 2**20)
            )
        yield chunk


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
        get(f"{under}/", file_answer(home / "index.html")),
        *(get(f"{under}/page/{name}", file_answer(files[name])) for name in files),
        get(f"{under}/api/texts", lambda request: json_answer(request, texts(i18n.language()))),
    ]


def json_route(method: str, path: str, answer: Callable[[Mapping[str, Any]], Any]) -> Route:
    """A route that is sent values as JSON; what its path names is among them. None is answered as {}."""

    async def handler(request: Request) -> Answer:
        values = await read_json(request)
        return await as_json(request, lambda: answer(values | request.params) or {})

    return Route(method, path, handler)


def photo_route(path: str, answer: Callable[[Request, bytes], Any]) -> Route:
    """A route that is sent a photo as it is."""

    async def handler(request: Request) -> Answer:
        content = await read_body(request)
        return await as_json(request, lambda: answer(request, content))

    return Route("POST", path, handler)
