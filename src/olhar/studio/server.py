"""One process that serves a studio until Ctrl-C or SIGTERM, and then ends well."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.progress import Progress
from olhar.serving.listening import is_local, listen, shown_url
from olhar.serving.local_pages import require_server, serve_app
from olhar.streams import hold_streams
from olhar.studio.app import build_app
from olhar.studio.certificate import tls_files
from olhar.studio.class_app import build_class_app
from olhar.studio.lesson import DEFAULT_FOLDER, open_lesson
from olhar.studio.opening import DEFAULT_PROJECT, open_project
from olhar.studio.phones import Phones, addresses
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
    tls: bool = False,
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
        tls: serve by https, with a certificate of this computer's own.
        ask: a question to whoever is there; by default the answer is no.
        progress: hears where the page is served.

    Raises:
        ConfigError: the folder is no project and cannot become one, or host or port cannot be used.
        MissingExtraError: the web server is not installed, or what makes certificates.
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
            raise _no_token(host)
        files = _tls_files(progress) if tls else {}
        opened = stack.enter_context(
            open_project(
                Path(project),
                None if photos is None else Path(photos),
                ask or (lambda _question: False),
            )
        )
        url = shown_url(host, sockets)
        url = url.replace("http:", "https:", 1) if tls else url
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
        phones = Phones(studio, files)
        stack.callback(phones.close)
        app = build_app(
            studio,
            phones=phones,
            local=local,
            token=token,
            allow_host=tuple(allow_host),
            root_path=root_path,
        )
        serve_app(app, sockets, **files)
    progress.note(
        _(
            "the studio has ended; all is in '{path}'. Go on with: olhar studio {path}",
            path=opened.path,
        )
    )


def serve_class(
    students: int,
    folder: Path | str = DEFAULT_FOLDER,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    open_page: bool = False,
    token_env: str | None = None,
    allow_host: Sequence[str] = (),
    tls: bool = False,
    progress: Progress | None = None,
) -> None:
    """Serve a class: a project for each student; comes back after Ctrl-C or SIGTERM.

    Args:
        students: that there may be, 1 to 60.
        folder: of their projects; what is not there is made.
        host: address or name to listen on; others than this machine's own need a code of the class.
        port: TCP port; 0 takes a free one.
        open_page: show the first page in the default browser.
        token_env: the environment variable with the code of the class.
        allow_host: names that it answers to besides.
        tls: serve by https, with a certificate of this computer's own.
        progress: hears where the page is served.

    Raises:
        ConfigError: the folder is no class, or its disk too small, or host or port cannot be used.
        MissingExtraError: the web server is not installed, or what makes certificates.
        OlharError: the port is in use.
    """
    progress = progress or Progress()
    require_server("studio")
    code = _token(token_env)
    folder = Path(folder)
    with ExitStack() as stack:
        [sockets] = stack.enter_context(listen(host, port, command="studio"))
        local = is_local(sockets)
        if not local and code is None:
            raise _no_token(host)
        files = _tls_files(progress) if tls else {}
        lesson = stack.enter_context(open_lesson(folder, students, files))
        progress.note(
            _(
                "a class of {count}: each project may hold {photos} photos and {limit} MB; trainings wait "
                "for each other",
                count=students,
                photos=lesson.bounds.photos,
                limit=lesson.bounds.size_bytes // 2**20,
            )
        )
        url = shown_url(host, sockets)
        url = url.replace("http:", "https:", 1) if tls else url
        if not local:
            port = sockets[0].getsockname()[1]
            for address in addresses():
                shown = f"{url.partition(':')[0]}://{address}:{port}/"
                progress.note(_("for students' computers: {url}", url=shown))
        progress.note(_("the class in '{path}': {url}  (Ctrl-C ends)", path=folder, url=url))
        if code is not None:
            progress.note(_("students enter the code of {name} on its first page", name=token_env))
        if open_page:
            import webbrowser

            webbrowser.open(url if code is None else f"{url}?token={quote(code)}")
        app = build_class_app(lesson, local=local, code=code, allow_host=tuple(allow_host))
        serve_app(app, sockets, **files)
    progress.note(_("the class has ended; all is in '{path}'", path=folder))


def _tls_files(progress: Progress) -> dict[str, str]:
    files, fingerprint = tls_files(addresses())
    progress.note(
        _(
            "browsers will warn of the certificate, which this computer has made for itself; "
            "its SHA-256: {fingerprint}",
            fingerprint=fingerprint,
        )
    )
    return files


def _no_token(host: str) -> ConfigError:
    return ConfigError(
        _(
            "--host {host} lets others in, which needs a token: put one into an environment "
            "variable and name it, such as: OLHAR_TOKEN={example} olhar studio --host {host} "
            "--token-env OLHAR_TOKEN",
            host=host,
            example=secrets.token_urlsafe(9),
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
