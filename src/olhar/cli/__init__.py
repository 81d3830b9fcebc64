"""The command line: parse, call, print; no logic.

A result goes to standard output; progress, notes and errors go to standard error. Exit status: 0
done, 1 failed, 2 wrong usage or input, 130 interrupted, 143 and 129 stopped by SIGTERM and SIGHUP.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from olhar._version import __version__
from olhar.cli.group import run_in_group
from olhar.cli.signals import Stopped, heed_signals
from olhar.cli.streams import steady_streams
from olhar.cli.usage import (
    GIVEN,
    Parser,
    expand_home,
    translate_values,
    translated_usage,
    without_secrets,
)
from olhar.errors import OlharError, unknown_name
from olhar.i18n import LANGUAGES, _, normalise_language, set_language

# In the order of the help; a module each, imported where its command is given or all are asked for.
_COMMANDS = (
    *("demo", "data", "networks", "train", "resume", "evaluate", "predict", "explain"),
    *("studio", "compare", "board", "card", "sweep", "reproduce"),
    *("serve", "verify", "export", "push", "pull", "list", "tag", "rm"),
    *("deploy", "undeploy"),
    *("pack", "unpack", "doctor"),
)
_MODULES = {"list": "listing"}  # Python has a list
# Of these the answer is all there is; others leave files, or change something elsewhere.
_ANSWERS = frozenset({"networks", "evaluate", "predict", "compare", "list", "verify", "doctor"})
_SERVERS = frozenset({"serve", "board"})  # they end in their own way


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of the command that `words` begin with, or of the whole command line."""
    parser = Parser(
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
    for command in words[:1] if words[:1] and words[0] in _COMMANDS else _COMMANDS:
        module = importlib.import_module(f"olhar.cli.{_MODULES.get(command, command)}")
        module.add_command(commands)
    translate_values(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    GIVEN[:] = words
    with steady_streams() as has_output:
        return _say_errors(words, has_output=has_output)


def _run(words: list[str], *, has_output: bool) -> int:
    words = _choose_language(words)
    with translated_usage():
        parser = build_parser(words)
        args = parser.parse_args(words)
        if args.command is None:
            parser.print_help()
            return 0
    if not has_output and args.command in _ANSWERS:
        print(
            _("error: standard output is closed, and the answer has nowhere to go"), file=sys.stderr
        )
        return 1
    expand_home(args)
    with heed_signals() if args.command not in _SERVERS else contextlib.nullcontext():
        try:
            status: int = args.run_command(args)
        finally:
            _tell_cache()
    sys.stdout.flush()
    return status


def _tell_cache() -> None:
    """Say where the cache is, if it is not where it should be."""
    place = sys.modules.get("olhar.cache_place")  # commands without data do not load it
    for folder in place.STANDING_IN if place else ():
        print(
            _(
                "note: the usual place of the cache cannot be written; '{path}' was used instead, and may "
                "be gone tomorrow. To choose a place: OLHAR_CACHE=FOLDER",
                path=folder,
            ),
            file=sys.stderr,
        )


def _say_errors(words: list[str], *, has_output: bool) -> int:
    """Run one command; what ends it is said in words."""
    try:
        return _run(words, has_output=has_output)
    except OlharError as error:
        told = OlharError(without_secrets(str(error), GIVEN))
        print(_("error: {message}", message=told), file=sys.stderr)
        return error.exit_status
    except MemoryError:
        print(
            _(
                "error: there is too little memory; close other programs, use smaller photos or a "
                "smaller --size, or give this process more (the limit of the container, ulimit -v)"
            ),
            file=sys.stderr,
        )
        return 1
    except Stopped as stopped:
        print(_("stopped by {signal}", signal=stopped.name), file=sys.stderr)
        return 128 + stopped.number
    except KeyboardInterrupt:
        print(_("interrupted"), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; keep Python from complaining about it at exit.
        with contextlib.suppress(OSError, ValueError):
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
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed: None
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
