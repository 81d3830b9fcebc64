"""One process that serves the board until Ctrl-C or SIGTERM, and then ends well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olhar.board.app import build_app
from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.serving.settings import SERVE
from olhar.streams import hold_streams
from olhar.web_server.listening import is_local, listen, shown_url
from olhar.web_server.running import require_server, serve_app

DEFAULT_RUNS, DEFAULT_HOST, DEFAULT_PORT = Path("runs"), "localhost", 8090


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
        serve_app(app, listening)
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
