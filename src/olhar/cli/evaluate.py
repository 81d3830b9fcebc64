"""`olhar evaluate`."""

from __future__ import annotations

import argparse

from olhar.cli.options import (
    Subparsers,
    add_flags,
    add_invert,
    add_json,
    add_model,
    collect,
    print_json,
)
from olhar.cli.progress import build_progress
from olhar.data_settings import SOURCE
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("measure a model on a split of a data set"))
    parser = commands.add_parser("evaluate", help=text, description=text)
    add_model(parser)
    parser.add_argument(
        "--data",
        metavar="DATA",
        help=str(
            _(
                "a data set, a folder of photos, or where they lie: s3://bucket/photos/; default the one "
                "it was trained on"
            )
        ),
    )
    parser.add_argument(
        "--split",
        default="test",
        metavar="SPLIT",
        help=str(_("train, val or test, as the model's own run divided the data; or all")),
    )
    parser.add_argument(
        "--keep-seen",
        action="store_true",
        help=str(
            _(
                "measure on images too that the model has seen in training; by default they are left out, "
                "and counted"
            )
        ),
    )
    add_invert(parser)
    add_flags(parser, _("how the data is read"), SOURCE)
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Measure, and print the report."""
    from olhar import pipeline

    with build_progress() as progress:
        report = pipeline.evaluate(
            args.model,
            args.data,
            split=args.split,
            keep_seen=args.keep_seen,
            invert=args.invert,
            progress=progress,
            **collect(args, SOURCE),
        )
    if args.json:
        print_json(report.to_dict())
    else:
        print(report.summary())
    return 0
