"""Serving an ASGI application until it is told to end."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from olhar.errors import MissingExtraError
from olhar.i18n import _

if TYPE_CHECKING:
    from olhar.web_server.connection import Server

_CLOSING_S = 2  # for answers that are on their way


def require_server() -> None:
    """Raise MissingExtraError where the libraries of the web server are not installed."""
    names = ("uvicorn", "httptools", "python_multipart")
    missing = [name for name in names if not importlib.util.find_spec(name)]
    if missing:
        raise MissingExtraError(
            _(
                "serving needs {names}; install it with: pip install 'olhar[serve]'",
                names=", ".join(missing),
            )
        )


def serve_app(app: Any, sockets: Sequence[socket.socket], **tls: Any) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: what answers.
        sockets: bound ones, of `listening.listen`.
        **tls: `ssl_certfile` and `ssl_keyfile`, for https.
    """
    _server_of(app, tls).run(sockets=list(sockets))


def serve_beside(app: Any, sockets: Sequence[socket.socket], **tls: Any) -> Callable[[], None]:
    """Serve in a thread, as `serve_app` does in this one; what is returned ends that."""
    server = _server_of(app, tls)
    thread = threading.Thread(target=server.run, kwargs={"sockets": list(sockets)}, daemon=True)
    thread.start()

    def end() -> None:
        server.should_exit = True
        thread.join(2 * _CLOSING_S)

    return end


def _server_of(app: Any, tls: dict[str, Any]) -> Server:
    from olhar.web_server.connection import Server, server_config

    config = server_config(app, log_level="error", timeout_graceful_shutdown=_CLOSING_S, **tls)
    return Server(config)
