"""Files renamed so that it can be taken back: the only way in which the studio changes what is there.

Does not know: classes, photos or groups.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from olhar.errors import ConfigError, MissingFileError, explain_os_errors
from olhar.i18n import Text, _

_KEPT = 100  # changes that can be taken back

Move = tuple[Path, Path]  # from, to

_heard: ContextVar[list[Change] | None] = ContextVar("_heard", default=None)


@dataclass(frozen=True)
class Change:
    """Something that was done, and the moves that did it; None is where a file or folder was made."""

    text: Text
    moves: tuple[Move, ...]
    undone: Callable[[], None] | None = None  # what else is to be taken back
    id: str = field(
        default_factory=lambda: secrets.token_hex(6)
    )  # no other's, of another time either


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
    def done(self) -> Sequence[Change]:
        """Those that `undo` may take back, the latest last."""
        return self._done

    @staticmethod
    @contextmanager
    def heard() -> Iterator[list[Change]]:
        """The changes that are made inside the block, by its own thread."""
        made: list[Change] = []
        token = _heard.set(made)
        try:
            yield made
        finally:
            _heard.reset(token)

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
        change = Change(text, tuple(moves), undone)
        self._done = [*self._done[-_KEPT + 1 :], change]
        made = _heard.get()
        if made is not None:
            made.append(change)

    def undo(self, change_id: str) -> Text:
        """Take a change back; those that others have made since stay.

        Raises:
            MissingFileError: it was taken back already, or is too old.
            ConfigError: a later change is about the same files, or they are not as it left them.
        """
        place = next((n for n, one in enumerate(self._done) if one.id == change_id), None)
        if place is None:
            raise MissingFileError(
                _("this change cannot be taken back: it was already, or the studio has ended since")
            )
        change, later = self._done[place], self._done[place + 1 :]
        for one in reversed(later):
            if _touch(change, one):
                raise ConfigError(
                    _(
                        "'{text}' cannot be taken back, since '{later}' came after it; "
                        "take that back first",
                        text=change.text,
                        later=one.text,
                    )
                )
        _move_all([(to, since) for since, to in reversed(change.moves)])
        self._remove_empty(path for path, _to in change.moves)
        self._remove_empty(path for _since, path in change.moves)
        self._done = [one for one in self._done if one is not change]
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


def _touch(first: Change, second: Change) -> bool:
    """Whether a file or folder of one is one of the other's, or lies in it."""
    paths, others = ({path for move in one.moves for path in move} for one in (first, second))
    return any(not others.isdisjoint((path, *path.parents)) for path in paths) or any(
        not paths.isdisjoint(path.parents) for path in others
    )


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
