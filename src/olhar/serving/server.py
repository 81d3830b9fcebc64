"""Processes that serve until Ctrl-C or SIGTERM, answer what they have accepted, and end well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.progress import Progress
from olhar.serving.settings import ServeSettings
from olhar.streams import hold_streams
from olhar.web_server.listening import is_local, listen, shown_url
from olhar.web_server.running import require_server


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
    hold_streams()
    progress = progress or Progress()
    if not models:
        raise ConfigError(_("there is no model to serve; name one or more"))
    host, workers = settings.host, settings.workers
    require_server()
    with listen(host, settings.port, workers, command="serve") as groups:
        url, local = shown_url(host, groups[0]), is_local(groups[0])

        def ready() -> None:
            progress.note(
                _("serving {names}: {url}  (Ctrl-C ends)", names=", ".join(models), url=url)
            )
            if not local and settings.token is None:
                progress.note(_("anybody who reaches {host} may ask; see --token-env", host=host))

        words = (dict(models), settings, local)
        if workers == 1:
            from olhar.serving.worker import serve_here

            serve_here(*words, groups[0], ready)
        else:
            from olhar.serving.workers import serve_in_processes

            serve_in_processes(*words, groups, workers, ready)
    progress.note(_("the server at {url} has ended; every request was answered", url=url))
