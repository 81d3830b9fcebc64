"""A folder of runs as plain values: what there is, how each run stands, and all of one run.

A run may be half-written, damaged, or deleted while it is read: it then says so, and the others
are shown all the same. Links that lead out of the folder are not followed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from olhar.errors import MissingFileError
from olhar.files import change_mark
from olhar.i18n import Text, _
from olhar.run import HISTORY_COLUMNS, Run, RunFolder
from olhar.run.reading import is_own_file

DEPTH = 2  # runs/NAME and runs/STUDY/TRIAL
PICTURES = frozenset({".png", ".svg", ".jpg", ".jpeg", ".webp"})
_ANY = RunFolder("")
CARDS = (_ANY.card.name, _ANY.card_pt_br.name)
_MARKS = (_ANY.config.name, _ANY.history.name, _ANY.metrics.name)
# How long a run may be silent before it counts as cut off.
_FIRST_EPOCH_S, _BETWEEN_EPOCHS_S, _MEASURING_S, _SLOWEST = 900.0, 30.0, 300.0, 10.0


def find_runs(root: Path) -> dict[str, Path]:
    """Every run folder in `root`, one or two levels deep, by its id.

    An id is the path relative to `root`, percent-encoded, slashes too: it stays as long as the
    folder keeps its name, and is one segment of a URL.
    """
    home = root.resolve()
    found: dict[str, Path] = {}
    _collect(root, home, "", found)
    return found


def _collect(folder: Path, home: Path, prefix: str, found: dict[str, Path]) -> None:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
            )
    except OSError:  # deleted meanwhile, or not ours to read
        return
    for name in names:
        path = folder / name
        if not _within(path, home):
            continue
        if any(is_own_file(path / mark) for mark in _MARKS):
            found[quote(os.fsencode(prefix + name), safe="")] = path
        if prefix.count("/") + 1 < DEPTH:
            _collect(path, home, f"{prefix}{name}/", found)


def list_runs(root: Path) -> list[dict[str, Any]]:
    """A summary of every run in `root`, as the table of the page shows it.

    Returns:
        For each run `id`, `name`, `group` (the folder between, or ""), `state` (training, finished,
        cut_off, damaged), `problem` (why it is damaged, or null), `version` (changes with the
        files), `modified` (seconds since 1970), `data`, `network`, `split`, `n`, `accuracy`,
        `accuracy_interval`, `reservations` (what is to be known before the figures are
        believed, sentences), `f1`, `parameters`, `epochs`, `epochs_planned`, `seconds`. What is not
        known is null.
    """
    found = [_summary(key, path) for key, path in find_runs(root).items()]
    return [one for one in found if one is not None]


def describe_run(root: Path, key: str) -> dict[str, Any]:
    """All of one run: its summary, and `history` (a list for each column), `best_epoch`, `settings`
    (by dotted name), `command`, `class_names`, `confusion_matrix`, `pictures`, `has_card`.

    Raises:
        MissingFileError: there is no such run, or no longer.
    """
    path = run_path(root, key)
    summary = _summary(key, path)
    if summary is None:
        raise _gone(key)
    run = Run(path, lenient=True)
    report, best = run.measured, run.best
    return {
        **summary,
        "history": {name: [_finite(row[name]) for row in run.history] for name in HISTORY_COLUMNS},
        "best_epoch": int(best["epoch"]) if best else None,
        "settings": _flat({k: v for k, v in run.config.items() if k not in _APART}),
        "command": _text(run.config, "command"),
        "class_names": list(run.class_names) if report else [],
        "confusion_matrix": report.confusion_matrix if report else [],
        "pictures": sorted(pictures(root, key)),
        "has_card": any(is_own_file(path / name) for name in CARDS),
    }


_APART = ("format", "command")  # of config.toml: shown apart, or not at all


def run_path(root: Path, key: str) -> Path:
    """The folder of a run that is in `root` now; no path is ever built from a request.

    Raises:
        MissingFileError: there is none of that id.
    """
    try:
        return find_runs(root)[key]
    except KeyError:
        raise _gone(key) from None


def pictures(root: Path, key: str) -> dict[str, Path]:
    """The pictures in a run folder and in the folders in it, by relative path."""
    path, home = run_path(root, key), root.resolve()
    try:
        found = [*path.glob("*"), *path.glob("*/*")]
    except OSError:  # deleted while it was looked through
        return {}
    return {
        one.relative_to(path).as_posix(): one
        for one in found
        if one.suffix.lower() in PICTURES
        and not any(part.startswith(".") for part in one.relative_to(path).parts)
        and is_own_file(one)
        and _within(one, home)
    }


def _gone(key: str) -> MissingFileError:
    return MissingFileError(
        _("there is no run '{name}' here; it may have been removed or renamed", name=key)
    )


def _within(path: Path, home: Path) -> bool:
    try:
        return path.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # a loop of links
        return False


def _summary(key: str, path: Path) -> dict[str, Any] | None:
    stamp = _stamp(path)
    if stamp is None:
        return None
    problem, facts = _facts(path, stamp)
    modified = max(when for mark, when, _change in stamp if mark in _MARKS) / 1e9
    return {
        "id": key,
        "name": _shown(path.name),
        "group": _shown(path.parent.name) if "%2F" in key else "",
        "state": "damaged" if problem else _state(facts, modified),
        "problem": str(problem) if problem else None,
        "version": hashlib.sha256(repr(stamp).encode()).hexdigest()[:16],
        "modified": round(modified, 3),
        "reservations": [str(text) for text in facts["_reservations"]],
        **{name: value for name, value in facts.items() if not name.startswith("_")},
    }


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...] | None:
    """(name, ns since 1970, mark of change) of what a run's state is read from; None where it is gone."""
    stamp = []
    for name in ("", *_MARKS, *CARDS):
        try:
            status = (path / name).stat()
        except OSError:
            continue
        if not name or stat.S_ISREG(status.st_mode):
            stamp.append((name, status.st_mtime_ns, change_mark(status) if name else 0))
    return tuple(stamp) if any(name in _MARKS for name, _when, _change in stamp) else None


