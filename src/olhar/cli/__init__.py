"""The command line: parse, call, print; no logic.

A result goes to standard output; progress, notes and errors go to standard error. Exit status: 0
done, 1 failed, 2 wrong usage or input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from olhar._version import __version__
from olhar.cli import (
    board,
    card,
    compare,
    data,
    demo,
    deploy,
    doctor,
    evaluate,
    explain,
    export,
    listing,
    networks,
    pack,
    predict,
    pull,
    push,
    reproduce,
    resume,
    rm,
    serve,
    studio,
    sweep,
    tag,
    train,
    undeploy,
    unpack,
    verify,
)
from olhar.cli.group import run_in_group
from olhar.cli.usage import translate_values, translated_usage
from olhar.errors import OlharError, unknown_name
from olhar.i18n import LANGUAGES, _, normalise_language, set_language

_COMMANDS = (
    *(demo, data, networks, train, resume, evaluate, predict, explain),
    *(studio, compare, board, card, sweep, reproduce),
    *(serve, verify, export, push, pull, listing, tag, rm),
    *(deploy, undeploy),
    *(pack, unpack, doctor),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="olhar",
        description=str(
            _("From a data set to an image classifier that is trained, measured and stored.")
        ),
        epilog=str(_("Start with: olhar demo. Help on a command: olhar COMMAND --help")),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"olhar {__version__}",
        help=str(_("show program's version number and exit")),
    )
    # Taken out before parsing, wherever it stands (_choose_language); named here for the help.
    parser.add_argument("--lang", metavar="LANG", help=str(_("language of texts: en or pt_BR")))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title=str(_("commands")))
    for module in _COMMANDS:
        module.add_command(commands)
    translate_values(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        words = _choose_language(words)
        with translated_usage():
            parser = build_parser()
            args = parser.parse_args(words)
            if args.command is None:
                parser.print_help()
                return 0
        status: int = args.run_command(args)
        sys.stdout.flush()
        return status
    except OlharError as error:
        print(_("error: {message}", message=error), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(_("interrupted"), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:  # every file is written by code that explains its errors
            raise
        print(_("error: standard output leads to a disk that is full"), file=sys.stderr)
        return 1


def run_and_leave() -> NoReturn:
    """Run one command and leave the process at once.

    Taking apart what torch has loaded takes Python a second or more, for nothing.
    """
    try:
        status = run_in_group(main)
    except SystemExit as leaving:  # argparse's, after --help or wrong usage
        status = leaving.code if isinstance(leaving.code, int) else 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _choose_language(words: Sequence[str]) -> list[str]:
    """Take `--lang` from the words, before the texts of the parser itself are made."""
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            return [*rest, word, *left]
        flag, given, tag = word.partition("=")
        if flag != "--lang":
            rest.append(word)
            continue
        tag = tag if given else next(left, "")
        if not tag:
            return [*rest, flag, *left]  # argparse says that its value is missing
        if normalise_language(tag) is None:
            raise unknown_name(_("language"), tag, LANGUAGES)
        set_language(tag)
    return rest
