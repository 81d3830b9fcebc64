"""`olhar data`."""

from __future__ import annotations

import argparse

from olhar.cli import data_store
from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("what data sets there are; what is in one, or in a folder of photos"))
    parser = commands.add_parser("data", help=text, description=text)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="NAME|FOLDER",
        help=str(
            _(
                "a data set or a folder of photos; without it the data sets are listed; or "
                "push NAME|FOLDER STORE, or pull ADDRESS"
            )
        ),
    )
    data_store.add_flags(parser)
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """List the data sets, describe one, or move one to or from a store."""
    if len(args.words) > 1:
        return data_store.run(args.words, args)
    from olhar import datasets

    if not args.words:
        if args.json:
            print_json(list(datasets.NAMED))
        else:
            print("\n".join(datasets.NAMED))
            print(
                _("Look into one with: olhar data NAME, or into your own with: olhar data FOLDER")
            )
        return 0
    with build_progress() as progress:
        facts = datasets.describe_dataset(datasets.open_source(args.words[0]), progress)
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
    if facts["set_aside"]:
        print(_("{count} photos cannot be read", count=len(facts["set_aside"])))
    if facts["skipped"]:
        print(_("{count} files are no photos by their names", count=sum(facts["skipped"].values())))
    print(_("splits: {train} train, {val} val, {test} test", **facts["splits"]))
    for row in facts["classes"]:
        by_part = "  ".join(f"{part}/ {count}" for part, count in row["parts"].items())
        print(f"  {row['index']:>3}  {row['shown']}  {row['images']}  {by_part}".rstrip())
    return 0
