"""Files renamed so that it can be taken back: the only way in which the studio changes what is there.

Does not know: classes, photos or groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import Text, _

_KEPT = 100  # changes that can be taken back

Move = tuple[Path, Path]  # from, to


@dataclass(frozen=True)
class Change:
    """Something that was done, and the moves that did it; None is where a file or folder was made."""

    text: Text
    moves: tuple[Move, ...]
    undone: Callable[[], None] | None = None  # what else is to be taken back


class Changes:
    """What was done since the studio began, the latest last."""

    def __init__(self, bin_folder: Path) -> None:
        """Remember nothing yet.

        Args:
            bin_folder: its folders are removed when they are empty, and no others.
        """
        self._bin = bin_folder
        self._done: list[Change] = []

    @property
    def latest(self) -> Change | None:
        """What `undo` would take back."""
        return self._done[-1] if self._done else None

    def make(
        self, text: Text, moves: Sequence[Move], undone: Callable[[], None] | None = None
    ) -> None:
        """Rename files, all or none, and remember it.

        Raises:
            ConfigError: something lies where one is to go.
            MissingFileError, NoPermissionError, StorageError: one cannot be moved.
        """
        _move_all(moves)
        self.note(text, moves, undone)

    def note(
        self, text: Text, moves: Sequence[Move], undone: Callable[[], None] | None = None
    ) -> None:
        """Remember what was done already."""
        self._done = [*self._done[-_KEPT + 1 :], Change(text, tuple(moves), undone)]

    def undo(self) -> Text:
        """Take the latest change back.

        Raises:
            ConfigError: there is none, or files have changed since.
        """
        change = self.latest
        if change is None:
            raise ConfigError(_("there is nothing to undo"))
        _move_all([(to, since) for since, to in reversed(change.moves)])
        self._remove_empty(path for path, _to in change.moves)
        self._remove_empty(path for _since, path in change.moves)
        self._done.pop()
        if change.undone:
            change.undone()
        return change.text

    def _remove_empty(self, left: Iterable[Path]) -> None:
        for path in left:
            for folder in path.parents:
                if self._bin not in folder.parents:
                    break
                with suppress(OSError):
                    folder.rmdir()


def _move_all(moves: Sequence[Move]) -> None:
    done: list[Move] = []
    try:
        for source, target in moves:
            _move(source, target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            with suppress(OSError):
                target.rename(source)
        raise


def _move(source: Path, target: Path) -> None:
    with explain_os_errors(source):
        source.stat()
    with explain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # On some file systems a name that differs by case alone is the same file.
        if target.exists() and not target.samefile(source):
            raise ConfigError(_("'{path}' is there already; nothing was changed", path=target))
        source.rename(target)
