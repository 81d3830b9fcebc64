"""What a handler is given: a request, whose body is read within limits."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from olhar.i18n import _, choose_language
from olhar.web_server.prefix import PREFIX
from olhar.web_server.refusals import ClientGoneError, bad_request, too_many_bytes

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_MOST_PARAMETERS = 20


class Request:
    """One HTTP request (ASGI 3.0, HTTP connection scope), `params` of whose path a route may name."""

    __slots__ = (
        *("_receive", "body_read", "headers", "id", "language", "method", "params", "path"),
        "scope",
    )

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.params: dict[str, str] = {}
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if _SANE_ID.fullmatch(given) else os.urandom(8).hex()
        self.language = _accepted(scope["query_string"], self.headers.get(b"accept-language", b""))
        self.body_read = False

    def header(self, name: bytes) -> str:
        """A header's value, or "" where it is not there."""
        return self.headers.get(name, b"").decode("latin-1")

    def cookie(self, name: str) -> str:
        """The value of a cookie; "" where there is none. Those of other programs may be of any form."""
        for one in self.header(b"cookie").split(";"):
            key, _equals, value = one.strip().partition("=")
            if key == name:
                return unquote(value)
        return ""

    @property
    def host(self) -> str:
        """The Host header; "" where there is none, or several."""
        hosts = [value for name, value in self.scope["headers"] if name == b"host"]
        return hosts[0].decode("latin-1") if len(hosts) == 1 else ""

    @property
    def prefix(self) -> str:
        """The path under which a proxy shows this server."""
        return str(self.scope[PREFIX])

    @property
    def query(self) -> dict[str, str]:
        """The parameters behind the question mark.

        Raises:
            RequestError: there are too many, or one comes twice.
        """
        text = self.scope["query_string"].decode("latin-1")
        if not text:
            return {}
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        except ValueError as error:
            raise bad_request(
                _("there are too many parameters; allowed: {limit}", limit=_MOST_PARAMETERS)
            ) from error
        found = dict(pairs)
        if len(found) != len(pairs):
            raise bad_request(_("a parameter is given twice; give each once"))
        return found

    async def body(self, max_bytes: int) -> bytes:
        """The whole body.

        Raises:
            RequestError: it has more than `max_bytes`.
            ClientGoneError: the client has left before its end.
        """
        if int(self.headers.get(b"content-length", b"0")) > max_bytes:
            await self.discard(4 * max_bytes)
            raise too_many_bytes(max_bytes)
        message = await self._receive()
        content: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [content], len(content)
            while message.get("more_body"):
                message = await self._receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > max_bytes:
                    await self.discard(4 * max_bytes)
                    raise too_many_bytes(max_bytes)
            content = b"".join(parts)
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        self.body_read = True
        return content

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, for whoever bounds it.

        Raises:
            ClientGoneError: the client has left before its end.
        """
        while not self.body_read:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self.body_read = not message.get("more_body")
            yield message.get("body", b"")

    @property
    def has_unread_body(self) -> bool:
        """Whether a body was announced that nobody has read."""
        announced = self.headers.get(b"content-length", b"0") != b"0"
        return not self.body_read and (announced or b"transfer-encoding" in self.headers)

    async def discard(self, most: int) -> bool:
        """Read the rest of a body that nobody wants; False where it has more than `most` bytes.

        Most clients send their whole body before they read, and would never see an answer on a
        connection that is closed before. One that asks first (Expect) is answered at once.
        """
        if b"expect" in self.headers:
            return False
        read = 0
        while read <= most:
            message = await self._receive()
            read += len(message.get("body", b""))
            if not message.get("more_body"):
                self.body_read = True
                return True
        return False


@functools.lru_cache(maxsize=1024)
def _accepted(query: bytes, header: bytes) -> str:
    asked = ""
    if b"lang=" in query:
        asked = dict(parse_qsl(query.decode("latin-1"))).get("lang", "")
    return choose_language(asked, header.decode("latin-1"))
