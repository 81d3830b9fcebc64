"""`olhar unpack`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _

if TYPE_CHECKING:
    from olhar.classroom import Unpacked


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("lay out the data sets and weights of a pack, each file checked"))
    parser = commands.add_parser("unpack", help=text, description=text)
    parser.add_argument(
        "archive", metavar="ARCHIVE", help=str(_("what olhar pack made, or its unpacked folder"))
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help=str(_("where; default where OLHAR_DATA points, else olhar-data")),
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Unpack, and say how to use it."""
    from olhar.classroom import unpack

    with build_progress() as progress:
        found = unpack(args.archive, args.out, progress=progress)
    if args.json:
        print_json(found.to_dict())
    else:
        _show(found)
    return 0


def _show(found: Unpacked) -> None:
    for unit in found.laid:
        print(_("{path}: unpacked", path=found.folder / unit))
    for unit in found.there:
        print(_("{path}: was there already", path=found.folder / unit))
    folder = found.folder.absolute()
    for name, kind in found.manifest.data.items():
        data = name if kind == "named" else str(found.folder / name)
        print(_("Next: olhar train --data {data}", data=data))
    if os.environ.get("OLHAR_DATA") and Path(os.environ["OLHAR_DATA"]).absolute() == folder:
        return
    # Named sets were decoded into the cache; weights, and a cache that was emptied, need this.
    if os.name == "nt":
        print(_('To keep them in sight: setx OLHAR_DATA "{path}"', path=folder))
    else:
        print(_('To keep them in sight: export OLHAR_DATA="{path}"', path=folder))
