"""What a handler is given and what it gives back; reading a body within its limits."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from olhar.i18n import _, choose_language
from olhar.web_server.refusals import ClientGoneError, bad_request, too_many_bytes

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_MOST_PARAMETERS = 20


@dataclass(slots=True)
class Answer:
    """A whole answer: it is small, and an error in the making of it must not leave half of it."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Request:
    """One HTTP request (ASGI 3.0, HTTP connection scope)."""

    __slots__ = ("_receive", "body_read", "headers", "id", "language", "method", "path", "scope")

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if _SANE_ID.fullmatch(given) else os.urandom(8).hex()
        self.language = _accepted(scope["query_string"], self.headers.get(b"accept-language", b""))
        self.body_read = False

    def header(self, name: bytes) -> str:
        """A header's value, or "" where it is not there."""
        return self.headers.get(name, b"").decode("latin-1")

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