@functools.lru_cache(maxsize=4096)
def _facts(
    path: Path, stamp: tuple[tuple[str, int, int], ...]
) -> tuple[Text | str | None, Mapping[str, Any]]:
    """What a summary says, read once for each state of the files (that is what `stamp` is for)."""
    del stamp
    run = Run(path, lenient=True)
    config, report, rows = run.config, run.measured, run.history
    return run.problem, {
        "data": _text(config, "data", "name"),
        "network": _text(config, "network", "name"),
        "split": report.split if report else None,
        "n": report.n if report else None,
        "accuracy": report.accuracy if report else None,
        "accuracy_interval": report.intervals["accuracy"] if report else None,
        "f1": report.f1 if report else None,
        "parameters": run.parameters,
        "epochs": len(rows),
        "epochs_planned": _number(config, "recipe", "epochs"),
        "seconds": round(run.seconds, 3) if rows else None,
        "_slowest_s": max((row["seconds"] for row in rows), default=0.0),
        "_finished": report is not None,
        "_reservations": report.reservations() if report else [],
    }


def _state(facts: Mapping[str, Any], modified: float) -> str:
    """Finished, training or cut off. metrics.json is written last, so a run that has it has ended;
    one that has been silent for longer than its epochs explain was cut off.
    """
    if facts["_finished"]:
        return "finished"
    if not facts["epochs"]:
        patience = _FIRST_EPOCH_S
    else:
        ended = facts["epochs_planned"] and facts["epochs"] >= facts["epochs_planned"]
        least = _MEASURING_S if ended else _BETWEEN_EPOCHS_S
        patience = max(least, _SLOWEST * facts["_slowest_s"])
    return "training" if time.time() - modified < patience else "cut_off"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as {dotted name: text}."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = (
                value
                if isinstance(value, str)
                else json.dumps(value, ensure_ascii=False, default=str)
            )
    return flat


def _at(table: Mapping[str, Any], *keys: str) -> Any:
    value: Any = table
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(table: Mapping[str, Any], *keys: str) -> str | None:
    value = _at(table, *keys)
    return value if isinstance(value, str) else None


def _number(table: Mapping[str, Any], *keys: str) -> float | None:
    value = _at(table, *keys)
    return _finite(value) if isinstance(value, int | float) else None


def _finite(value: float) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if math.isfinite(value) else None
