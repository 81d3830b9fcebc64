"""One process that serves the board until Ctrl-C or SIGTERM, and then ends well."""

from __future__ import annotations

import importlib.util
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from olhar.board.app import build_app
from olhar.errors import ConfigError, MissingExtraError, explain_os_errors
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.serving.listening import is_local, listen, shown_url
from olhar.serving.settings import SERVE
from olhar.serving.streams import hold_streams

DEFAULT_RUNS, DEFAULT_HOST, DEFAULT_PORT = Path("runs"), "localhost", 8090
_CLOSING_S = 2


def serve_board(
    runs: Path | str = DEFAULT_RUNS,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    open_page: bool = False,
    allow_host: Sequence[str] = (),
    root_path: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve the page over a folder of runs; comes back after Ctrl-C or SIGTERM.

    Args:
        runs: the folder that holds the run folders.
        host: address or name to listen on; others than this machine's own open the board to the
            network.
        port: TCP port; 0 takes a free one.
        open_page: show it in the default browser.
        allow_host: names that it answers to besides, those of a proxy or tunnel before it.
        root_path: the path under which a proxy shows it, where that does not say so itself.
        progress: hears where the page is served.

    Raises:
        ConfigError: `runs` is no folder of runs, or host or port cannot be used.
        MissingExtraError: the web server is not installed.
        OlharError: the port is in use.
    """
    hold_streams()
    progress = progress or Progress()
    root = check_runs_folder(Path(runs))
    require_server()
    names = SERVE["allow_host"].read(allow_host, "--allow-host")
    prefix = SERVE["root_path"].check(root_path, "--root-path")
    with listen(host, port, command="board") as [listening]:
        url, local = shown_url(host, listening), is_local(listening)
        progress.note(_("the runs in '{path}': {url}  (Ctrl-C ends)", path=root, url=url))
        if not local:
            progress.note(
                _("anybody who reaches {host} over the network can read these runs", host=host)
            )
        if open_page:
            import webbrowser

            webbrowser.open(url)
        app = build_app(root, local=local, allow_host=names, root_path=prefix or "")
        _serve(app, listening)
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
    if not all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn", "httptools")):
        raise MissingExtraError(
            _("the board needs a web server; install it with: pip install 'olhar[serve]'")
        )


def _serve(app: Any, listening: Sequence[socket.socket]) -> None:
    import uvicorn

    from olhar.serving.connection import Connection

    config = uvicorn.Config(
        app,
        http=Connection,
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
        server.run(sockets=list(listening))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
