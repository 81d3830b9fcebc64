"""A project of the studio: a folder of photos in classes, runs, a bin and a tray.

    PROJECT/photos/<class>/     the photos of a class: `olhar train --data PROJECT/photos`
    PROJECT/photos/groups.csv   which photos belong together: those of one recording
    PROJECT/tray/               photos that have no class yet
    PROJECT/runs/<number>/      what was trained
    PROJECT/bin/<when>/...      what was deleted

Its files say all there is. Does not know: HTTP, what is trained, or what is in a photo.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from olhar.datasets.layout import GROUPS
from olhar.datasets.photo_files import PHOTO, is_hidden, kind_of
from olhar.errors import ConfigError, MissingFileError, OlharError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import Text, _
from olhar.images import MAX_PIXELS, read_image
from olhar.run import RunFolder
from olhar.serving.corrections import check_label
from olhar.studio.changes import Changes, Move
from olhar.studio.grouping import GroupFile
from olhar.studio.naming import free_path, photo_name
from olhar.studio.taken import Taken

PHOTOS, RUNS, BIN, TRAY = "photos", "runs", "bin", "tray"


@dataclass(frozen=True)
class Bounds:
    """How much a project may hold.

    Attributes:
        photos: of all classes and the tray.
        size_bytes: of all its files, runs and the bin among them.
    """

    photos: int
    size_bytes: int


class Project:
    """A project that is open. Methods may be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Open a folder, and make what is missing in it (see `check_project` for what may be opened)."""
        self.path = path
        self.photos, self.runs = path / PHOTOS, path / RUNS
        self.bin, self.tray = path / BIN, path / TRAY
        with explain_os_errors(path):
            for folder in (self.photos, self.runs):
                folder.mkdir(parents=True, exist_ok=True)
        self.groups = GroupFile(self.photos / GROUPS)
        self.changes = Changes(self.bin)
        self.bounds: Bounds | None = None
        self._room = 0, 0  # photos and bytes that may still come, where there are bounds
        self._lock = threading.RLock()
        self._known: dict[tuple[str, int, int], str] = {}  # (path, size, time of change) → sha256
        self._holds: dict[str, str] = {}  # sha256 → photo
        self._places: set[Path] = set()  # in the bin

    # What is there

    def classes(self) -> list[str]:
        """Names of the classes, sorted."""
        with explain_os_errors(self.photos):
            return sorted(
                (one.name for one in self.photos.iterdir() if one.is_dir() and one.name[0] != "."),
                key=lambda name: (name.casefold(), name),
            )

    def files(self, class_name: str | None) -> list[str]:
        """Photos of a class as `class/name`, or of the tray as `.tray/name`, sorted by name."""
        folder = self.tray if class_name is None else self.photos / class_name
        prefix = f".{TRAY}" if class_name is None else class_name
        with explain_os_errors(folder):
            if not folder.is_dir():
                return []
            with os.scandir(folder) as entries:
                found = [entry.name for entry in entries if _is_photo(entry)]
        return sorted(f"{prefix}/{name}" for name in found)

    def locate(self, file: str) -> Path:
        """Where a photo lies that `files` has named.

        Raises:
            MissingFileError: there is none of that name; none outside the project is ever named.
        """
        folder, _slash, name = file.partition("/")
        home = self.tray if folder == f".{TRAY}" else self.photos / folder
        path = home / name
        is_name = bool(name) and Path(name).name == name and name not in {".", ".."}
        is_home = folder == f".{TRAY}" or folder in self.classes()
        if not (is_name and is_home and path.is_file() and not path.is_symlink()):
            raise MissingFileError(_("there is no photo '{name}' in this project", name=file))
        return path

    # Classes

    def add_class(self, name: str) -> str:
        """Make a class without photos; its name as the folder has it.

        Raises:
            ConfigError: it cannot be the name of a class, or there is such a class.
        """
        with self._lock:
            name = self._new_name(name)
            folder = self.photos / name
            with explain_os_errors(folder):
                folder.mkdir()
            self.changes.note(
                _("class '{name}' added", name=name), [(self._bin_place() / name, folder)]
            )
            return name

    def rename_class(self, old: str, new: str) -> str:
        """Give a class another name."""
        with self._lock:
            folder = self._class(old)
            new = self._new_name(new, besides=old)
            if new != old:
                renamed = self.photos / new
                self.groups.rename_class(old, new)
                self.changes.make(
                    _("class '{old}' is now '{new}'", old=old, new=new),
                    [(folder, renamed)],
                    lambda: self.groups.rename_class(new, old),
                )
            return new

    def delete_class(self, name: str) -> None:
        """Move a class and its photos into the bin."""
        with self._lock:
            folder = self._class(name)
            self._move(_("class '{name}' deleted", name=name), [(folder, self._bin_place() / name)])

    # Photos

    def take(
        self,
        photos: Iterable[tuple[str, bytes]],
        class_name: str | None,
        burst: str | None = None,
    ) -> Taken:
        """Put photos into a class, or into the tray; each is read first, and kept as it is.

        Args:
            photos: (name, content) of each.
            class_name: one of the project's; None for the tray.
            burst: what a recording is called; its photos belong together.

        Raises:
            MissingFileError: there is no such class.
        """
        found = Taken()
        self._find_all()
        home = self.tray if class_name is None else self._class(class_name)
        prefix = f".{TRAY}" if class_name is None else class_name
        for name, content in photos:
            self._take_one(name, content, home, str(prefix), found)
        self._note_taken(found, burst)
        return found

    def _take_one(self, name: str, content: bytes, home: Path, prefix: str, found: Taken) -> None:
        try:
            read_image(content, name=name, max_pixels=MAX_PIXELS, shrink_to=32)
        except OlharError as error:
            found.refused.append((name, str(error)))
            return
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            there = self._holding(digest)
            if there is not None:
                found.already.append((name, there))
                return
            if self.bounds is not None:
                left = self._room[0] - 1, self._room[1] - len(content)
                if min(left) < 0:
                    found.refused.append((name, str(self._full(self.bounds))))
                    return
                self._room = left
            try:
                path = _write_photo(home, name, content)
            except OlharError as error:  # the disk is full, perhaps not for a smaller one
                found.refused.append((name, str(error)))
                return
            self._holds[digest] = f"{prefix}/{path.name}"
        found.taken.append(f"{prefix}/{path.name}")

    def _note_taken(self, found: Taken, burst: str | None) -> None:
        if not found.taken:
            return
        with self._lock:
            place = self._bin_place()
            moves = [(place / file.lstrip("."), self.locate(file)) for file in found.taken]
            self.changes.note(
                _("{count} photo(s) added", count=len(moves)), moves, self.groups.forget_missing
            )
            if burst:
                try:
                    self.groups.add(found.taken, burst)
                except OlharError as error:
                    found.not_noted(error)

    def move(self, files: Sequence[str], class_name: str) -> None:
        """Move photos, of classes or of the tray, into a class."""
        with self._lock:
            home = self._class(class_name)
            chosen = [(file, self.locate(file)) for file in files]
            moves: list[Move] = []
            renamed: list[tuple[str, str]] = []
            planned: set[Path] = set()
            for file, path in chosen:
                if path.parent == home:
                    continue
                target = free_path(home, path.name, planned)
                planned.add(target)
                moves.append((path, target))
                renamed.append((file, f"{class_name}/{target.name}"))
            if moves:
                self.changes.make(
                    _("{count} photo(s) moved to '{name}'", count=len(moves), name=class_name),
                    moves,
                    lambda: self.groups.rename([(new, old) for old, new in renamed]),
                )
                self.groups.rename(renamed)

    def delete(self, files: Sequence[str]) -> None:
        """Move photos into the bin."""
        with self._lock:
            place = self._bin_place()
            moves = [(self.locate(file), place / file.lstrip(".")) for file in files]
            if moves:
                self._move(_("{count} photo(s) deleted", count=len(moves)), moves)

    def delete_run(self, name: str) -> None:
        """Move a run into the bin."""
        with self._lock:
            path = self.run_path(name)
            self._move(
                _("model {name} deleted", name=name), [(path, self._bin_place() / RUNS / name)]
            )

    def undo(self, change_id: str) -> Text:
        """Take a change back (see `Changes.undo`); what it was."""
        with self._lock:
            return self.changes.undo(change_id)

    # Runs

    def run_names(self) -> list[str]:
        """Names of the runs, those with numbers in their order."""
        with explain_os_errors(self.runs):
            found = [one.name for one in self.runs.iterdir() if RunFolder(one).config.is_file()]
        return sorted(found, key=lambda name: (not name.isdigit(), len(name), name))

    def run_path(self, name: str) -> Path:
        """The folder of a run; MissingFileError where there is none."""
        if name not in self.run_names():
            raise MissingFileError(_("there is no model '{name}' in this project", name=name))
        return self.runs / name

    def next_run(self) -> Path:
        """Where the next run goes: the number after the highest that was used."""
        with explain_os_errors(self.runs):
            names = [one.name for one in self.runs.iterdir()]
        binned = [path.name for path in self.bin.glob(f"*/{RUNS}/*")]
        used = [int(name) for name in (*names, *binned) if name.isdigit()]
        return self.runs / str(max(used, default=0) + 1)

    def check_room(self) -> None:
        """ConfigError where a run would not find room within the bounds."""
        if self.bounds is not None and _size_below(self.path) >= self.bounds.size_bytes:
            raise ConfigError(self._full(self.bounds))

    # Inside

    def _full(self, bounds: Bounds) -> Text:
        return _(
            "a project of this class may hold {photos} photos and {limit} MB, models and bin among them; "
            "delete photos, or ask the teacher to empty its bin: {bin}",
            photos=bounds.photos,
            limit=bounds.size_bytes // 2**20,
            bin=self.bin,
        )

    def _move(self, text: Text, moves: Sequence[Move]) -> None:
        """Into the bin; what was said of groups comes back with it."""
        before = self.groups.read()
        self.changes.make(text, moves, lambda: self.groups.restore(before))
        self.groups.forget_missing()

    def _class(self, name: str) -> Path:
        if name not in self.classes():
            raise MissingFileError(_("there is no class '{name}' in this project", name=name))
        return self.photos / name

    def _new_name(self, name: str, besides: str | None = None) -> str:
        tidy = check_label(name)
        others = {one.casefold(): one for one in self.classes() if one != besides}
        if tidy.casefold() in others:
            raise ConfigError(
                _(
                    "there is a class '{name}' already; choose another name",
                    name=others[tidy.casefold()],
                )
            )
        return tidy

    def _bin_place(self) -> Path:
        """A folder in the bin that is not there yet."""
        stem = time.strftime("%Y-%m-%d %H-%M-%S")
        place, number = self.bin / stem, 1
        while place.exists() or place in self._places:
            number += 1
            place = self.bin / f"{stem} {number}"
        self._places.add(place)  # an undo may need it later
        return place

    def _find_all(self) -> None:
        """Note the content of each photo that is there, so that none is taken twice."""
        holds = {}
        for class_name in (None, *self.classes()):
            home = self.tray if class_name is None else self.photos / class_name
            for file in self.files(class_name):
                with suppress(MissingFileError):  # it has just been moved
                    holds[self._digest(home / file.rpartition("/")[2])] = file
        with self._lock:
            self._holds |= holds  # beside what others have taken meanwhile
            if self.bounds is not None:
                size = _size_below(self.path)
                self._room = self.bounds.photos - len(holds), self.bounds.size_bytes - size

    def _holding(self, digest: str) -> str | None:
        """The photo of this content, if it is in the project."""
        file = self._holds.get(digest)
        if file is not None:
            with suppress(MissingFileError):
                return file if self._digest(self.locate(file)) == digest else None
        return None

    def _digest(self, path: Path) -> str:
        with explain_os_errors(path):
            facts = path.stat()
            key = (str(path), facts.st_size, facts.st_mtime_ns)
            if key not in self._known:
                self._known[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._known[key]


def _write_photo(home: Path, name: str, content: bytes) -> Path:
    """Write a photo into a folder; what fails is said of the folder, to be said once of many photos."""
    try:
        path = free_path(home, photo_name(name, content))
        write_atomic(path, content)
    except OlharError as error:
        with explain_os_errors(home):
            raise error.__cause__ or error from None
    return path


def _size_below(folder: Path) -> int:
    """Bytes of all files in a folder."""
    size = 0
    for home, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it has just gone
                size += os.lstat(os.path.join(home, name)).st_size  # noqa: PTH118  quicker
    return size


def _is_photo(entry: os.DirEntry[str]) -> bool:
    """Whether it is a photo, and not one that is being written or has just gone."""
    if is_hidden(entry.name):
        return False
    try:
        return kind_of(entry) == PHOTO
    except (FileNotFoundError, MissingFileError):
        return False
