"""`olhar serve`."""

from __future__ import annotations

import argparse
import os

from olhar.cli.options import Subparsers, add_flags, collect
from olhar.cli.progress import LineProgress
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.serving.settings import SERVE, ServeSettings

_TOKEN = "OLHAR_TOKEN"  # noqa: S105  the name of a variable
_FLAGS = {name: one for name, one in SERVE.items() if name != "token"}


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
    group = add_flags(parser, _("server"), _FLAGS)
    group.add_argument(
        "--token-env",
        metavar="NAME",
        help=str(_("the variable that holds the token requests must send; default OLHAR_TOKEN")),
    )
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from olhar.registry import name_models

    models = name_models(args.models)
    settings = ServeSettings(**collect(args, _FLAGS), token=_token(args.token_env))
    from olhar.serving.corrections import check_folder
    from olhar.serving.server import serve

    if settings.corrections is not None:
        check_folder(settings.corrections)
    serve(models, settings, LineProgress())
    return 0


def _token(name: str | None) -> str | None:
    """The token of the variable `name`, or of OLHAR_TOKEN where that is set."""
    token = os.environ.get(name or _TOKEN, "").strip()
    if name and not token:
        raise ConfigError(
            _("the environment variable {name} is empty; put the token into it", name=name)
        )
    return str(SERVE["token"].read(token, name or _TOKEN)) if token else None
