"""One connection, with the limits that uvicorn's own lacks: slow, endless and broken headers."""

from __future__ import annotations

import asyncio
import os

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from olhar.i18n import _
from olhar.serving.refusals import error_body

HEADERS_S = 10.0  # a client may take so long to send all headers of a request
_MOST_HEADER_BYTES = 64 * 1024


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
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif not self.transport.is_closing():
            self._header_bytes += len(data)
            if self._header_bytes > _MOST_HEADER_BYTES:
                self._refuse(431, "headers", str(_("the headers are too long")))
            elif self._headers_timer is None:
                self._wait_for_headers()

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
