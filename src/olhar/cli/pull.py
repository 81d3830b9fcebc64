"""`olhar pull`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.cli.push import add_dry_run, print_moves
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("copy a version from a store into a folder; every file is checked"))
    parser = commands.add_parser("pull", help=text, description=text)
    add_address(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=str(_("the folder to make; default NAME-VERSION")),
    )
    add_dry_run(parser)
    add_json(parser)
    parser.set_defaults(run_command=run)


def add_address(parser: argparse.ArgumentParser) -> None:
    """The argument ADDRESS."""
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        help=str(_("STORE/NAME, STORE/NAME@VERSION or STORE/NAME@TAG, such as ./store/cifar@3")),
    )


def run(args: argparse.Namespace) -> int:
    """Pull, and print where it is."""
    from olhar import registry

    if args.dry_run:
        version, moves = registry.plan_pull(args.address)
        print_moves(version.address, moves, as_json=args.json)
        return 0
    with build_progress() as progress:
        version = registry.pull(args.address, args.out, progress=progress)
    if args.json:
        print_json(version.to_dict())
    else:
        print(_("{address} is in {path}", address=version.address, path=version.path))
    return 0
