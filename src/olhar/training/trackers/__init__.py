"""TensorBoard, Weights & Biases and MLflow behind one interface.

A tracker that fails says so once and is left out from there on; training never stops for it. What
each has logged stands in RUN/trackers.json, so that a resumed run goes on in the same place.

Does not know: how a network is trained or measured.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from olhar.errors import MissingExtraError, unknown_name
from olhar.i18n import Text, _
from olhar.run import RunFolder
from olhar.training.trackers.mlflow import MlflowTracker, require_tracking_uri
from olhar.training.trackers.quiet import describe_failure, quietly
from olhar.training.trackers.results import Results, Setting, build_results, flat_settings
from olhar.training.trackers.tensorboard import TensorBoardTracker
from olhar.training.trackers.wandb import WandbTracker

__all__ = ["TRACKERS", "Results", "Tracker", "Trackers", "build_results", "open_trackers"]
__all__ += ["tracked_names"]


class Tracker(Protocol):
    """Where a run is logged. Every method may raise anything; `Trackers` catches it."""

    title: str

    def start(self, settings: Mapping[str, Setting], run: Path, memory: dict[str, Any]) -> Text:
        """Begin, and say where to look.

        Args:
            settings: `recipe.lr` and the like.
            run: the run folder.
            memory: empty for a new run; what is put in it is there again when the run is resumed.
        """

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log an epoch's row of history.csv."""

    def finish(self, results: Results) -> None:
        """Log the results and close."""

    def stop(self) -> None:
        """Close a run that was cut off."""

    def advice(self) -> Text:
        """What to do after a failure."""


TRACKERS: dict[str, Callable[[], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "mlflow": MlflowTracker,
}


class Trackers:
    """Some trackers as one. Use as a context manager around the training.

    Args:
        names: keys of `TRACKERS`.
        note: hears where to look, and of a tracker that fails.
    """

    def __init__(self, names: Sequence[str], note: Callable[[Text], None]) -> None:
        self._active = {name: TRACKERS[name]() for name in names}
        self._note = note
        self._folder = RunFolder(Path())
        self._memory: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close those that are still open, marked as cut off."""
        for name, tracker in list(self._active.items()):
            with self._guarded(name):
                tracker.stop()

    def start(
        self,
        run: Path,
        config: Mapping[str, Any],
        history: Sequence[Mapping[str, float]] = (),
    ) -> None:
        """Begin, or go on where the run was cut off; epochs that are not logged yet, are.

        Args:
            run: the run folder; it exists.
            config: what config.toml holds.
            history: rows of the epochs already trained.
        """
        if not self._active:
            return
        self._folder = RunFolder(run)
        self._memory = self._folder.read_trackers()
        for name in self._active:
            self._memory.setdefault(name, {})
        self._write_memory()  # one that fails now is tried again when the run is resumed
        settings = flat_settings(config)
        for name, tracker in list(self._active.items()):
            memory = self._memory[name]
            where = None
            with self._guarded(name):
                where = tracker.start(settings, run, memory)
                self._write_memory()
            if where is not None:
                self._note(where)
        for row in history:
            self.epoch(row)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log an epoch, once: the row of history.csv."""
        for name, tracker in list(self._active.items()):
            memory = self._memory[name]
            if row["epoch"] <= memory.get("epoch", 0):
                continue
            with self._guarded(name):
                tracker.epoch(row)
                memory["epoch"] = int(row["epoch"])
                self._write_memory()

    def finish(self, results: Results) -> None:
        """Log the results and close."""
        for name, tracker in list(self._active.items()):
            with self._guarded(name):
                tracker.finish(results)
            self._active.pop(name, None)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """A block in which a tracker may fail: it is left out afterwards, and that is said."""
        try:
            with quietly():
                yield
        except Exception as error:  # noqa: BLE001 - no failure of a tracker stops a training
            tracker = self._active.pop(name)
            self._note(
                _(
                    "{tracker} failed and is left out from here on; the run itself goes on. "
                    "Cause: {reason}. {advice}",
                    tracker=tracker.title,
                    reason=describe_failure(error).rstrip("."),
                    advice=tracker.advice(),
                )
            )

    def _write_memory(self) -> None:
        self._folder.write_trackers(self._memory)


def open_trackers(names: Sequence[str], note: Callable[[Text], None]) -> Trackers:
    """The trackers of these names, checked but not yet started.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: its library is not installed.
        ConfigError: MLflow is wanted, and MLFLOW_TRACKING_URI is not set.
    """
    for name in names:
        if name not in TRACKERS:
            raise unknown_name(_("tracker"), name, TRACKERS)
        found = importlib.util.find_spec(name)
        # W&B's folder `wandb` in the working directory looks like a package without an origin.
        if found is None or found.origin is None:
            raise MissingExtraError(
                _(
                    "the tracker {name} is not installed; run: pip install 'olhar[{name}]'",
                    name=name,
                )
            )
        if name == "mlflow":
            require_tracking_uri()
    return Trackers(list(dict.fromkeys(names)), note)


def tracked_names(run: Path) -> list[str]:
    """The trackers that a run began with, to go on with them.

    Raises:
        ModelError: trackers.json is damaged.
    """
    return [name for name in RunFolder(run).read_trackers() if name in TRACKERS]
