"""`olhar data`."""

from __future__ import annotations

import argparse

from olhar.cli import data_check, data_store
from olhar.cli.options import Subparsers, add_flags, add_json, collect, print_json
from olhar.cli.progress import build_progress
from olhar.data_settings import SOURCE, SourceSettings
from olhar.i18n import _, language, using


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("what data sets there are; what is in one, and what is wrong with it"))
    parser = commands.add_parser("data", help=text, description=text)
    parser.add_argument(
        "data",
        nargs="?",
        metavar="NAME|FOLDER",
        help=str(
            _(
                "a data set, a folder of photos, or where they lie: s3://bucket/photos/; without it the "
                "data sets are listed"
            )
        ),
    )
    parser.epilog = str(
        _(
            "Data is moved by commands of their own: olhar data push, olhar data pull, olhar data export; "
            "each has --help."
        )
    )
    data_check.add_flags(parser)
    add_flags(parser, _("how the data is read"), SOURCE)
    add_json(parser)
    parser.set_defaults(run_command=run)
    data_store.add_commands(commands)


def run(args: argparse.Namespace) -> int:
    """List the data sets, or describe and check one."""
    from olhar import datasets

    name = args.data
    if name is None:
        data_check.refuse_flags(args)
        if args.json:
            print_json(list(datasets.ALL_NAMES))
        else:
            print("\n".join(datasets.ALL_NAMES))
            print(
                _("Look into one with: olhar data NAME, or into your own with: olhar data FOLDER")
            )
        return 0
    if args.undo:
        return data_check.undo(name, args)
    with build_progress() as progress:
        source = datasets.open_source(SourceSettings(name, **collect(args, SOURCE)), progress)
    if isinstance(source, datasets.PhotoFolder) or data_check.wants_check(args):
        return data_check.run(source, args)
    # The record's sentences and class names are for programs, and so in English, with --json.
    with build_progress() as progress, using("en" if args.json else language()):
        for note in source.notes:
            progress.note(note)
        facts = datasets.describe_dataset(source, progress)
    if args.json:
        print_json(facts)
    else:
        data_check.print_facts(facts)
    return 0
