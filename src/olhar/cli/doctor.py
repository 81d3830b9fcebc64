"""`olhar doctor`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _, number

if TYPE_CHECKING:
    from olhar.classroom import Checkup

_GROUPS = {
    "installed": _("What is installed"),
    "works": _("What works"),
    "speed": _("How fast this computer is"),
}
_STATUS = {"ok": _("ok"), "note": _("note"), "problem": _("PROBLEM")}


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("what is installed, what works, how fast this computer is, and what to mend"))
    parser = commands.add_parser("doctor", help=text, description=text)
    parser.add_argument(
        "--extras",
        default="",
        metavar="NAMES",
        help=str(_("look at these extras only, and miss them, such as train,serve; default all")),
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help=str(_("remove leftovers and damaged entries of the cache; install what is missing")),
    )
    parser.add_argument("--no-speed", action="store_true", help=str(_("measure no speed")))
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Look, mend where asked and look again; exit status 1 where a problem is left."""
    from olhar.classroom import examine
    from olhar.classroom.leftovers import remove_leftovers
    from olhar.classroom.pip import run_pip

    extras = [name.strip() for name in args.extras.split(",") if name.strip()]
    with build_progress() as progress:
        found = examine(extras, speed=not (args.no_speed or args.fix), progress=progress)
        if args.fix:
            if found.leftovers:
                freed = remove_leftovers(found.leftovers)
                text = _("removed {count} leftovers, {size} MB", count=len(found.leftovers),
                         size=number(freed / 10**6, 1))  # fmt: skip
                print(text, file=sys.stderr)
            if found.missing:
                names = ", ".join(found.missing)
                print(_("installing {names}", names=names), file=sys.stderr, flush=True)
                run_pip(["install", *found.missing], names)
            found = examine(extras, speed=not args.no_speed, progress=progress)
    if args.json:
        print_json(found.to_dict())
    else:
        _show(found)
    return 0 if found.ok else 1


def _show(found: Checkup) -> None:
    width = max(len(str(text)) for text in _STATUS.values())
    group = ""
    for check in found.checks:
        if check.group != group:
            group = check.group
            print(f"{_GROUPS[group]}:")
        print(f"  {_STATUS[check.status]!s:<{width}}  {check.text}")
        if check.step is not None:
            print(f"  {'':<{width}}    → {check.step}")
    print(
        _("No problems.")
        if found.ok
        else _("There are problems: do what the arrows say, or olhar doctor --fix")
    )
