"""Files set aside in a folder beside the data, and put back: nothing is deleted or overwritten.

    pets/                    the data
    pets-quarantine/files/   what was set aside, at the same paths
    pets-quarantine/log.jsonl

A line of the log is on the disk before the file it tells of is moved, so that whatever moment a
kill comes at, every file is at one of the two places that its line names.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from olhar.check.finding import FIXES, Finding, shown_names
from olhar.errors import ConfigError, DataError, WrongPathError, explain_os_errors, unknown_name
from olhar.files import write_atomic
from olhar.i18n import _

FORMAT = 1
LOG, FILES = "log.jsonl", "files"


@dataclass(frozen=True)
class Move:
    """One file set aside: its path in the data, its path in the quarantine, and why."""

    source: str
    target: str
    kind: str

    def line(self) -> str:
        """As the log holds it; ASCII, so that names of any bytes come back as they were."""
        row = {"format": FORMAT, "from": self.source, "to": self.target, "kind": self.kind}
        return json.dumps(row) + "\n"


def quarantine_folder(root: Path) -> Path:
    """Where the files of a data folder are set aside."""
    root = root.expanduser().resolve()
    return root.with_name(f"{root.name}-quarantine")


def parse_fixes(words: str) -> frozenset[str]:
    """The kinds of findings that `--fix=safe,labels` sets aside.

    Raises:
        UnknownNameError: a word is none of `FIXES`.
    """
    kinds: set[str] = set()
    for word in words.split(","):
        if word not in FIXES:
            raise unknown_name(_("kind of --fix"), word, FIXES)
        kinds |= FIXES[word]
    return frozenset(kinds)


def set_aside(root: Path, findings: Sequence[Finding], kinds: Iterable[str]) -> list[Move]:
    """Move the files of some kinds of findings into the quarantine.

    Args:
        root: the data folder.
        findings: as check_source gives them.
        kinds: which of them, as parse_fixes gives them.

    Returns:
        What was moved, in order.

    Raises:
        NoPermissionError: the folder may not be written; what was moved before stays in the log.
        StorageError: the disk is full; likewise.
        WrongPathError: the folder beside the data is on another disk.
        ConfigError: what lies in its place is not olhar's.
    """
    wanted: dict[str, str] = {}  # path → kind; a file is moved once
    for finding in findings:
        if finding.kind in set(kinds):
            for file in finding.moves:
                wanted.setdefault(file, finding.kind)
    if not wanted:
        return []
    root, place = root.expanduser().resolve(), quarantine_folder(root)
    _require_own(place)
    moved = []
    with explain_os_errors(place):
        place.mkdir(exist_ok=True)
        for file, kind in wanted.items():
            move = Move(file, _free_name(place, file), kind)
            (place / move.target).parent.mkdir(parents=True, exist_ok=True)
            _append(place / LOG, move.line())
            _rename(root / move.source, place / move.target)
            moved.append(move)
    return moved


def _require_own(place: Path) -> None:
    """Raise ConfigError where a log that olhar did not write lies in the place of the quarantine's."""
    with explain_os_errors(place / LOG):
        content = (place / LOG).read_bytes() if (place / LOG).is_file() else b""
    first = content.partition(b"\n")[0][: len(_BEGINNING)]  # perhaps cut short by a kill
    if first != _BEGINNING[: len(first)] or (content and not first):
        raise ConfigError(
            _(
                "'{path}' is not olhar's, so that nothing is set aside there; rename the folder "
                "'{folder}', or move the file elsewhere",
                path=place / LOG,
                folder=place.name,
            )
        )


def _free_name(place: Path, file: str) -> str:
    """The file's own path among the files of the quarantine, or one like it that is not taken."""
    path = Path(FILES, file)
    for number in range(1, 1000):
        name = path if number == 1 else path.with_name(f"{path.stem}~{number}{path.suffix}")
        if not os.path.lexists(place / name):
            return name.as_posix()
    raise DataError(_("'{path}' holds too many files called '{name}'", path=place, name=path.name))


