"""Processes that serve until Ctrl-C or SIGTERM, answer what they have accepted, and end well."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import ipaddress
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, MissingExtraError, OlharError
from olhar.i18n import _
from olhar.progress import Progress
from olhar.serving.settings import ServeSettings

_BACKLOG = 1024


def serve(
    models: Mapping[str, Path],
    settings: ServeSettings,
    progress: Progress | None = None,
) -> None:
    """Serve models over HTTP; comes back after Ctrl-C or SIGTERM, when every request is answered.

    Args:
        models: run or `model/` folder by the name that requests use; the first is the default.
        settings: where to listen, and how to answer.
        progress: hears where it is served.

    Raises:
        ConfigError: the host cannot be listened on.
        MissingExtraError: the web server is not installed.
        OlharError: the port is in use, or a model cannot be loaded.
    """
    progress = progress or Progress()
    if not models:
        raise ConfigError(_("there is no model to serve; name one or more"))
    host, workers = settings.host, settings.workers
    require_server()
    with _listen(host, settings.port, workers) as sockets:
        url = _url(host, sockets[0].getsockname()[1])

        def ready() -> None:
            progress.note(
                _("serving {names}: {url}  (Ctrl-C ends)", names=", ".join(models), url=url)
            )
            if not is_local(host) and settings.token is None:
                progress.note(_("anybody who reaches {host} may ask; see --token-env", host=host))

        words = (dict(models), settings, is_local(host))
        if workers == 1:
            from olhar.serving.worker import serve_here

            serve_here(*words, sockets[0], ready)
        else:
            from olhar.serving.workers import serve_in_processes

            serve_in_processes(*words, sockets, workers, ready)
    progress.note(_("the server at {url} has ended; every request was answered", url=url))


def require_server() -> None:
    """Raise MissingExtraError where the libraries of the web server are not installed."""
    names = ("starlette", "uvicorn", "httptools", "python_multipart")
    missing = [name for name in names if not importlib.util.find_spec(name)]
    if missing:
        raise MissingExtraError(
            _(
                "serving needs {names}; install it with: pip install 'olhar[serve]'",
                names=", ".join(missing),
            )
        )


def is_local(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def _listen(host: str, port: int, workers: int) -> Iterator[list[socket.socket]]:
    """Sockets that are bound, so that a port in use is refused before anything is loaded.

    Linux shares connections out among sockets on one port, each worker's its own; elsewhere all
    workers take from one. They are kept open here: what comes for a worker that has died waits for
    the next one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    shared = workers > 1 and sys.platform == "linux"
    sockets: list[socket.socket] = []
    try:
        # The first is bound alone even then: it must fail where another server has the port.
        sockets.append(socket.create_server((host, port), family=family, backlog=_BACKLOG))
        if shared:
            address = sockets[0].getsockname()
            sockets.pop().close()
            for _worker in range(workers):
                sockets.append(
                    socket.create_server(
                        address[:2], family=family, backlog=_BACKLOG, reuse_port=True
                    )
                )
        yield sockets
    except OSError as error:
        if sockets or isinstance(error, OlharError):
            raise
        raise _unusable(error, host, port) from error
    except (UnicodeError, OverflowError) as error:  # what the resolver makes of odd names
        if sockets:
            raise
        raise ConfigError(_("--host {host} is no address", host=host)) from error
    finally:
        for one in sockets:
            one.close()


def _unusable(error: OSError, host: str, port: int) -> OlharError:
    values: dict[str, Any] = {"host": host, "port": port, "next": port % 65535 + 1}
    if error.errno in {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)}:
        return OlharError(
            _(
                "port {port} of {host} is in use, perhaps by another server; choose another: "
                "olhar serve --port {next}",
                **values,
            )
        )
    if isinstance(error, PermissionError):
        return OlharError(
            _("this system does not allow you port {port}; try one above 1023", **values)
        )
    reason = error.strerror or error
    return ConfigError(_("--host {host} cannot be listened on: {reason}", reason=reason, **values))


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
