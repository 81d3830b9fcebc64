"""One process that serves a studio until Ctrl-C or SIGTERM, and then ends well."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.progress import Progress
from olhar.serving.listening import is_local, listen, shown_url
from olhar.serving.local_pages import require_server, serve_app
from olhar.streams import hold_streams
from olhar.studio.app import build_app
from olhar.studio.opening import DEFAULT_PROJECT, open_project
from olhar.studio.studio import Studio

DEFAULT_HOST, DEFAULT_PORT = "localhost", 8070


def serve_studio(
    project: Path | str = DEFAULT_PROJECT,
    *,
    photos: Path | str | None = None,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    open_page: bool = False,
    corrections: Path | str | None = None,
    token_env: str | None = None,
    allow_host: Sequence[str] = (),
    root_path: str = "",
    ask: Callable[[Text], bool] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve the studio of a project; comes back after Ctrl-C or SIGTERM.

    Args:
        project: its folder; what is not there is made.
        photos: a folder with a folder for each class, whose photos a new project gets copies of.
        host: address or name to listen on; others than this machine's own need a token.
        port: TCP port; 0 takes a free one.
        open_page: show it in the default browser.
        corrections: a folder that `olhar serve --corrections` fills; its photos come into the tray.
        token_env: the environment variable with the token that requests must bring.
        allow_host: names that it answers to besides, those of a proxy or tunnel before it.
        root_path: the path under which a proxy shows it.
        ask: a question to whoever is there; by default the answer is no.
        progress: hears where the page is served.

    Raises:
        ConfigError: the folder is no project and cannot become one, or host or port cannot be used.
        MissingExtraError: the web server is not installed.
        OlharError: the port is in use.
    """
    hold_streams()
    progress = progress or Progress()
    require_server("studio")
    token = _token(token_env)
    with ExitStack() as stack:
        [sockets] = stack.enter_context(listen(host, port, command="studio"))
        local = is_local(sockets)
        if not local and token is None:
            raise ConfigError(
                _(
                    "--host {host} lets others in, which needs a token: put one into an environment "
                    "variable and name it, such as: OLHAR_TOKEN={example} olhar studio --host {host} "
                    "--token-env OLHAR_TOKEN",
                    host=host,
                    example=secrets.token_urlsafe(9),
                )
            )
        opened = stack.enter_context(
            open_project(
                Path(project),
                None if photos is None else Path(photos),
                ask or (lambda _question: False),
            )
        )
        url = shown_url(host, sockets)
        shown = url if token is None else f"{url}?token={token}"
        progress.note(_("the studio of '{path}': {url}  (Ctrl-C ends)", path=opened.path, url=url))
        if token is not None:
            progress.note(
                _("open it with ?token= and the token of {name} behind the address", name=token_env)
            )
        studio = Studio(opened, corrections=None if corrections is None else Path(corrections))
        stack.callback(studio.close)
        if open_page:
            import webbrowser

            webbrowser.open(shown)
        app = build_app(
            studio, local=local, token=token, allow_host=tuple(allow_host), root_path=root_path
        )
        serve_app(app, sockets)
    progress.note(
        _(
            "the studio has ended; all is in '{path}'. Go on with: olhar studio {path}",
            path=opened.path,
        )
    )


def _token(name: str | None) -> str | None:
    if name is None:
        return None
    token = os.environ.get(name, "")
    if not token:
        raise ConfigError(
            _(
                "--token-env {name}: there is no such environment variable, or it is empty",
                name=name,
            )
        )
    return token
