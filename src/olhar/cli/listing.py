"""`olhar list`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from olhar import i18n
from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.push import add_store
from olhar.i18n import _
from olhar.settings import Whole

if TYPE_CHECKING:
    from olhar.stores.versions import Listed

_PAGE = 100


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("what a store has: by name, the newest version first"))
    parser = commands.add_parser("list", help=text, description=text)
    add_store(parser)
    parser.add_argument("--name", metavar="NAME", help=str(_("only the versions of this name")))
    parser.add_argument(
        "--limit",
        default=str(_PAGE),
        metavar="N",
        help=str(_("versions on a page; default {page}; 0 shows all", page=_PAGE)),
    )
    parser.add_argument("--page", default="1", metavar="N", help=str(_("which page; default 1")))
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """List, and say on standard error where there is more."""
    limit = Whole(0).check(args.limit, "--limit")
    page = Whole(1).check(args.page, "--page")
    from olhar import registry

    skip = limit * (page - 1)
    found, count = registry.list_models(args.store, args.name, limit=limit, skip=skip)
    rows = [_row(listed) for listed in found]
    if args.json:
        print_json([_for_programs(row) for row in rows])
    else:
        for row in rows:
            print(_line(row))
    if skip + len(found) < count:
        text = _(
            "{shown} of {count} versions; go on with --page {next}, or see all with --limit 0",
            shown=len(found),
            count=count,
            next=page + 1,
        )
        print(text, file=sys.stderr)
    return 0


def _row(listed: Listed) -> dict[str, Any]:
    manifest = listed.manifest
    row = {
        "name": listed.name,
        "version": listed.version,
        "created": manifest.created if manifest else None,
        "size_bytes": manifest.size_bytes if manifest else None,
        "tags": list(listed.tags),
        "accuracy": manifest.facts.get("accuracy") if manifest else None,
    }
    return row if manifest else {**row, "error": listed.error}


def _for_programs(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "error": i18n.in_english(row["error"])} if "error" in row else row


def _line(row: dict[str, Any]) -> str:
    start = f"{row['name']}@{row['version']}"
    if "error" in row:
        return f"{start:<30}  {row['error']}"
    accuracy = (
        f"{i18n.number(100 * row['accuracy'], 1):>5} %"
        if row["accuracy"] is not None
        else "      -"
    )
    size = f"{i18n.number(row['size_bytes'] / 2**20, 1):>8} MB"
    return f"{start:<30}  {i18n.date(row['created'])}  {size}  {accuracy}  {' '.join(row['tags'])}".rstrip()
