"""`olhar networks`."""

from __future__ import annotations

import argparse

from olhar.cli.options import Subparsers, add_flags, add_json, collect, print_json
from olhar.data_settings import SOURCE
from olhar.i18n import _, in_english, number


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("what networks there are, with their parameter counts"))
    parser = commands.add_parser("networks", help=text, description=text)
    parser.add_argument(
        "--data",
        default="mnist",
        metavar="DATA",
        help=str(_("count for the images and classes of this data set or folder; default mnist")),
    )
    add_flags(parser, _("how the data is read"), SOURCE)
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """List the networks."""
    from olhar import pipeline

    rows = pipeline.list_networks(args.data, **collect(args, SOURCE))
    if args.json:
        print_json([{**row, "source": in_english(row["source"])} for row in rows])
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        shape = "x".join(map(str, row["input"]))
        print(
            f"{row['name']:<{width}}  {shape:>8}  {number(row['parameters']):>12}  {row['source']}"
        )
    return 0
