"""The trainings of a class that wait, kept for the time when its studio starts again.

    FOLDER/waiting.json    [{"student", "asked"}], in the order of the line; not there where none waits

Does not know: who trains, or what is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import _

WAITING = "waiting.json"

Waits = tuple[str, Mapping[str, Any]]  # a student, what was asked for


def read_waiting(folder: Path) -> list[Waits]:
    """Those that waited.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / WAITING
    with explain_os_errors(path):
        if not path.is_file():
            return []
        content = path.read_bytes()
    try:
        return [(str(one["student"]), dict(one["asked"])) for one in json.loads(content)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            _(
                "'{path}' is damaged; trainings that waited have to be asked for again",
                path=path,
            )
        ) from error


def write_waiting(folder: Path, waits: Sequence[Waits]) -> None:
    """Keep those that wait."""
    path = folder / WAITING
    if not waits:
        with explain_os_errors(path):
            path.unlink(missing_ok=True)
        return
    entries = [{"student": name, "asked": dict(asked)} for name, asked in waits]
    write_atomic(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
