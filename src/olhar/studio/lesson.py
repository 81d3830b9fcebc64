"""A class of students on the teacher's computer: a project for each, behind a name and a code.

    FOLDER/students.json    names, and the codes' hashes; a line that goes lets a new code be chosen
    FOLDER/<name>/          the project of a student, as `olhar studio FOLDER/<name>` opens it
    FOLDER/waiting.json     the trainings that wait (see `waiting`)

All share one worker that looks at photos, and one that trains.

Does not know: HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, NoPermissionError, OlharError, explain_os_errors
from olhar.files import write_atomic_with
from olhar.i18n import Text, _
from olhar.locks import lock_folder
from olhar.serving.corrections import check_label
from olhar.studio.opening import open_project
from olhar.studio.phones import Phones
from olhar.studio.project import Bounds
from olhar.studio.sharing import Line, Shared
from olhar.studio.studio import Studio
from olhar.studio.waiting import WAITING, Waits, read_waiting, write_waiting

STUDENTS = "students.json"
DEFAULT_FOLDER = Path("my-class")
MOST_STUDENTS = 60
_LEAST_CODE = 4  # characters
_MOST_CODE = 100
_WRONG, _WRONG_S = 10, 60.0  # so many wrong codes, in so many seconds
_MOST_PHOTOS, _MOST_BYTES, _LEAST_BYTES = 2_000, 500 * 2**20, 50 * 2**20
_OF_FREE = 0.8  # of the disk's free bytes


@dataclass
class Student:
    """One who has opened a project in this lesson."""

    name: str
    studio: Studio
    phones: Phones


class Lesson:
    """The students, their projects and codes. Methods may be called from several threads."""

    def __init__(
        self, folder: Path, most: int, bounds: Bounds, stack: ExitStack, tls: dict[str, str]
    ) -> None:
        """For `open_lesson`, whose arguments these are."""
        self.folder, self.most, self.bounds = folder, most, bounds
        self._stack, self._tls = stack, tls
        self._lock = threading.RLock()
        self._students: dict[str, Student] = {}
        self._sessions: dict[str, str] = {}
        self._wrong: dict[str, list[float]] = defaultdict(list)
        self._left: list[Waits] = []  # of another time, not taken up yet
        self._looker, self._trainer = Shared(), Shared(keep=self._keep)
        stack.callback(self._trainer.close)
        stack.callback(self._looker.kill)
        _read(folder)

    def enter(self, name: str, code: str, comer: str) -> tuple[str, Student]:
        """Open the project of a student; the first who opens a name chooses its code.

        Args:
            name: of the student.
            code: of the student.
            comer: from where it is asked; who guesses is held up there.

        Returns:
            A session, which `student_of` knows; the student.

        Raises:
            ConfigError: the name or a new code cannot be one, or there are as many as there may be.
            NoPermissionError: it is not this name's code.
        """
        tidy = _check_name(name)
        # To try codes costs time by intent, which others are not to wait for.
        with self._lock:
            known = _read(self.folder)
            tidy = next((one for one in known if one.casefold() == tidy.casefold()), tidy)
            self._check_tries(comer, tidy)
        if tidy in known:
            kept = known[tidy]
            if not hmac.compare_digest(_hash(code, kept["salt"]), kept["hash"]):
                self.note_wrong(comer, tidy)
                raise NoPermissionError(
                    _(
                        "that is not the code of {name}; is somebody else called so? Then choose "
                        "another name, such as {name} B",
                        name=tidy,
                    )
                )
        else:
            self._add(tidy, code)
        with self._lock:
            student = self._students.get(tidy) or self._open(tidy)
            session = secrets.token_urlsafe(24)
            self._sessions[session] = tidy
        return session, student

    def take_up(self) -> list[Text]:
        """Ask again for the trainings that waited when the class ended; what is to be said of them."""
        try:
            self._left = read_waiting(self.folder)
        except OlharError as error:
            return [_("{reason}", reason=error)]
        said, count = [], 0
        while self._left:
            name, asked = self._left.pop(0)
            try:
                with self._lock:
                    student = self._students.get(name) or self._open(self._there(name))
                student.studio.ask_again(asked)
                count += 1
            except (OlharError, TypeError) as error:
                said.append(
                    _(
                        "the training of {name} cannot be taken up: {reason}",
                        name=name,
                        reason=error,
                    )
                )
        if count:
            said.insert(0, _("{count} training(s) that waited are in the line again", count=count))
        return said

    def end_line(self) -> None:
        """Let the training that goes on come to its end; those that wait are kept."""
        self._trainer.close()

    def _keep(self, line: Line) -> None:
        # A disk that is full ends no training: those that wait do so here all the same.
        with suppress(OlharError):
            waits = [(name, task["asked"]) for name, task in line]
            write_waiting(self.folder, [*waits, *self._left])

    def _there(self, name: str) -> str:
        if name != _check_name(name) or not (self.folder / name).is_dir():
            raise _no_name(name)
        return name

    def student_of(self, session: str) -> Student | None:
        """Who is there with a session; None where it is none."""
        with self._lock:
            return self._students.get(self._sessions.get(session, ""))

    def leave(self, session: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session, None)

    def line(self) -> list[str]:
        """Whose trainings there are: the one that goes on, then those that wait."""
        return self._trainer.names()

    def count(self) -> int:
        """How many students have a project."""
        return len(_read(self.folder))

    def note_wrong(self, *keys: str) -> None:
        """A wrong code has come from there, or for that name."""
        with self._lock:
            for key in keys:
                self._wrong[key].append(time.monotonic())

    def _check_tries(self, *keys: str) -> None:
        since = time.monotonic() - _WRONG_S
        for key in keys:
            self._wrong[key] = [when for when in self._wrong[key] if when > since]
            if len(self._wrong[key]) >= _WRONG:
                raise ConfigError(_("too many wrong codes; wait a minute, then try again"))

    def check_tries(self, comer: str) -> None:
        """Refuse whoever has given too many wrong codes."""
        with self._lock:
            self._check_tries(comer)

    def _add(self, name: str, code: str) -> None:
        if not _LEAST_CODE <= len(code.strip()) <= _MOST_CODE:
            raise ConfigError(
                _(
                    "choose a code of {low} to {high} letters or digits, and remember it",
                    low=_LEAST_CODE,
                    high=_MOST_CODE,
                )
            )
        salt = secrets.token_hex(16)
        entry = {"salt": salt, "hash": _hash(code, salt)}
        with self._lock:
            known = _read(self.folder)
            if any(one.casefold() == name.casefold() for one in known):
                raise ConfigError(
                    _("somebody has just taken the name {name}; choose another", name=name)
                )
            if len(known) >= self.most:
                raise ConfigError(
                    _(
                        "this class has its {count} students already; the teacher can start it for "
                        "more with: olhar studio --class {more}",
                        count=self.most,
                        more=min(len(known) + 1, MOST_STUDENTS),
                    )
                )
            _write(self.folder, known | {name: entry})

    def _open(self, name: str) -> Student:
        project = self._stack.enter_context(
            open_project(self.folder / name, None, lambda _question: False)
        )
        project.bounds = self.bounds
        studio = Studio(
            project,
            looker=lambda hear: self._looker.seat(name, hear),
            trainer=lambda hear: self._trainer.seat(name, hear),
            in_class=True,
        )
        self._stack.callback(studio.close)
        phones = Phones(studio, self._tls)
        self._stack.callback(phones.close)
        self._students[name] = Student(name, studio, phones)
        return self._students[name]


@contextmanager
def open_lesson(folder: Path, most: int, tls: dict[str, str] | None = None) -> Iterator[Lesson]:
    """Open the folder of a class, or make one; it is held until the block ends.

    Args:
        folder: its projects.
        most: students that there may be.
        tls: as `phones.Phones` takes it.

    Raises:
        ConfigError: the folder is no class, is open in another studio, or its disk is too small.
    """
    with explain_os_errors(folder):
        if folder.is_file() or (
            folder.is_dir()
            and not (folder / STUDENTS).is_file()
            and any(one.name[0] != "." for one in folder.iterdir())
        ):
            raise ConfigError(
                _(
                    "'{path}' is no class: it has no {file}; give an empty folder or a new name",
                    path=folder,
                    file=STUDENTS,
                )
            )
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    each = min(_MOST_BYTES, int(free * _OF_FREE) // most)
    if each < _LEAST_BYTES:
        raise ConfigError(
            _(
                "the disk of '{path}' has {free} MB free, too little for {count} projects; give each "
                "at least {least} MB: fewer students, or another disk",
                path=folder,
                free=free // 2**20,
                count=most,
                least=_LEAST_BYTES // 2**20,
            )
        )

    def busy(process: str) -> Text:
        return _(
            "'{path}' is open in another studio (process {process}); use that one, or end it first",
            path=folder,
            process=process,
        )

    with lock_folder(folder, busy), ExitStack() as stack:
        lesson = Lesson(folder, most, Bounds(_MOST_PHOTOS, each), stack, tls or {})
        try:
            yield lesson
        finally:
            lesson.end_line()  # before the students' studios end, which gives up what waits for them


def _check_name(name: str) -> str:
    try:
        tidy = check_label(name)
    except ConfigError as error:
        raise _no_name(name) from error
    if tidy.casefold() in {STUDENTS, WAITING}:
        raise _no_name(name)
    return tidy


def _no_name(name: str) -> ConfigError:
    shown = name.strip()[:40]
    return ConfigError(
        _(
            "'{name}' cannot be the name of a student; choose a short one of letters, digits and spaces",
            name=shown if shown.isprintable() else ascii(shown)[1:-1],
        )
    )


def _hash(code: str, salt: str) -> str:
    # RFC 7914; a code is short, so that each guess has to cost something.
    made = hashlib.scrypt(
        code.strip().encode("utf-8", "replace"), salt=salt.encode(), n=2**14, r=8, p=1
    )
    return made.hex()


def _read(folder: Path) -> dict[str, Mapping[str, str]]:
    path = folder / STUDENTS
    with explain_os_errors(path):
        if not path.exists():
            return {}
        content = path.read_bytes()
    try:
        found: Any = json.loads(content)["students"]
        return {
            str(name): {key: str(one[key]) for key in ("salt", "hash")}
            for name, one in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            _(
                "'{path}' is damaged ({reason}); put a copy of it back, or move it away: then every "
                "student chooses a code anew",
                path=path,
                reason=repr(error),
            )
        ) from error


def _write(folder: Path, students: Mapping[str, Mapping[str, str]]) -> None:
    text = json.dumps({"students": students}, indent=1, ensure_ascii=False) + "\n"

    def write(path: Path) -> None:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(text.encode())

    write_atomic_with(folder / STUDENTS, write)
