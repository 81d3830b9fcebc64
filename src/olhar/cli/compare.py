"""`olhar compare`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.files import check_replaceable
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("put runs side by side, and say whether they really differ"))
    parser = commands.add_parser("compare", help=text, description=text)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help=str(_("two or more run folders"))
    )
    parser.add_argument("--markdown", action="store_true", help=str(_("print Markdown")))
    parser.add_argument(
        "--curves",
        type=Path,
        metavar="FILE",
        help=str(_("draw the runs' learning curves, as .png or .svg")),
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Compare, and print the tables."""
    from olhar.evaluation.compare import compare_runs

    if args.curves:
        check_replaceable(args.curves)
    comparison = compare_runs(args.runs)
    if args.curves:
        _draw_curves([one.run for one in comparison.runs], args.curves)
    if args.json:
        print_json(comparison.to_dict())
    elif args.markdown:
        print(comparison.as_markdown(), end="")
    else:
        print(comparison.as_text())
    return 0


def _draw_curves(runs: Sequence[str], path: Path) -> None:
    from olhar.evaluation.plots import plot_curves, save_figure
    from olhar.run import Run

    save_figure(plot_curves([(run, Run(run).history) for run in runs]), path)
