"""`olhar verify`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, add_model, print_json
from olhar.cli.patterns import find_photos
from olhar.cli.progress import build_progress
from olhar.errors import ConfigError
from olhar.i18n import _, localise, number

if TYPE_CHECKING:
    from olhar.verify import Link, Verification

_STATUS = {
    "ok": _("ok"),
    "differs": _("DIFFERS"),
    "failed": _("FAILED"),
    "skipped": _("skipped"),
    "absent": _("not there"),
}


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("prove that training network, model files, command line and server agree"))
    parser = commands.add_parser("verify", help=text, description=text)
    add_model(parser)
    parser.add_argument(
        "photos",
        nargs="*",
        metavar="PHOTO",
        help=str(
            _(
                "photos, patterns or folders to send through as well as the model's own golden inputs"
            )
        ),
    )
    parser.add_argument(
        "--against",
        metavar="URL",
        help=str(_("a server that is running, instead of one that is started for the purpose")),
    )
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help=str(_("the environment variable that holds the token of this server")),
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Verify; exit status 1 where anything differs."""
    token = _token(args)
    from olhar.verify import verify_model

    with build_progress() as progress:
        photos = [photo for given in args.photos for photo in find_photos(given)]
        found = verify_model(
            args.model, photos, against=args.against, token=token, progress=progress
        )
    if args.json:
        print_json(found.to_dict())
    else:
        _show(found)
    return 0 if found.ok else 1


def _token(args: argparse.Namespace) -> str | None:
    if args.token_env is None:
        return None
    if not args.against:
        raise ConfigError(_("--token-env is for --against URL; the server started here has none"))
    token = os.environ.get(args.token_env)
    if not token:
        raise ConfigError(
            _("--token-env {name}: there is no such environment variable, or it is empty",
              name=args.token_env)
        )  # fmt: skip
    return token


def _show(found: Verification) -> None:
    head = (_("link"), _("compared with"), _("inputs"), _("largest difference"), "")
    rows = [tuple(map(str, head)), *(_row(link) for link in found.links)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, against, inputs, largest, status in rows:
        print(
            f"{name:<{widths[0]}}  {against:<{widths[1]}}  {inputs:>{widths[2]}}  "
            f"{largest:>{widths[3]}}  {status}"
        )
    if found.broken is None:
        whole = all(link.status == "ok" for link in found.links)
        print(
            _("All agree: every label is the same, every probability within 0.0001.")
            if whole
            else _("All that could be tried agree: the same labels, probabilities within 0.0001.")
        )
        return
    print(_explain(found.broken))
    cause = found.cause()
    if cause:
        print(cause)


def _row(link: Link) -> tuple[str, ...]:
    largest = "" if link.largest is None else localise(f"{link.largest:.1e}")
    inputs = str(link.inputs) if link.inputs else ""
    status = str(_STATUS[link.status])
    note = f"{status}: {link.note}" if str(link.note) else status
    return link.name, link.against, inputs, largest, note


def _explain(link: Link) -> object:
    if link.difference is None:
        return _("The chain breaks at {link}: {note}", link=link.name, note=link.note)
    return _(
        "The chain breaks at {link}: of {input}, class '{class_name}', it says {found}, label "
        "'{found_label}'; {against} says {expected}, label '{expected_label}'.",
        link=link.name,
        against=link.against,
        input=link.difference.input,
        class_name=link.difference.class_name,
        found=number(link.difference.found, 6),
        expected=number(link.difference.expected, 6),
        found_label=link.difference.found_label,
        expected_label=link.difference.expected_label,
    )
