"""`olhar data push` and `olhar data pull`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import print_json, whole_number
from olhar.cli.progress import build_progress
from olhar.errors import ConfigError
from olhar.i18n import _


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that only push and pull heed."""
    group = parser.add_argument_group(str(_("push and pull")))
    group.add_argument("--name", dest="called", metavar="NAME", help=str(_("what to call it")))
    group.add_argument(
        "--size",
        metavar="PIXELS",
        help=str(_("side of the stored images; default as they are, and 224 for photos")),
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=str(_("the folder to make; default NAME-VERSION")),
    )


def run(words: list[str], args: argparse.Namespace) -> int:
    """Push or pull as the words say: push NAME|FOLDER STORE, pull ADDRESS."""
    if words[0] == "push" and len(words) == 3:
        return _push(words[1], words[2], args)
    if words[0] == "pull" and len(words) == 2:
        return _pull(words[1], args)
    raise ConfigError(
        _(
            "'olhar data {words}' is not understood; allowed: olhar data push NAME|FOLDER STORE, "
            "olhar data pull ADDRESS, olhar data NAME|FOLDER",
            words=" ".join(words),
        )
    )


def _push(name: str, store: str, args: argparse.Namespace) -> int:
    size = whole_number("--size", args.size)
    if size is not None and size < 1:
        raise ConfigError(_("--size is '{given}'; allowed: 1 or more", given=args.size))
    from olhar.datasets import open_source
    from olhar.datasets.arrays import as_arrays
    from olhar.datasets.stored import push_dataset
    from olhar.stores.names import check_name

    called = args.called or Path(name).absolute().name
    check_name(called, _("the name of a data set (choose another with --name)"))
    source = open_source(name)
    with build_progress() as progress:
        stored = push_dataset(as_arrays(source, size, progress), store, called, progress)
    if args.json:
        print_json(stored.to_dict())
    else:
        print(_("Stored as {address}", address=stored.address))
        print(_("Next: olhar train --data {address}", address=stored.address))
    return 0


def _pull(address: str, args: argparse.Namespace) -> int:
    from olhar.datasets.stored import pull_dataset

    with build_progress() as progress:
        stored, folder = pull_dataset(address, args.out, progress)
    if args.json:
        print_json({**stored.to_dict(), "path": str(folder)})
    else:
        print(_("{address} is in {path}", address=stored.address, path=folder))
    return 0
