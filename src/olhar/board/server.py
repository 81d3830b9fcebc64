"""One process that serves the board until Ctrl-C or SIGTERM, and then ends well."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import Any

from olhar.board.app import LOCAL_NAMES, build_app
from olhar.errors import ConfigError, MissingExtraError, OlharError, explain_os_errors
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import RunFolder

DEFAULT_RUNS, DEFAULT_HOST, DEFAULT_PORT = Path("runs"), "127.0.0.1", 8090
_CLOSING_S = 2


def serve_board(
    runs: Path | str = DEFAULT_RUNS,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    open_page: bool = False,
    progress: Progress | None = None,
) -> None:
    """Serve the page over a folder of runs; comes back after Ctrl-C or SIGTERM.

    Args:
        runs: the folder that holds the run folders.
        host: address or name to listen on; others than this machine's own open the board to the
            network.
        port: TCP port; 0 takes a free one.
        open_page: show it in the default browser.
        progress: hears where the page is served.

    Raises:
        ConfigError: `runs` is no folder of runs, or host or port cannot be used.
        MissingExtraError: the web server is not installed.
        OlharError: the port is in use.
    """
    progress = progress or Progress()
    root = check_runs_folder(Path(runs))
    require_server()
    with _listen(host, port) as listening:
        url = _url(host, listening.getsockname()[1])
        progress.note(_("the runs in '{path}': {url}  (Ctrl-C ends)", path=root, url=url))
        local = is_local(host)
        if not local:
            progress.note(
                _("anybody who reaches {host} over the network can read these runs", host=host)
            )
        if open_page:
            import webbrowser

            webbrowser.open(url)
        _serve(build_app(root, host_names=LOCAL_NAMES if local else None), listening)
    progress.note(_("the board at {url} has ended", url=url))


def check_runs_folder(runs: Path) -> Path:
    """`runs` itself, where it is a folder that may hold runs.

    Raises:
        ConfigError: it is not there, is a file, or is itself a run.
    """
    with explain_os_errors(runs):
        if not runs.is_dir():
            raise ConfigError(
                _(
                    "there is no folder '{path}'; name the one that holds your runs: "
                    "olhar board --runs FOLDER, or make a first run: olhar demo",
                    path=runs,
                )
            )
        if RunFolder(runs).config.is_file():
            raise ConfigError(
                _(
                    "'{path}' is itself a run; give the folder that holds it: "
                    "olhar board --runs {parent}",
                    path=runs,
                    parent=runs.resolve().parent,
                )
            )
    return runs


def require_server() -> None:
    """Raise MissingExtraError where the libraries of the web server are not installed."""
    if not all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn")):
        raise MissingExtraError(
            _("the board needs a web server; install it with: pip install 'olhar[serve]'")
        )


def is_local(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that a port in use is refused before anything is said."""
    if not 0 <= port <= 65535:
        raise ConfigError(_("--port is {given}; allowed: 0 to 65535", given=port))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        values: dict[str, Any] = {"host": host, "port": port, "next": port % 65535 + 1}
        if error.errno in {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)}:
            raise OlharError(
                _(
                    "port {port} of {host} is in use, perhaps by another board; choose another: "
                    "olhar board --port {next}",
                    **values,
                )
            ) from error
        if isinstance(error, PermissionError):
            raise OlharError(
                _("this system does not allow you port {port}; try one above 1023", **values)
            ) from error
        reason = error.strerror or error
        raise ConfigError(
            _("--host {host} cannot be listened on: {reason}", reason=reason, **values)
        ) from error
    except (UnicodeError, OverflowError) as error:  # what the resolver makes of odd names
        raise ConfigError(_("--host {host} is no address", host=host)) from error


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _serve(app: Any, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_CLOSING_S,
    )
    server = uvicorn.Server(config)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises the signal again once it has ended; here that ends nothing more.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
