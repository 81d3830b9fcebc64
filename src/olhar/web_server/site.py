"""Pages that somebody opens on their own computer, and what they ask, as one ASGI application.

The board and the studio stand on it. Does not know: what is on a page.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from olhar import i18n
from olhar.errors import MissingFileError, OlharError
from olhar.i18n import _
from olhar.web_server.answers import (
    Answer,
    json_content,
    plain_answer,
    redirect,
    safe_headers,
    send_answer,
)
from olhar.web_server.hosts import HostNames, refusal
from olhar.web_server.prefix import redirect_of, without_prefix
from olhar.web_server.refusals import ClientGoneError, RequestError
from olhar.web_server.request import Receive, Request, Send
from olhar.web_server.routes import Route, Routes

log = logging.getLogger("olhar.web_server")
ASGIApp = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]
Check = Callable[[Request], "Answer | None"]
Statuses = Sequence[tuple[type[OlharError], int]]  # the first that fits

_ALWAYS = {"Cache-Control": "no-cache"}


class Site:
    """Answers with safe headers, under the right Host alone; errors are {"code", "message"}."""

    def __init__(
        self,
        command: str,
        routes: Iterable[Route],
        hosts: HostNames,
        *,
        root_path: str = "",
        checks: Sequence[Check] = (),
        headers: Mapping[str, str] | None = None,
        statuses: Statuses = (),
    ) -> None:
        """Nothing is answered yet.

        Args:
            command: `board` or `studio`, for messages.
            routes: what is answered.
            hosts: the names that are answered.
            root_path: the path under which a proxy shows it.
            checks: each may answer instead, before anything is looked for.
            headers: of every answer; by default those that are safe.
            statuses: of errors; those that are not among them have 500.
        """
        self._command, self._routes, self._hosts = command, Routes(routes), hosts
        self._root_path, self._checks = root_path, checks
        self._headers = _ALWAYS | dict(safe_headers() if headers is None else headers)
        self._statuses: Statuses = ((MissingFileError, 404), *statuses)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """One request (ASGI 3.0)."""
        if scope["type"] != "http":
            return
        request = Request(without_prefix(scope, self._root_path), receive)
        with i18n.using(request.language):
            await send_answer(await self._answer(request), self._headers, receive, send)

    def _instead(self, request: Request) -> Answer | None:
        """What is answered whatever is asked for, if so."""
        if not self._hosts.answers(request.host):
            return plain_answer(421, refusal(request.host, self._command))
        home = redirect_of(request.scope)
        if home is not None:
            return redirect(home)
        return next(filter(None, (check(request) for check in self._checks)), None)

    async def _answer(self, request: Request) -> Answer:
        try:
            instead = self._instead(request)
            if instead is not None:
                return instead
            handler = self._routes.find(request)
            if handler is None:
                return plain_answer(404, _("there is nothing at {path}", path=request.path[:200]))
            return await handler(request)
        except RequestError as error:
            return _refusal(error, error.status, error.headers)
        except OlharError as error:
            fits = (status for kind, status in self._statuses if isinstance(error, kind))
            return _refusal(error, next(fits, 500))
        except ClientGoneError:
            return Answer(499)  # nobody reads it
        except Exception:
            log.exception(ascii(request.path))
            return plain_answer(500, "500")


def _refusal(error: OlharError, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    content = json_content({"code": error.code, "message": str(error)})
    return Answer(status, content, headers=dict(headers or {}))
