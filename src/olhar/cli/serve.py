"""`olhar serve`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from olhar.cli.options import Subparsers, number, whole_number
from olhar.cli.progress import LineProgress
from olhar.errors import ConfigError
from olhar.i18n import Text, _

_TOKEN = "OLHAR_TOKEN"  # noqa: S105  the name of a variable
_MIB = 2**20

# flag, default, name for the value, text, lowest value, whether whole
_NUMBERS: tuple[tuple[str, str, str, Text, float, bool], ...] = (
    ("--port", "8080", "PORT", _("default 8080; 0 takes a free one"), 0, True),
    ("--workers", "1", "N", _("processes; default 1, which uses all cores"), 1, True),
    ("--max-mb", "16", "MB", _("largest request in MiB; default 16"), 0.001, False),
    ("--max-pixels", "50000000", "N", _("most pixels of a photo; default 50000000"), 1, True),
    ("--max-images", "64", "N", _("most photos in one request; default 64"), 1, True),
    ("--concurrency", "128", "N", _("requests at once; more get 503; default 128"), 1, True),
    (
        *("--rate", "0", "N"),
        _("requests a second for one client; more get 429; default 0, no limit"),
        *(0, False),
    ),
    ("--timeout", "30", "SECONDS", _("for one request; default 30"), 0.1, False),
    ("--batch", "32", "N", _("most photos in one run of the network; default 32"), 1, True),
    (
        *("--batch-latency", "5", "MS"),
        _("how long a photo may wait for its batch, in ms; default 5"),
        *(0, False),
    ),
    (
        *("--reload", "2", "SECONDS"),
        _("how often to look for a new version of a model; default 2, 0 never"),
        *(0, False),
    ),
)


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("answer requests over HTTP, and a page to try the model in the browser"))
    parser = commands.add_parser("serve", help=text, description=text)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help=str(
            _("run folders, model/ folders or store addresses; NAME=MODEL names one for requests")
        ),
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="HOST",
        help=str(_("where to listen; default 127.0.0.1, which only this computer reaches")),
    )
    for flag, default, value, help_text, _lowest, _whole in _NUMBERS:
        parser.add_argument(flag, default=default, metavar=value, help=str(help_text))
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help=str(_("the variable that holds the token requests must send; default OLHAR_TOKEN")),
    )
    parser.add_argument(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help=str(_("let pages of this origin ask, such as https://example.org; may be repeated")),
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="FOLDER",
        help=str(_("keep the photos that people correct on the page, as a data set")),
    )
    parser.add_argument(
        "--log-requests", action="store_true", help=str(_("a line in the log for every request"))
    )
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    models = name_models(args.models)
    numbers = _read_numbers(args)
    token = _token(args.token_env)
    from olhar.serving.corrections import check_folder
    from olhar.serving.server import serve
    from olhar.serving.settings import ServeSettings

    if args.corrections is not None:
        check_folder(args.corrections)

    settings = ServeSettings(
        max_bytes=int(numbers["max_mb"] * _MIB),
        max_pixels=int(numbers["max_pixels"]),
        max_images=int(numbers["max_images"]),
        concurrency=int(numbers["concurrency"]),
        rate=numbers["rate"],
        timeout_s=numbers["timeout"],
        batch_size=int(numbers["batch"]),
        batch_latency_ms=numbers["batch_latency"],
        reload_s=numbers["reload"],
        token=token,
        cors=tuple(_origin(text) for text in args.cors),
        corrections=args.corrections,
        log_requests=args.log_requests,
    )
    serve(
        models,
        settings,
        host=args.host,
        port=int(numbers["port"]),
        workers=int(numbers["workers"]),
        progress=LineProgress(),
    )
    return 0


def name_models(given: list[str]) -> dict[str, Path]:
    """`NAME=MODEL`, or MODEL under its own name → path by name, in the order given.

    Its own name is that of the run folder, or that under which a store keeps it.

    Raises:
        ConfigError: two have the same name.
    """
    from olhar.registry import model_name, resolve_model

    found: dict[str, Path] = {}
    for text in given:
        name, equals, rest = text.partition("=")
        if not equals or Path(text).exists() or not name or set(name) & set("/\\:"):
            path = resolve_model(text)
            name = model_name(text)
        else:
            path = resolve_model(rest)
        if name in found:
            raise ConfigError(
                _(
                    "two models are called '{name}'; name one of them: NAME={path}",
                    name=name,
                    path=path,
                )
            )
        found[name] = path
    return found


def _read_numbers(args: argparse.Namespace) -> dict[str, float]:
    found: dict[str, float] = {}
    for flag, _default, _value, _text, lowest, whole in _NUMBERS:
        name = flag[2:].replace("-", "_")
        given: Any = getattr(args, name)
        value = (whole_number if whole else number)(flag, given)
        if value is None or not lowest <= value < float("inf"):
            raise ConfigError(
                _(
                    "{flag} is {given}; allowed: {lowest} or more",
                    flag=flag,
                    given=given,
                    lowest=f"{lowest:g}",
                )
            )
        found[name] = value
    return found


def _token(name: str | None) -> str | None:
    """The token of the variable `name`, or of OLHAR_TOKEN where that is set."""
    token = os.environ.get(name or _TOKEN, "").strip()
    if name and not token:
        raise ConfigError(
            _("the environment variable {name} is empty; put the token into it", name=name)
        )
    if token and (not token.isascii() or not token.isprintable()):
        raise ConfigError(
            _("the token in {name} must be plain ASCII without spaces", name=name or _TOKEN)
        )
    return token or None


def _origin(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        whole = bool(parts.scheme and parts.netloc) and not (parts.path or parts.query)
    except ValueError:
        whole = False
    if text != "*" and not whole:
        raise ConfigError(
            _(
                "--cors is '{given}'; allowed: an origin such as https://example.org, or *",
                given=text,
            )
        )
    return text
