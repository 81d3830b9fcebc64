"""What the studio's pages ask, read within bounds; and how they are answered.

Does not know: what is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from olhar import i18n
from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.serving.local_pages import json_answer, refuse, request_language
from olhar.studio.project import Taken

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

MOST_BYTES = 512 * 2**20  # of one request
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_HEADER = b"x-olhar"
_READING = frozenset({"GET", "HEAD"})


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


def taken_as_json(taken: Taken) -> dict[str, Any]:
    """What became of photos, as pages are told."""
    return {
        "taken": [{"file": file} for file in taken.taken],
        "already": [{"name": name, "file": file} for name, file in taken.already],
        "refused": [{"name": name, "reason": reason} for name, reason in taken.refused],
    }
