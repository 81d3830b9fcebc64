"""What a server may do and how much of it, and what it holds while it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from olhar.data_settings import INVERT
from olhar.errors import ConfigError, unknown_name
from olhar.i18n import Text, _
from olhar.settings import Kind, Number, OneOf, Settings, Whole, YesNo, setting, table
from olhar.web_server.prefix import clean_prefix

if TYPE_CHECKING:
    from olhar.serving.batching import Batcher
    from olhar.serving.served import ServedModel


class _Token(Kind):
    """A secret, which no message shows."""

    def read(self, value: Any) -> str:
        """As HTTP can carry it."""
        if (
            not isinstance(value, str)
            or not value
            or not value.isascii()
            or not value.isprintable()
        ):
            raise ValueError
        return value

    def refuse(self, called: str, value: Any) -> ConfigError:
        """Without the value."""
        del value
        return ConfigError(_("the token in {name} must be plain ASCII without spaces", name=called))


class _Origins(Kind):
    """Origins of web pages, null for files and other pages without one, or * for all."""

    repeated = True

    def read(self, value: Any) -> tuple[str, ...]:
        """From a list of them."""
        found = tuple(one.lower().removesuffix("/") for one in _listed(value))
        for one in found:
            parts = urlsplit(one)
            named = parts.scheme and parts.netloc and not (parts.path or parts.query)
            if one not in {"*", "null"} and not named:
                raise ValueError
        return found

    def allowed(self) -> Text:
        """An example."""
        return _("origins such as https://example.org, null, or *")


class HostNamesKind(Kind):
    """Names under which a server may be asked."""

    repeated = True

    def read(self, value: Any) -> tuple[str, ...]:
        """From a list of names, or of the addresses that a browser shows."""
        return tuple(_read_name(one) for one in _listed(value))

    def allowed(self) -> Text:
        """An example."""
        return _("a name such as olhar.example.org, .example.org for all below it, or *")


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _read_name(text: str) -> str:
    if text != "".join(text.split()):
        raise ValueError
    address = text if "//" in text else f"//{text}"
    name = (urlsplit(address).hostname or "").rstrip(".")
    below = "." if name.startswith(("*.", ".")) else ""
    name = name.removeprefix("*").removeprefix(".") if below else name
    if name == "*":
        return name
    if ":" not in name:
        name = name.encode("idna").decode()
        if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name):
            raise ValueError
    return below + name


class RootPathKind(Kind):
    """The path under which a proxy shows a server."""

    def read(self, value: Any) -> str:
        """Without the slash at its end."""
        return clean_prefix(super().read(value))


class _Folder(Kind):
    """A path."""

    def read(self, value: Any) -> Path:
        """From text or a path."""
        return Path(value)


@dataclass(frozen=True)
class ServeSettings(Settings):
    """Where a server listens, and how it answers."""

    host: str = setting(
        "localhost",
        Kind("HOST", _("an address or a name")),
        _("where to listen; only this computer reaches localhost"),
    )
    port: int = setting(8080, Whole(0, 65_535, "PORT"), _("TCP port; 0 takes a free one"))
    workers: int = setting(
        1,
        Whole(1, 256),
        _("worker processes that answer and share the cores; one uses all cores too"),
    )
    max_mb: float = setting(16.0, Number(0.001, metavar="MB"), _("largest request, in MiB"))
    max_pixels: int = setting(
        50_000_000,
        Whole(1),
        _("width × height of a photo, read from its header before it is decoded"),
    )
    invert: str = setting(
        "auto",
        OneOf(*INVERT),
        _(
            "read dark as bright: auto where the border of an image is bright and was dark in training, "
            "or the other way round; grey models only"
        ),
    )
    max_images: int = setting(64, Whole(1), _("most photos in one request"))
    concurrency: int = setting(
        128, Whole(1), _("requests being answered at once; more are told to come again (503)")
    )
    rate: float = setting(
        0.0,
        Number(0),
        _("requests a second from one address; more are refused (429). 0 means no limit"),
    )
    timeout: float = setting(
        30.0, Number(0.1, metavar="SECONDS"), _("seconds for one request, its arrival included")
    )
    batch_size: int = setting(32, Whole(1), _("most photos in one run of the network"))
    batch_latency: float = setting(
        5.0,
        Number(0, metavar="MS"),
        _(
            "how long a photo may wait for others to join its batch, in ms; nothing waits for photos "
            "that have not arrived"
        ),
    )
    reload: float = setting(
        2.0,
        Number(0, metavar="SECONDS"),
        _("how often, in seconds, to look for a new version of a model; 0 never"),
    )
    token: str | None = setting(
        None, _Token(), _("what requests must carry; None lets everybody in"), shown=False
    )
    cors: tuple[str, ...] = setting(
        (),
        _Origins("ORIGIN"),
        _("let pages of this origin ask, such as https://example.org; may be given again"),
    )
    allow_host: tuple[str, ...] = setting(
        (),
        HostNamesKind("NAME"),
        _(
            "answer under this name too, that of a proxy or tunnel before the server; may be given again"
        ),
    )
    root_path: str | None = setting(
        None,
        RootPathKind("PATH", _("a path such as /olhar")),
        _("the path under which a proxy shows the server, where it does not say so itself"),
    )
    corrections: Path | None = setting(
        None,
        _Folder("FOLDER", _("a path")),
        _("keep the photos that people correct on the page, as a data set"),
    )
    log_requests: bool = setting(
        False,  # noqa: FBT003
        YesNo(),
        _("a line in the log for every request, not only for those that fail"),
    )

    @property
    def max_bytes(self) -> int:
        """Largest body of a request."""
        return int(self.max_mb * 2**20)


SERVE = table(ServeSettings)


@dataclass
class ServeState:
    """What every route needs. A reloaded model replaces its entry in `models`."""

    models: dict[str, ServedModel]
    settings: ServeSettings
    batcher: Batcher

    def model(self, name: str | None = None) -> ServedModel:
        """A model by name; the first one where none is named.

        Raises:
            UnknownNameError: there is no such model.
        """
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise unknown_name(_("model"), name, self.models)
        return self.models[name]
