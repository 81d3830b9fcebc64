"""`olhar predict`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from olhar.cli.options import Subparsers, add_json, print_json, whole_number
from olhar.errors import ConfigError, DataError, OlharError, explain_os_errors
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("label photos"))
    parser = commands.add_parser("predict", help=text, description=text)
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help=str(_("a run folder or a model/ folder"))
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=str(_("photos, folders of photos, or - for standard input")),
    )
    parser.add_argument(
        "--top", default="3", metavar="K", help=str(_("how many classes to show; default 3"))
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Label each file; the bad ones are named, and make the exit status 2."""
    top_k = whole_number("--top", args.top) or 0
    if top_k < 1:
        raise ConfigError(_("--top is '{given}'; allowed: 1 or more", given=args.top))
    from olhar.classifier import load_classifier

    classifier = load_classifier(args.model)
    answers: list[dict[str, Any]] = []
    failed = False
    for file in _expand(args.files):
        try:
            source = sys.stdin.buffer.read() if file == "-" else file
            prediction = classifier.predict(source, top_k=top_k, name=file)
        except OlharError as error:
            failed = True
            answers.append({"file": file, "error": str(error)})
            print(_("error: {message}", message=error), file=sys.stderr)
            continue
        answers.append(prediction.to_dict())
        if not args.json:
            doubt = "" if prediction.sure else str(_("  (not sure)"))
            print(f"{file}: {prediction.shown_label} {100 * prediction.probability:.1f} %{doubt}")
    if args.json:
        print_json(answers)
    return 2 if failed else 0


def _is_photo(path: Path) -> bool:
    from olhar.images import is_image_name

    return is_image_name(path) and not path.name.startswith(".") and path.is_file()


def _expand(files: list[str]) -> Iterator[str]:
    """Files as given; folders walked in sorted order."""
    for file in files:
        folder = Path(file)
        with explain_os_errors(file):
            if file == "-" or not folder.is_dir():
                yield file
                continue
            found = [p for p in sorted(folder.rglob("*")) if _is_photo(p)]
        if not found:
            raise DataError(_("there are no images in folder '{path}'", path=file))
        yield from map(str, found)
