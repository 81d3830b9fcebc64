"""`olhar predict`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from olhar import i18n
from olhar.bulk.settings import BULK
from olhar.cli.options import Subparsers, add_flags, add_invert, add_json, add_model, collect
from olhar.cli.patterns import expand_pattern, find_photos
from olhar.cli.progress import build_progress
from olhar.errors import ConfigError, DataError, OlharError
from olhar.i18n import _

if TYPE_CHECKING:
    from olhar.classifier import Classifier

_OF_MANY = {name: one for name, one in BULK.items() if name != "top"}


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("label photos"))
    parser = commands.add_parser("predict", help=text, description=text)
    add_model(parser)
    files = parser.add_argument(
        "files",
        nargs="+",
        metavar="SOURCE",
        help=str(
            _(
                "photos, patterns such as photos/*.jpg, folders of photos, or - for standard input; with "
                "--out also s3://bucket/prefix/, .tar shards, Parquet files or folders of them"
            )
        ),
    )
    files.required = False  # with --files-from; nargs="*" would take no files that follow a flag
    add_invert(parser)
    add_json(parser)
    add_flags(parser, _("what is said of a photo"), {"top": BULK["top"]})
    group = add_flags(parser, _("many photos"), _OF_MANY)
    group.add_argument(
        "--out",
        metavar="PATH",
        help=str(
            _(
                "write the rows to a .csv or .jsonl file, or to a .parquet folder of parts; killed and "
                "started again, the same command goes on"
            )
        ),
    )
    group.add_argument(
        "--files-from",
        metavar="LIST",
        help=str(_("a file that lists photos, one a line; - is standard input; needs --out")),
    )
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Label each photo: on standard output, or into a result."""
    if args.out is not None:
        return _write(args)
    for name in (*_OF_MANY, "files_from"):
        if getattr(args, name) is not None:
            raise ConfigError(
                _(
                    "--{flag} is for many photos, whose rows go to a file; give --out too, such as "
                    "--out results.csv",
                    flag=name.replace("_", "-"),
                )
            )
    if not args.files:
        raise ConfigError(_("no photos are named; give a file, a folder, a pattern, or -"))
    return _print(args)


def _write(args: argparse.Namespace) -> int:
    """Label many photos into a result, and say what it has."""
    from olhar.bulk.predicting import predict_many

    progress = build_progress()
    found = predict_many(
        args.model,
        *(photo for given in args.files or () for photo in _expanded(given)),
        out=args.out,
        files_from=args.files_from,
        invert=args.invert,
        progress=progress,
        **collect(args, BULK),
    )
    if args.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
        return 0
    print(
        _(
            "{path}: {rows} row(s), {new} of them new; {errors} photo(s) could not be read",
            path=found.out,
            rows=i18n.number(found.rows),
            new=i18n.number(found.new),
            errors=i18n.number(found.errors),
        )
    )
    return 0


def _expanded(given: str) -> list[str]:
    return [given] if "://" in given else expand_pattern(given)


def _print(args: argparse.Namespace) -> int:
    """Label each file; the bad ones are named, and make the exit status 2."""
    top_k = collect(args, BULK).get("top", BULK["top"].default)
    from olhar.registry import load

    classifier = load(args.model).reading(args.invert)
    failed, before = False, "["
    for given in args.files:
        for answer in _answer(classifier, given, top_k):
            if "error" in answer:
                failed = True
                print(_("error: {message}", message=answer["error"]), file=sys.stderr)
            if args.json:
                print(before + _in_list(_for_programs(answer)), end="")
                before = ","
            elif "error" not in answer:
                _show(classifier, answer)
    if args.json:
        print("[]" if before == "[" else "\n]")
    return 2 if failed else 0


def _in_list(answer: dict[str, Any]) -> str:
    """One answer as it stands in the list that is printed, so that the list is never held."""
    text = json.dumps([answer], indent=2, ensure_ascii=False)
    return text.removeprefix("[").removesuffix("\n]")


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
