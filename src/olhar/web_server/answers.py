"""Answers: whole or in parts, or that the browser has it already; and how they are sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from olhar import looks
from olhar.errors import explain_os_errors
from olhar.i18n import Text
from olhar.web_server.prefix import place_page
from olhar.web_server.request import Receive, Request, Send

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
_PLAIN = "text/plain; charset=utf-8"
_WITHOUT_BODY = frozenset({204, 304})


@dataclass(slots=True)
class Answer:
    """A whole answer: it is small, and an error in the making of it must not leave half of it.

    What is large, or has no end, comes in `parts` instead of `body`.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    parts: AsyncGenerator[bytes, None] | None = None

    def set_cookie(
        self, request: Request, name: str, value: str, seconds: int | None = None
    ) -> Self:
        """Have the browser show who it is, for so long, or until it is closed; 0 ends that.

        No script reads the cookie, and no page of another site sends it.
        """
        words = [f"{name}={quote(value, safe='')}", "Path=/", "HttpOnly", "SameSite=strict"]
        if seconds is not None:
            words.append(f"Max-Age={seconds}")
        if request.scope["scheme"] == "https":
            words.append("Secure")
        self.headers["Set-Cookie"] = "; ".join(words)
        return self


def safe_headers(*sources: str) -> dict[str, str]:
    """What goes with a page, which loads nothing from elsewhere.

    Args:
        *sources: directives of the policy beside `default-src 'self'`.
    """
    policy = ("default-src 'self'", *sources, "base-uri 'none'", "form-action 'none'")
    return {
        "Content-Security-Policy": "; ".join(
            (*policy, "frame-ancestors 'none'", "object-src 'none'")
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


OWN_PICTURES = "img-src 'self' blob: data:"  # that a page makes itself
OWN_CAMERA = {"Permissions-Policy": "camera=(self), microphone=(), geolocation=()"}


def json_content(value: Any) -> bytes:
    """A value as JSON; a file's name in it may hold half a surrogate pair, which UTF-8 cannot."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def json_answer(request: Request, value: Any) -> Answer:
    """A value as JSON, or 304."""
    return content_answer(request, json_content(value), "application/json")


def plain_answer(status: int, text: Text | str, headers: Mapping[str, str] | None = None) -> Answer:
    """A text, for whoever has opened an address."""
    return Answer(status, str(text).encode("utf-8", "replace"), _PLAIN, dict(headers or {}))


def redirect(address: str) -> Answer:
    """That it is elsewhere."""
    return Answer(307, b"", _PLAIN, {"Location": address})


def content_answer(request: Request, content: bytes, content_type: str) -> Answer:
    """`content`, or 304 where the browser has it already."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Vary": "Accept-Language"}
    if etag in request.header(b"if-none-match"):
        return Answer(304, headers=headers)
    return Answer(200, content, content_type, headers)


def file_answer(
    path: Path, headers: Mapping[str, str] | None = None
) -> Callable[[Request], Answer]:
    """The answer that is a file; in a page, addresses begin where a proxy shows it."""

    def answer(request: Request) -> Answer:
        with explain_os_errors(path):
            is_page = path.suffix.lower() == ".html"
            content = looks.read_page(path) if is_page else path.read_bytes()
        if is_page:
            content = place_page(content, request.prefix)
        found = content_answer(request, content, TYPES[path.suffix.lower()])
        found.headers |= headers or {}
        return found

    return answer


async def send_answer(
    answer: Answer, headers: Mapping[str, str], receive: Receive, send: Send
) -> None:
    """Send it, with `headers` where it has none of that name itself."""
    found = {**headers, **answer.headers}
    if answer.status not in _WITHOUT_BODY:
        found["Content-Type"] = answer.content_type
        if answer.parts is None:
            found["Content-Length"] = str(len(answer.body))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in found.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if answer.parts is None:
        await send({"type": "http.response.body", "body": answer.body})
    else:
        await _send_parts(answer.parts, receive, send)


async def _send_parts(parts: AsyncGenerator[bytes, None], receive: Receive, send: Send) -> None:
    """One after the other, until they end or the client has gone."""

    async def all_of_them() -> None:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    sending, leaving = asyncio.create_task(all_of_them()), asyncio.create_task(gone())
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
        await parts.aclose()
