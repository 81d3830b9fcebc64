"""`olhar data push`, `olhar data pull` and `olhar data export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar import api
from olhar.cli.options import collect, print_json
from olhar.cli.progress import build_progress
from olhar.data_settings import SOURCE
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.settings import Whole
from olhar.shown import quoted


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that only push, pull and export heed."""
    group = parser.add_argument_group(str(_("push, pull and export")))
    group.add_argument("--name", dest="called", metavar="NAME", help=str(_("what to call it")))
    group.add_argument(
        "--size",
        metavar="PIXELS",
        help=str(_("side of images that become arrays; default as they are, and 224 for photos")),
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help=str(_("the folder or file to make; default of pull: NAME-VERSION")),
    )
    group.add_argument(
        "--to",
        metavar="FORM",
        help=str(_("form to export to: folder, csv, parquet, arrow, npz, npy, zip or tar")),
    )


def refuse_flags(args: argparse.Namespace) -> None:
    """Refuse --to where nothing is exported.

    Raises:
        ConfigError: it was given.
    """
    if args.to is not None:
        raise ConfigError(
            _(
                "--to belongs to: olhar data export NAME|FOLDER --to FORM --out PATH; write export too"
            )
        )


def run(words: list[str], args: argparse.Namespace) -> int:
    """Push, pull or export as the words say: push DATA STORE, pull ADDRESS, export DATA."""
    if words[0] == "push" and len(words) == 3:
        return _push(words[1], words[2], args)
    if words[0] == "pull" and len(words) == 2:
        return _pull(words[1], args)
    if words[0] == "export" and len(words) == 2:
        return _export(words[1], args)
    refuse_flags(args)
    raise ConfigError(
        _(
            "'olhar data {words}' is not understood; allowed: olhar data push NAME|FOLDER STORE, "
            "olhar data pull ADDRESS, olhar data export NAME|FOLDER --to FORM --out PATH, "
            "olhar data NAME|FOLDER",
            words=" ".join(words),
        )
    )


def _size(args: argparse.Namespace) -> int | None:
    return None if args.size is None else Whole(1).check(args.size, "--size")


def _push(name: str, store: str, args: argparse.Namespace) -> int:
    size = _size(args)
    with build_progress() as progress:
        stored = api.push_data(
            name, store, args.called, size=size, progress=progress, **collect(args, SOURCE)
        )
    if args.json:
        print_json(stored.to_dict())
    else:
        print(_("Stored as {address}", address=stored.address))
        print(_("Next: olhar train --data {address}", address=quoted(stored.address)))
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


def _export(name: str, args: argparse.Namespace) -> int:
    size = _size(args)
    if args.to is None or args.out is None:
        raise ConfigError(
            _(
                "export needs a form and a place: olhar data export {name} --to FORM --out PATH; forms: "
                "folder, csv, parquet, arrow, npz, npy, zip, tar",
                name=name,
            )
        )
    with build_progress() as progress:
        done = api.export_data(
            name, args.to, args.out, size=size, progress=progress, **collect(args, SOURCE)
        )
    if args.json:
        print_json(done.to_dict())
    else:
        print(_("{count} images are in {path}", count=done.images, path=done.path))
        print(_("Next: olhar train --data {address}", address=quoted(done.path)))
    return 0
