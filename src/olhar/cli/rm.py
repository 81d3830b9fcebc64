"""`olhar rm`."""

from __future__ import annotations

import argparse

from olhar.cli.options import Subparsers
from olhar.cli.pull import add_address
from olhar.cli.push import add_dry_run
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("remove a version from a store, and the files that no other version has"))
    parser = commands.add_parser("rm", help=text, description=text)
    add_address(parser)
    parser.add_argument("--force", action="store_true", help=str(_("also where it is tagged")))
    add_dry_run(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Remove, and print what is gone."""
    from olhar import registry

    address, count = registry.remove(args.address, force=args.force, dry_run=args.dry_run)
    if args.dry_run:
        print(_("{address} would be removed", address=address))
        return 0
    print(_("{address} is removed", address=address))
    if count is None:
        print(
            _(
                "its files are still there, because somebody pushes, or a version cannot be read; "
                "the next olhar rm gives the space back"
            )
        )
    return 0
