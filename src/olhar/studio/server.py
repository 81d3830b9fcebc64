"""One process that serves a studio until Ctrl-C or SIGTERM, and then ends well."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.progress import Progress
from olhar.streams import hold_streams
from olhar.studio.app import build_app
from olhar.studio.certificate import tls_files
from olhar.studio.class_app import build_class_app
from olhar.studio.lesson import DEFAULT_FOLDER, open_lesson
from olhar.studio.opening import DEFAULT_PROJECT, open_project
from olhar.studio.phones import Phones, addresses
from olhar.studio.studio import Studio
from olhar.web_server.listening import Sockets, is_local, listen, shown_url
from olhar.web_server.running import require_server, serve_app

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
    progress = progress or Progress()
    token = _secret(token_env)
    with ExitStack() as stack:
        place = stack.enter_context(_listen(host, port, token, tls, progress))
        opened = stack.enter_context(
            open_project(
                Path(project),
                None if photos is None else Path(photos),
                ask or (lambda _question: False),
            )
        )
        progress.note(
            _("the studio of '{path}': {url}  (Ctrl-C ends)", path=opened.path, url=place.url)
        )
        if token is not None:
            progress.note(
                _("open it with ?token= and the token of {name} behind the address", name=token_env)
            )
        studio = Studio(opened, corrections=None if corrections is None else Path(corrections))
        stack.callback(studio.close)
        if open_page:
            place.show_page(token)
        phones = Phones(studio, place.tls)
        stack.callback(phones.close)
        app = build_app(
            studio,
            phones=phones,
            local=place.local,
            token=token,
            allow_host=tuple(allow_host),
            root_path=root_path,
        )
        serve_app(app, place.sockets, **place.tls)
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
    code = _secret(token_env)
    folder = Path(folder)
    with ExitStack() as stack:
        place = stack.enter_context(_listen(host, port, code, tls, progress))
        lesson = stack.enter_context(open_lesson(folder, students, place.tls))
        progress.note(
            _(
                "a class of {count}: each project may hold {photos} photos and {limit} MB; trainings wait "
                "for each other",
                count=students,
                photos=lesson.bounds.photos,
                limit=lesson.bounds.size_bytes // 2**20,
            )
        )
        for text in lesson.take_up():
            progress.note(text)
        for url in place.urls_of_others():
            progress.note(_("for students' computers: {url}", url=url))
        progress.note(_("the class in '{path}': {url}  (Ctrl-C ends)", path=folder, url=place.url))
        if code is not None:
            progress.note(_("students enter the code of {name} on its first page", name=token_env))
        if open_page:
            place.show_page(code)
        app = build_class_app(lesson, local=place.local, code=code, allow_host=tuple(allow_host))
        serve_app(app, place.sockets, **place.tls)
    progress.note(_("the class has ended; all is in '{path}'", path=folder))


@dataclass(frozen=True)
class _Place:
    """Where it is served.

    Attributes:
        sockets: that listen.
        local: whether only this machine reaches them.
        url: as it is shown.
        tls: certificate and key, for https.
    """

    sockets: Sockets
    local: bool
    url: str
    tls: dict[str, str]

    def urls_of_others(self) -> list[str]:
        """Addresses by which other machines may reach it."""
        if self.local:
            return []
        scheme, port = self.url.partition(":")[0], self.sockets[0].getsockname()[1]
        return [f"{scheme}://{address}:{port}/" for address in addresses()]

    def show_page(self, token: str | None) -> None:
        """Open the page in the default browser."""
        import webbrowser

        webbrowser.open(self.url if token is None else f"{self.url}?token={quote(token)}")


@contextmanager
def _listen(
    host: str,
    port: int,
    token: str | None,
    tls: bool,  # noqa: FBT001
    progress: Progress,
) -> Iterator[_Place]:
    """Listen until the block ends; others than this machine are let in with a token alone."""
    hold_streams()
    require_server()
    with listen(host, port, command="studio") as [sockets]:
        local = is_local(sockets)
        if not local and token is None:
            raise _no_token(host)
        url = shown_url(host, sockets)
        if tls:
            url = url.replace("http:", "https:", 1)
        yield _Place(sockets, local, url, _tls_files(progress) if tls else {})


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


def _secret(name: str | None) -> str | None:
    """What an environment variable holds."""
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
