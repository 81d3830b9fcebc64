"""The page that a phone has of a project, over HTTP: it adds photos, and can do nothing else.

    GET  /TOKEN/               the page; page/NAME its style and script; api/texts its strings
    GET  /TOKEN/api/classes    {"project", "classes": [{"name", "count"}]}
    POST /TOKEN/api/photos     one photo, into ?class=NAME or the tray; ?name=FILE

Everything else is not there, nor is anything under another token.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.studio.phone_texts import phone_texts
from olhar.studio.requests import (
    HEADERS,
    STATUSES,
    as_json,
    check_header,
    page_routes,
    read_body,
)
from olhar.studio.studio import Studio
from olhar.web_server.answers import Answer, json_answer, plain_answer, send_answer
from olhar.web_server.hosts import HostNames
from olhar.web_server.request import Receive, Request, Send
from olhar.web_server.routes import Route, get
from olhar.web_server.site import ASGIApp, Site

_MOST_BYTES = 64 * 2**20  # of one photo
_AT_ONCE = 4  # photos that are received: a bound on memory
_SLOW_S = 120.0  # for one photo to arrive; then its place is another's
_MOST_PHOTOS = 5_000  # through one address


def build_phone_app(studio: Studio, token: str) -> ASGIApp:
    """The phone's page as an ASGI application, all of it below /`token`/."""

    def classes(request: Request) -> Answer:
        project = studio.project
        found = [{"name": one, "count": len(project.files(one))} for one in project.classes()]
        values = {"project": project.path.resolve().name, "classes": found}
        return json_answer(request, values)

    routes = [
        *page_routes("phone", phone_texts),
        get("/api/classes", classes),
        Route("POST", "/api/photos", partial(_take, studio, _Places())),
    ]
    site = Site(
        "studio",
        routes,
        HostNames((), local=False),
        checks=[check_header],
        headers=HEADERS,
        statuses=STATUSES,
    )

    async def answer(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        given, slash, rest = scope["path"].removeprefix("/").partition("/")
        if slash and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            plain = [one for one in scope["headers"] if one[0] != b"x-forwarded-prefix"]
            await site({**scope, "path": f"/{rest}", "headers": plain}, receive, send)
        else:
            await send_answer(plain_answer(404, "404"), {}, receive, send)

    return answer


class _Places:
    """Bounds on what comes through one address."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(_AT_ONCE)
        self.taken = 0


async def _take(studio: Studio, bounds: _Places, request: Request) -> Answer:
    query = request.query
    if bounds.taken >= _MOST_PHOTOS:
        raise ConfigError(
            _(
                "{count} photos have come through this address, the most that it takes; at the "
                "computer, press “Let no more in”, then “Let phones in” for a new one",
                count=_MOST_PHOTOS,
            )
        )
    async with bounds.places:
        try:
            async with asyncio.timeout(_SLOW_S):
                content = await read_body(request, _MOST_BYTES)
        except TimeoutError as error:
            raise ConfigError(_("the photo came too slowly; send it again")) from error

        def take() -> dict[str, Any]:
            try:
                given = [(query.get("name", ""), content)]
                taken = studio.project.take(given, query.get("class") or None)
            finally:
                studio.changed()
            bounds.taken += len(taken.taken)
            return taken.to_dict()

        return await as_json(request, take)
