"""`olhar undeploy`."""

from __future__ import annotations

import argparse

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("remove a SageMaker endpoint with its configuration and model"))
    parser = commands.add_parser("undeploy", help=text, description=text)
    parser.add_argument("name", metavar="NAME", help=str(_("the endpoint's name")))
    parser.add_argument("--region", metavar="REGION", help=str(_("region of AWS")))
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Remove what is there; nothing to remove is no failure."""
    from olhar.deploy.aws import find_region
    from olhar.deploy.endpoint import undeploy
    from olhar.deploy.settings import check_name

    region = find_region(args.region)
    check_name(args.name)
    with build_progress() as progress:
        removed = undeploy(args.name, region, progress)
    if args.json:
        print_json({"name": args.name, "region": region, "removed": removed})
    elif removed:
        print(_("'{name}' is removed; it costs nothing any more", name=args.name))
    else:
        print(_("there is nothing called '{name}' in {region}", name=args.name, region=region))
    return 0
