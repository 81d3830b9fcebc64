"""pip, in a process of its own, with the configuration that this computer has."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence

from olhar.errors import DownloadError, MissingExtraError
from olhar.i18n import Text, _

_QUIET = ("--disable-pip-version-check", "--no-input", "--quiet")


def run_pip(words: Sequence[str], what: Text | str) -> None:
    """Run `pip WORDS`.

    Args:
        words: the command and its arguments.
        what: that is fetched or installed, for the message.

    Raises:
        MissingExtraError: this environment has no pip.
        DownloadError: pip fails.
    """
    if importlib.util.find_spec("pip") is None:
        raise MissingExtraError(
            _(
                "this Python has no pip; install it with: {python} -m ensurepip",
                python=sys.executable,
            )
        )
    command = [sys.executable, "-m", "pip", words[0], *_QUIET, *words[1:]]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  pip itself
    if done.returncode:
        raise DownloadError(
            _(
                "pip cannot get {what}: {reason}; check the connection and pip's configuration (pip "
                "config list), then try again",
                what=what,
                reason=_reason(done.stderr.decode(errors="replace")),
            )
        )


def _reason(said: str) -> str:
    """The last thing that pip called an error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    return (errors or lines or ["?"])[-1].rstrip(".")
