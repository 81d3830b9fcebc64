"""`olhar resume`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import Subparsers, add_json
from olhar.cli.progress import build_progress
from olhar.cli.train import print_run
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("go on with a training that was cut off, from its last epoch"))
    parser = commands.add_parser("resume", help=text, description=text)
    parser.add_argument("folder", type=Path, metavar="RUN", help=str(_("the run folder")))
    parser.add_argument(
        "--data",
        metavar="DATA",
        help=str(_("where the run's data is now; default where it was when the run began")),
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Go on with the run."""
    from olhar import pipeline

    with build_progress() as progress:
        done = pipeline.resume(args.folder, data=args.data, progress=progress)
    print_run(done, as_json=args.json)
    return 0
