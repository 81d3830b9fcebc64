"""A server that speaks no other protocol answers an offer of one as if it had not been made."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from olhar.web_server.connection import Connection

BODY = bytes(range(256)) * 40
OFFERS = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "tls": "Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.0\r\n",
    "none": "",
}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the method, the path and the body that came."""
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    content = f"{scope['method']} {scope['path']} ".encode() + body
    length = str(len(content)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """A server with olhar's connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(echo, http=Connection, lifespan="off", ws="none", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join()


def answer(connection: socket.socket) -> bytes:
    """The body of the next answer."""
    connection.settimeout(20)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _end, body = received.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], head
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    assert len(body) == length
    return body


def request(offer: str, path: str, *, chunked: bool) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{offer}"
    if not chunked:
        return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    half = len(BODY) // 2
    parts = (b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:half], BODY[half:], b""))
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"".join(parts)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS)
def test_the_body_arrives_and_the_connection_is_kept(
    address: tuple[str, int], offer: str, *, chunked: bool
) -> None:
    with contextlib.closing(socket.create_connection(address)) as connection:
        for number in range(3):
            connection.sendall(request(OFFERS[offer], f"/{number}", chunked=chunked))
            assert answer(connection) == f"POST /{number} ".encode() + BODY
        connection.sendall(f"GET /last HTTP/1.1\r\nHost: a\r\n{OFFERS[offer]}\r\n".encode())
        assert answer(connection) == b"GET /last "


@pytest.mark.parametrize("cut", [3, 30, 90, -1, -5000, "head"])
def test_in_several_writes(address: tuple[str, int], cut: int | str) -> None:
    sent = request(OFFERS["h2c"], "/", chunked=False)
    at = sent.index(b"\r\n\r\n") + 4 if cut == "head" else int(cut)
    with contextlib.closing(socket.create_connection(address)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (sent[:at], sent[at:]):
            connection.sendall(part)
            time.sleep(0.05)
        assert answer(connection) == b"POST / " + BODY


def test_the_request_behind_it_in_one_write(address: tuple[str, int]) -> None:
    two = request(OFFERS["h2c"], "/1", chunked=True) + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.closing(socket.create_connection(address)) as connection:
        connection.sendall(two)
        connection.settimeout(20)
        received = b""
        while not received.endswith(b"GET /2 "):
            received += connection.recv(65536)
    assert b"POST /1 " + BODY + b"HTTP/1.1 200 OK" in received
