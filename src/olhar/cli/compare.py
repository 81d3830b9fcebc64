"""`olhar compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("put runs side by side, and say whether they really differ"))
    parser = commands.add_parser("compare", help=text, description=text)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help=str(_("two or more run folders"))
    )
    parser.add_argument("--markdown", action="store_true", help=str(_("print Markdown")))
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Compare, and print the tables."""
    from olhar.evaluation.compare import compare_runs

    comparison = compare_runs(args.runs)
    if args.json:
        print_json(comparison.to_dict())
    elif args.markdown:
        print(comparison.as_markdown(), end="")
    else:
        print(comparison.as_text())
    return 0
