"""`olhar card`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.card.details import DETAILS
from olhar.cli.options import Subparsers, add_json, print_json
from olhar.errors import ConfigError
from olhar.i18n import _, in_english
from olhar.shown import quoted


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("write the model card of a run, or check it"))
    parser = commands.add_parser("card", help=text, description=text)
    parser.add_argument("run", type=Path, metavar="RUN", help=str(_("a run folder")))
    parser.add_argument(
        "--check",
        action="store_true",
        help=str(_("write nothing; name all that does not match the run, and exit with 1")),
    )
    add_json(parser)
    group = parser.add_argument_group(
        str(_("what only you know")),
        str(_("Kept in RUN/card.toml; an empty text takes an entry away.")),
    )
    for key, meaning in DETAILS.items():
        flag = "--" + key.replace("_", "-")
        group.add_argument(flag, dest=key, metavar="TEXT", help=str(meaning))
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Write the cards, or check them."""
    from olhar.card import check_card, write_card
    from olhar.run import RunFolder

    folder = RunFolder(args.run)
    details = {key: getattr(args, key) for key in DETAILS if getattr(args, key) is not None}
    if args.check:
        if details:
            raise ConfigError(_("--check writes nothing; leave it out to write the card"))
        differences = check_card(folder)
        if args.json:
            shown = [{"message": in_english(text), **_values(text.values)} for text in differences]
            print_json({"run": str(args.run), "ok": not differences, "differences": shown})
        else:
            for difference in differences:
                print(difference)
            print(
                _advice(args.run) if differences else _("Everything in the card matches the run.")
            )
        return 1 if differences else 0
    written = write_card(folder, details=details)
    if args.json:
        print_json({"run": str(args.run), "written": [str(path) for path in written]})
    else:
        print(_("Written: {files}", files=", ".join(map(str, written))))
    return 0


def _values(values: dict[str, object]) -> dict[str, object]:
    return {key: value if isinstance(value, int) else str(value) for key, value in values.items()}


def _advice(path: Path) -> object:
    return _(
        "If the files of the run are right, write the card again: olhar card {path}",
        path=quoted(path),
    )
