"""What a double click opens: a file beside a project that starts its studio and shows the page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from olhar.errors import ConfigError
from olhar.files import SHORTCUT_MARK, check_replaceable, write_atomic
from olhar.i18n import _

_ENDINGS = {"win32": ".bat", "darwin": ".command"}
# A terminal that closes at once takes the message with it.
_STAYING = '"$0" "$@" || read _'


def write_shortcut(project: Path, words: Sequence[str], system: str = sys.platform) -> Path:
    """Write the file for this system beside the project, which need not be there yet; its path.

    Args:
        project: its folder.
        words: of the command line, after `olhar studio PROJECT`.
        system: as `sys.platform` names it.

    Raises:
        ConfigError: the project is a file, or has no name.
        RunExistsError: something that olhar did not write lies there.
    """
    folder = project.absolute()
    if folder.is_file() or not folder.name or any(not one.isprintable() for one in str(folder)):
        raise ConfigError(
            _("'{path}' cannot be a project; give a folder with a plain name", path=project)
        )
    path = folder.with_name(f"{folder.name}{_ENDINGS.get(system, '.desktop')}")
    check_replaceable(path)
    command = [sys.executable, "-P", "-m", "olhar", "studio", str(folder), *words, "--open"]
    write_atomic(path, shortcut_text(folder.name, command, system))
    if system != "win32":
        path.chmod(0o755)
    return path


def shortcut_text(name: str, command: Sequence[str], system: str) -> bytes:
    """What is in the file.

    Args:
        name: of the project.
        command: what it starts.
        system: as `sys.platform` names it.
    """
    if system == "win32":
        words = " ".join('"' + word.replace("%", "%%") + '"' for word in command)
        lines = ["@echo off", f"rem {SHORTCUT_MARK}", "chcp 65001 >nul", f"{words} || pause", ""]
        return "\r\n".join(lines).encode()
    if system == "darwin":
        return f"#!/bin/sh\n# {SHORTCUT_MARK}\nexec {shlex.join(command)}\n".encode()
    words = " ".join(_quoted(word) for word in ["sh", "-c", _STAYING, *command])
    title = f"olhar: {name}".replace("\\", "\\\\")
    lines = [
        "[Desktop Entry]",
        f"# {SHORTCUT_MARK}",
        "Type=Application",
        f"Name={title}",
        f"Exec={words}",
        "Terminal=true",
        "Categories=Education;",
        "",
    ]
    return "\n".join(lines).encode()


def _quoted(word: str) -> str:
    """A word of `Exec`, as freedesktop's Desktop Entry Specification 1.5, "The Exec key", quotes it."""
    escaped = "".join(f"\\{one}" if one in '"`$\\' else one for one in word.replace("%", "%%"))
    doubled = escaped.replace("\\", "\\\\")  # once more, as in every string of such a file
    return f'"{doubled}"'