def _append(log: Path, line: str) -> None:
    """Add a line and wait until the disk has it; a line that a kill has cut short is ended first."""
    with log.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path) -> None:
    """Move a file to a place that is free; never over another."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise WrongPathError(
            _(
                "'{target}' is on another disk than '{source}', so that files would have to be "
                "copied; move the data folder into a folder of the same disk first",
                target=target.parent,
                source=source,
            )
        ) from error


def read_log(place: Path) -> list[Move]:
    """What the log tells of, in order; a line that a kill has cut short is passed over.

    Raises:
        DataError: the log was written by a newer olhar, or leads out of the folders.
    """
    with explain_os_errors(place / LOG):
        lines = (place / LOG).read_text(encoding="ascii", errors="replace").splitlines()
    return list(_moves(place, lines))


def _moves(place: Path, lines: Iterable[str]) -> Iterator[Move]:
    for line in lines:
        try:
            row = json.loads(line)
            move = Move(str(row["from"]), str(row["to"]), str(row["kind"]))
            known = row["format"] == FORMAT
        except (ValueError, LookupError, TypeError):
            continue
        if not known or any(_leads_out(path) for path in (move.source, move.target)):
            raise DataError(
                _(
                    "'{path}' holds a line that this olhar does not understand: {line}; put the "
                    "files back by hand",
                    path=place / LOG,
                    line=line,
                )
            )
        yield move


def _leads_out(name: str) -> bool:
    path = Path(name)
    return path.is_absolute() or bool(path.anchor) or ".." in path.parts


_BEGINNING = Move("", "", "").line().partition('"from"')[0].encode()


@dataclass(frozen=True)
class Undone:
    """What undoing has put back, and what stays since its place is taken by another file."""

    restored: tuple[str, ...]
    taken: tuple[str, ...]


def undo(root: Path) -> Undone:
    """Put back everything that was set aside, the latest first.

    Raises:
        ConfigError: nothing was ever set aside, or the log is not olhar's.
        NoPermissionError, StorageError: a folder may not be written; it can be run again.
    """
    root, place = root.expanduser().resolve(), quarantine_folder(root)
    with explain_os_errors(place):
        there = (place / LOG).is_file()
    if not there:
        raise ConfigError(
            _(
                "there is nothing to undo: '{path}' does not exist; --fix makes it when it sets "
                "files aside",
                path=place / LOG,
            )
        )
    _require_own(place)
    restored, taken = [], []
    for move in reversed(read_log(place)):
        source, target = root / move.source, place / move.target
        if not os.path.lexists(target):  # a kill came before the move, or it is back already
            continue
        if os.path.lexists(source):
            taken.append(move)
            continue
        with explain_os_errors(source):
            source.parent.mkdir(parents=True, exist_ok=True)
            _rename(target, source)
        restored.append(move.source)
    _close(place, taken)
    return Undone(tuple(restored), tuple(move.source for move in taken))


def _close(place: Path, left: Sequence[Move]) -> None:
    """Remove the log and the empty folders, or keep the lines of what is left."""
    if left:
        write_atomic(place / LOG, "".join(move.line() for move in reversed(left)))
    else:
        with explain_os_errors(place):
            (place / LOG).unlink()
    folders = [path for path in place.rglob("*") if path.is_dir() and not path.is_symlink()]
    for folder in [*sorted(folders, key=lambda path: -len(path.parts)), place]:
        with suppress(OSError):  # not empty: somebody put something there
            folder.rmdir()


def taken_sentence(undone: Undone, place: Path) -> object:
    """What to say of files that could not be put back."""
    return _(
        "{count} file(s) stay in '{path}', since others have their places now: {names}",
        count=len(undone.taken),
        path=place,
        names=shown_names(undone.taken),
    )
