"""`olhar studio`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from olhar.cli.options import Subparsers
from olhar.cli.progress import LineProgress
from olhar.i18n import Text, _
from olhar.settings import Whole


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(
        _("gather photos, train and try a classifier in the browser, without a command line")
    )
    parser = commands.add_parser("studio", help=text, description=text)
    parser.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=Path("my-project"),
        metavar="PROJECT",
        help=str(_("the project's folder, made where it is not there; default my-project/")),
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help=str(_("make the project with copies of the photos in this folder of classes")),
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="FOLDER",
        help=str(_("photos that olhar serve --corrections keeps there come into the tray")),
    )
    parser.add_argument(
        "--host",
        default="localhost",
        metavar="HOST",
        help=str(_("where to listen; default localhost, which only this computer reaches")),
    )
    parser.add_argument(
        "--port",
        default="8070",
        metavar="PORT",
        help=str(_("default 8070; 0 takes a free one")),
    )
    parser.add_argument(
        "--open", action="store_true", help=str(_("open the page in the default browser"))
    )
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help=str(_("the environment variable with a token that whoever opens the page must bring")),
    )
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from olhar.studio.server import serve_studio

    serve_studio(
        args.project,
        photos=args.photos,
        corrections=args.corrections,
        host=args.host,
        port=Whole(0).check(args.port, "--port"),
        open_page=args.open,
        token_env=args.token_env,
        ask=_ask,
        progress=LineProgress(),
    )
    return 0


def _ask(question: Text) -> bool:
    """Yes or no, where somebody sits at the terminal."""
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    print(_("{question} [y/N] ", question=question), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes", "s", "sim"}
