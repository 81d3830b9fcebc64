"""One connection, with what uvicorn's own lacks: limits for slow, endless and broken headers, and whole
bodies where a client offers another protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from olhar.i18n import _
from olhar.web_server.refusals import error_body

HEADERS_S = 10.0  # a client may take so long to send all headers of a request
_MOST_HEADER_BYTES = 64 * 1024
_FRAMING = (b"content-length", b"transfer-encoding")


class Connection(HttpToolsProtocol):
    """Closes connections whose headers do not arrive, or do not end."""

    _headers_timer: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a request's headers are whole; start it where they are not."""
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif not self.transport.is_closing():
            self._header_bytes += len(data)
            if self._header_bytes > _MOST_HEADER_BYTES:
                self._refuse(431, "headers", str(_("the headers are too long")))
            elif self._headers_timer is None:
                self._wait_for_headers()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            # The parser takes what follows for the other protocol. This server speaks none, and so
            # answers as if nothing had been offered (RFC 9110, section 7.8).
            framing = b"".join(
                name + b": " + value + b"\r\n" for name, value in self.headers if name in _FRAMING
            )
            self.parser = httptools.HttpRequestParser(_Repeated(self))
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")
            self._parse(data[offer.args[0] :])

    def on_message_complete(self) -> None:
        """The body is whole; not where the parser only left off at an offer."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  in the shape of all errors
        """What is no HTTP."""
        self._refuse(400, "http", str(_("this is no HTTP request that can be read")))

    def _wait_for_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_S, self._too_slow)

    def _stop_waiting(self) -> None:
        self._header_bytes = 0
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _too_slow(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self._refuse(408, "timeout", str(_("the headers did not arrive in time")))

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._stop_waiting()
        body = error_body(code, message, os.urandom(8).hex())
        start = (
            f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(start.encode() + body)
        self.transport.close()


class _Repeated:
    """Hears a parser that is told again how a request's body is framed: silent until the body."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_repeated = True
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete

    def on_message_begin(self) -> None:
        if not self._is_repeated:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_repeated:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_repeated:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._is_repeated:
            self._connection.on_headers_complete()
        self._is_repeated = False


class Server(uvicorn.Server):
    """A signal ends it well, with exit status 0: uvicorn's own raises the signal again."""

    hears_signals = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear the signals, which only the first thread of a process can."""
        first = threading.current_thread() is threading.main_thread()
        if not (first and self.hears_signals):
            yield
            return
        signals = uvicorn.server.HANDLED_SIGNALS
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_config(app: Any, **options: Any) -> uvicorn.Config:
    """How every server of olhar's speaks HTTP; `options` are uvicorn's own."""
    return uvicorn.Config(
        app,
        http=Connection,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        **options,
    )
