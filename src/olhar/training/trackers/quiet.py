"""Calling other people's libraries so that they neither print, ask, nor show a secret."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout

from olhar.shown import presentable

_SECRET_NAME = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET)$", re.IGNORECASE)
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_LONGEST_REASON = 200


@contextmanager
def quietly(defaults: Mapping[str, str] | None = None) -> Iterator[None]:
    """Let a library work without a word: no output, log, warning or question at the keyboard.

    Args:
        defaults: environment variables for as long as the block lasts; what the user has set stays.
    """
    with environment_defaults(defaults or {}), redirect_stdout(io.StringIO()):
        stdin, disabled = sys.stdin, logging.root.manager.disable
        sys.stdin = io.StringIO()  # no terminal, so nobody is asked for a password
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(disabled)
            sys.stdin = stdin


@contextmanager
def environment_defaults(defaults: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while, save those that the user has set."""
    missing = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


def hide_secrets(text: str) -> str:
    """`text` without logins in addresses and without the values of secret environment variables."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= 6:
            text = text.replace(value, "…")
    return _LOGIN_IN_URL.sub("", presentable(text))


def describe_failure(error: BaseException) -> str:
    """The cause of a failure in one line: the innermost error of the system, where there is one."""
    innermost, seen = error, error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
        if isinstance(seen, OSError):
            innermost = seen
    line = hide_secrets(" ".join(str(innermost).split())) or type(innermost).__name__
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
