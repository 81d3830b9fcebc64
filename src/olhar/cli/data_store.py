"""`olhar data push`, `olhar data pull` and `olhar data export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from olhar import api
from olhar.cli.options import Subparsers, add_flags, add_json, collect, print_json
from olhar.cli.progress import build_progress
from olhar.data_settings import SOURCE
from olhar.i18n import Text, _
from olhar.settings import Whole
from olhar.shown import quoted


def add_commands(commands: Subparsers) -> None:
    """Add the three commands, each with a help of its own; `olhar data` says that they are there."""
    text = _("store a data set or a folder of photos: in a folder, a bucket or a database")
    push = _add(commands, "push", text, run_push)
    push.add_argument("data", metavar="NAME|FOLDER", help=str(_DATA))
    push.add_argument("store", metavar="STORE", help=str(_("such as s3://bucket/data")))
    push.add_argument("--name", metavar="NAME", help=str(_("what to call it; default its own")))
    _add_size(push)
    add_flags(push, _("how the data is read"), SOURCE)

    pull = _add(commands, "pull", _("bring data from a store, each file checked"), run_pull)
    pull.add_argument("address", metavar="ADDRESS", help=str(_("such as s3://bucket/data/pets@3")))
    pull.add_argument(
        "--out", type=Path, metavar="FOLDER", help=str(_("folder to make; default NAME-VERSION"))
    )

    text = _("write data in a form that other programs read")
    export = _add(commands, "export", text, run_export)
    export.add_argument("data", metavar="NAME|FOLDER", help=str(_DATA))
    export.add_argument(
        "--format",
        required=True,
        metavar="FORMAT",
        help=str(_("folder, csv, parquet, arrow, npz, npy, zip or tar")),
    )
    export.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help=str(_("folder or file to make"))
    )
    _add_size(export)
    add_flags(export, _("how the data is read"), SOURCE)


_DATA = _("a data set by name, or a path; a folder called push, pull or export is ./push")


def _add(
    commands: Subparsers, word: str, text: Text, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(f"data {word}", description=str(text))
    add_json(parser)
    parser.set_defaults(run_command=run)
    return parser


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        metavar="PIXELS",
        help=str(_("side of images that become arrays; default as they are, and 224 for photos")),
    )


def _size(args: argparse.Namespace) -> int | None:
    return None if args.size is None else Whole(1).check(args.size, "--size")


def run_push(args: argparse.Namespace) -> int:
    """Store the data, and say how to train on it."""
    with build_progress() as progress:
        stored = api.push_data(
            args.data,
            args.store,
            args.name,
            size=_size(args),
            progress=progress,
            **collect(args, SOURCE),
        )
    if args.json:
        print_json(stored.to_dict())
    else:
        print(_("Stored as {address}", address=stored.address))
        print(_("Next: olhar train --data {address}", address=quoted(stored.address)))
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Bring stored data here."""
    from olhar.datasets.stored import pull_dataset

    with build_progress() as progress:
        stored, folder = pull_dataset(args.address, args.out, progress)
    if args.json:
        print_json({**stored.to_dict(), "path": str(folder)})
    else:
        print(_("{address} is in {path}", address=stored.address, path=folder))
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write the data in another form."""
    with build_progress() as progress:
        done = api.export_data(
            args.data,
            args.format,
            args.out,
            size=_size(args),
            progress=progress,
            **collect(args, SOURCE),
        )
    if args.json:
        print_json(done.to_dict())
    else:
        print(_("{count} images are in {path}", count=done.images, path=done.path))
        print(_("Next: olhar train --data {address}", address=quoted(done.path)))
    return 0
