"""argparse's own words, and the names it gives to values, in the language in force.

Does not know: any command. argparse looks its texts up by gettext, in a catalogue that Python does
not ship; here they come from olhar's. What is read by position or by programs (flags, names of
commands, choices, exit statuses) stays as it is.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from olhar.i18n import Text, _
from olhar.shown import hide_secrets, presentable_sentence

# Named here so that the catalogue has them; the values after % are argparse's.
_WORDS = (
    *(_("usage: "), _("positional arguments"), _("options")),
    _("show this help message and exit"),
    _("show program's version number and exit"),
    _("%(prog)s: error: %(message)s\n"),
    _("argument %(argument_name)s: %(message)s"),
    _("the following arguments are required: %s"),
    _("one of the arguments %s is required"),
    _("unrecognized arguments: %s"),
    *(_("expected one argument"), _("expected at most one argument")),
    *(_("expected at least one argument"), _("expected %s argument"), _("expected %s arguments")),
    _("not allowed with argument %s"),
    _("ignored explicit argument %r"),
    _("ambiguous option: %(option)s could match %(matches)s"),
    _("invalid %(type)s value: %(value)r"),
    _("invalid choice: %(value)r (choose from %(choices)s)"),
    _("invalid choice: %(value)r, maybe you meant %(suggestion)r? (choose from %(choices)s)"),
    _("unknown parser %(parser_name)r (choices: %(choices)s)"),
)

# What a value is called in usage and help; parts of NAME=VALUE and SHARE|COUNT are looked up alone.
_VALUES = {
    name.literal: name
    for name in (
        *(_("ADDRESS"), _("ARCHIVE"), _("CASE"), _("COLUMN"), _("COMMAND"), _("COUNT")),
        *(_("COUNTRY"), _("DATA"), _("DEVICE"), _("ENDING"), _("FILE"), _("FOLDER")),
        *(_("FORMAT"), _("KEY"), _("KINDS"), _("LANG"), _("MINUTES")),
        *(_("MODE"), _("MODEL"), _("NAME"), _("NAMES"), _("ORIGIN")),
        *(_("OUT"), _("PATH"), _("PHOTO"), _("PIXELS"), _("PORT")),
        *(_("REGION"), _("RUN"), _("SECONDS"), _("SHARE")),
        *(_("SPLIT"), _("STORE"), _("TAG"), _("TEXT"), _("TYPE"), _("VALUE")),
        *(_("VALUES"), _("VERSIONS")),
    )
}


@contextmanager
def translated_usage() -> Iterator[None]:
    """Inside the block argparse speaks the language in force; other programs' argparse is left alone."""
    module: Any = argparse
    before = module._, module.ngettext
    module._, module.ngettext = _word, _plural
    try:
        yield
    finally:
        module._, module.ngettext = before


class Parser(argparse.ArgumentParser):
    """A parser that knows commands of two words, and whose complaints hold no secret of an address."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; `data push` is a command, though `data` is one too."""
        words = list(args or ())
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                command = " ".join(words[:2])
                words = [command, *words[2:]] if command in action.choices else words
        return super().parse_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, and end with status 2."""
        super().error(without_secrets(message, GIVEN))


GIVEN: list[str] = []  # the words of the command line


def without_secrets(message: str, words: Iterable[str]) -> str:
    """A message in which no word of the command line stands that holds a secret."""
    for word in sorted(words, key=len, reverse=True):
        for part in (word, word.partition("=")[2]):
            shown = hide_secrets(part)
            if shown != part:
                for form in (repr(part)[1:-1], str(Path(part)), part):
                    message = message.replace(form, shown)
    return presentable_sentence(message)


def expand_home(args: argparse.Namespace) -> None:
    """Put the user's folder for ~ where the shell has not: --run=~/cats, and anything on Windows."""
    for name, value in vars(args).items():
        if isinstance(value, list):
            setattr(args, name, [_expanded(one) for one in value])
        else:
            setattr(args, name, _expanded(value))


def _expanded(value: Any) -> Any:
    if not isinstance(value, str | Path) or not re.match(r"~[\w.-]*(?:[/\\]|$)", str(value)):
        return value
    with suppress(OSError, RuntimeError):  # nobody of that name, or a home that is not known
        if not os.path.lexists(value):
            return type(value)(Path(value).expanduser())
    return value


def _word(text: str | None) -> str | None:
    return text and str(Text(text))  # argparse looks up a description of None, too


def _plural(one: str, many: str, count: int) -> str:
    return str(Text(one if count == 1 else many))


def translate_values(parser: argparse.ArgumentParser) -> None:
    """Name the values of all flags, of this parser and of its commands, in the language in force."""
    actions: Any = parser._actions
    for action in actions:
        if isinstance(action.metavar, str):
            action.metavar = re.sub(r"[A-Z_]+", _value, action.metavar)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                translate_values(command)


def _value(found: re.Match[str]) -> str:
    return str(_VALUES.get(found[0], found[0]))
