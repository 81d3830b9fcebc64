"""`olhar push`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _, number
from olhar.shown import quoted

if TYPE_CHECKING:
    from olhar.registry import Move


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("store a model as the next version of a name: in a folder, S3 or MongoDB"))
    parser = commands.add_parser("push", help=text, description=text)
    parser.add_argument(
        "model", metavar="RUN", help=str(_("a run folder, a model/ folder or a store address"))
    )
    add_store(parser)
    parser.add_argument(
        "--name", metavar="NAME", help=str(_("what to call it; default the run folder's name"))
    )
    parser.add_argument(
        "--photos",
        action="store_true",
        help=str(_("push the card's pictures that show images of the data set, too")),
    )
    parser.add_argument(
        "--with",
        dest="formats",
        metavar="FORMATS",
        help=str(
            _(
                "exports to push along, divided by commas: web (a page that runs anywhere), c (for boards)"
            )
        ),
    )
    add_dry_run(parser)
    add_json(parser)
    parser.set_defaults(run_command=run)


def add_store(parser: argparse.ArgumentParser) -> None:
    """The argument STORE."""
    parser.add_argument(
        "store",
        metavar="STORE",
        help=str(_("a folder, s3://bucket/prefix or mongodb://host/database")),
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`."""
    parser.add_argument(
        "--dry-run", action="store_true", help=str(_("only say what would be done"))
    )


def run(args: argparse.Namespace) -> int:
    """Push, and print the version."""
    from olhar import registry

    with tempfile.TemporaryDirectory(prefix="olhar-", ignore_cleanup_errors=True) as folder:
        extra = _export_along(args, Path(folder))
        if args.dry_run:
            name, moves = registry.plan_push(
                args.model, args.store, args.name, photos=args.photos, extra=extra
            )
            print_moves(name, moves, as_json=args.json)
            return 0
        with build_progress() as progress:
            version = registry.push(
                args.model,
                args.store,
                args.name,
                photos=args.photos,
                extra=extra,
                progress=progress,
            )
    if args.json:
        print_json(version.to_dict())
    else:
        print(_("Stored as {address}", address=version.address))
        print(_("Next: olhar predict {address} PHOTO...", address=quoted(version.address)))
    return 0


def _export_along(args: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """The files of `--with`."""
    if not args.formats:
        return {}
    from olhar.pipeline.carrying import export_along

    with build_progress() as progress:
        formats = [one.strip() for one in args.formats.split(",")]
        return export_along(args.model, formats, folder, progress)


def print_moves(name: str, moves: list[Move], *, as_json: bool) -> None:
    """What a dry run found."""
    if as_json:
        files = [
            {"file": move.file, "size_bytes": move.size_bytes, "there": move.is_there}
            for move in moves
        ]
        print_json({"name": name, "files": files})
        return
    for move in moves:
        note = _("is there") if move.is_there else _("would be moved")
        print(f"{number(move.size_bytes):>12}  {move.file}  ({note})")
    size_bytes = sum(move.size_bytes for move in moves if not move.is_there)
    print(_("{name}: {size} MB would be moved", name=name, size=number(size_bytes / 2**20, 1)))
