"""`olhar reproduce`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import (
    Subparsers,
    add_json,
    add_recipe_flags,
    collect_settings,
    print_json,
)
from olhar.cli.progress import build_progress
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.settings import Whole


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("the published experiments, ours beside theirs"))
    parser = commands.add_parser("reproduce", help=text, description=text)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=str(_("which; default all of them"))
    )
    parser.add_argument(
        "--seeds", default="3", metavar="N", help=str(_("trainings of each case; default 3"))
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/reproduce"),
        metavar="FOLDER",
        help=str(_("folder of the run folders; those that are there are used again")),
    )
    add_json(parser)
    add_recipe_flags(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Train what is not there yet, and print the table as Markdown or JSON."""
    seeds = Whole(1).check(args.seeds, "--seeds")
    settings = collect_settings(args)
    for name in ("seed", "recipe"):
        if name in settings or (name == "recipe" and args.recipe is not None):
            raise ConfigError(_("--{name} has no place here: each case has its own", name=name))
    from olhar.reproduce import as_markdown, find_cases, reproduce

    cases = find_cases(args.cases)
    with build_progress() as progress:
        outcomes = reproduce(cases, seeds=seeds, out=args.out, progress=progress, **settings)
    if args.json:
        print_json([outcome.to_dict() for outcome in outcomes])
    else:
        print(as_markdown(outcomes), end="")
    return 0
