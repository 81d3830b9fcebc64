"""`olhar predict`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from olhar import i18n
from olhar.cli.options import Subparsers, add_invert, add_json, add_model, print_json
from olhar.cli.patterns import find_photos
from olhar.errors import DataError, OlharError
from olhar.i18n import _
from olhar.settings import Whole

if TYPE_CHECKING:
    from olhar.classifier import Classifier


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("label photos"))
    parser = commands.add_parser("predict", help=text, description=text)
    add_model(parser)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=str(
            _("photos, patterns such as photos/*.jpg, folders of photos, or - for standard input")
        ),
    )
    parser.add_argument(
        "--top", default="3", metavar="K", help=str(_("how many classes to show; default 3"))
    )
    add_invert(parser)
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Label each file; the bad ones are named, and make the exit status 2."""
    top_k = Whole(1).check(args.top, "--top")
    from olhar.registry import load

    classifier = load(args.model).reading(args.invert)
    answers: list[dict[str, Any]] = []
    for given in args.files:
        for answer in _answer(classifier, given, top_k):
            answers.append(answer)
            if "error" in answer:
                print(_("error: {message}", message=answer["error"]), file=sys.stderr)
            elif not args.json:
                _show(classifier, answer)
    if args.json:
        print_json([_for_programs(answer) for answer in answers])
    return 2 if any("error" in answer for answer in answers) else 0


def _answer(classifier: Classifier, given: str, top_k: int) -> Iterator[dict[str, Any]]:
    """What is said of a file, of each photo in a folder, or of what cannot be read."""
    try:
        files = find_photos(given)
    except OlharError as error:
        yield {"file": given, "error": error}
        return
    for file in files:
        try:
            source = _read_input() if file == "-" else file
            yield classifier.predict(source, top_k=top_k, name=file).to_dict()
        except OlharError as error:
            yield {"file": file, "error": error}


def _read_input() -> bytes:
    if sys.stdin is None:
        raise DataError(_("standard input is closed; send a photo there, or name a file"))
    return sys.stdin.buffer.read()


def _for_programs(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with its error, where it has one, in the one language of programs."""
    if "error" not in answer:
        return answer
    return {**answer, "error": i18n.in_english(answer["error"])}


def _show(classifier: Classifier, answer: dict[str, Any]) -> None:
    name = classifier.shown_name(answer["label"])
    doubt = str("" if answer["sure"] else _("  (not sure)"))
    if answer.get("outlier"):
        doubt = str(_("  (perhaps none of its classes)"))
    if answer.get("inverted"):
        doubt += str(_("  (read inverted: bright as dark; --invert no reads it as it is)"))
    print(f"{answer['file']}: {name} {i18n.number(100 * answer['probability'], 1)} %{doubt}")
