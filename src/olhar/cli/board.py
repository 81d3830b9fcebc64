"""`olhar board`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import Subparsers, add_flags, collect
from olhar.cli.progress import LineProgress
from olhar.i18n import _
from olhar.serving.settings import SERVE
from olhar.settings import Whole

_FLAGS = {name: SERVE[name] for name in ("allow_host", "root_path")}


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("a page over your runs, in the browser: compare them, live while they train"))
    parser = commands.add_parser("board", help=text, description=text)
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="FOLDER",
        help=str(_("the folder that holds the runs; default runs/")),
    )
    parser.add_argument(
        "--host",
        default="localhost",
        metavar="HOST",
        help=str(_("where to listen; default localhost, which only this computer reaches")),
    )
    parser.add_argument(
        "--port",
        default="8090",
        metavar="PORT",
        help=str(_("default 8090; 0 takes a free one")),
    )
    parser.add_argument(
        "--open", action="store_true", help=str(_("open the page in the default browser"))
    )
    add_flags(parser, _("behind a proxy"), _FLAGS)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from olhar.board.server import serve_board

    serve_board(
        args.runs,
        host=args.host,
        port=Whole(0).check(args.port, "--port"),
        open_page=args.open,
        **collect(args, _FLAGS),
        progress=LineProgress(),
    )
    return 0
