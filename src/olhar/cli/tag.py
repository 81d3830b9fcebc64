"""`olhar tag`."""

from __future__ import annotations

import argparse

from olhar.cli.options import Subparsers
from olhar.cli.pull import add_address
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("let a tag, such as production, mean a version"))
    parser = commands.add_parser("tag", help=text, description=text)
    add_address(parser)
    parser.add_argument("tag", metavar="TAG", help=str(_("a name such as production")))
    parser.add_argument("--remove", action="store_true", help=str(_("take the tag away")))
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Tag, and print what the tag means now."""
    from olhar import registry

    if args.remove:
        registry.untag(args.address, args.tag)
        print(_("tag {tag} is gone", tag=args.tag))
    else:
        address = registry.tag(args.address, args.tag)
        print(_("{tag} is now {address}", tag=args.tag, address=address))
    return 0
