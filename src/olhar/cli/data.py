"""`olhar data`."""

from __future__ import annotations

import argparse

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("what data sets there are; what is in one"))
    parser = commands.add_parser("data", help=text, description=text)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help=str(_("a data set; without it all are listed"))
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """List the data sets, or describe one."""
    from olhar import datasets

    if args.name is None:
        if args.json:
            print_json(list(datasets.NAMED))
        else:
            print("\n".join(datasets.NAMED))
            print(_("Look into one with: olhar data NAME"))
        return 0
    facts = datasets.describe_dataset(datasets.load_named(args.name))
    if args.json:
        print_json(facts)
        return 0
    channels, height, width = facts["image_shape"]
    print(
        _(
            "{name}: {count} images of {width}x{height} pixels, {channels} channel(s), "
            "{classes} classes",
            name=facts["name"],
            count=facts["images"],
            width=width,
            height=height,
            channels=channels,
            classes=len(facts["classes"]),
        )
    )
    print(_("splits: {train} train, {val} val, {test} test", **facts["splits"]))
    for row in facts["classes"]:
        print(f"  {row['index']:>3}  {row['shown']}  {row['images']}")
    return 0
