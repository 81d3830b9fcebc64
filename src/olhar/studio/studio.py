"""What a project is doing: its photos are looked at, a model is trained; whoever watches is told.

Does not know: HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olhar import i18n
from olhar.errors import ConfigError, MissingFileError
from olhar.i18n import _
from olhar.shown import quoted
from olhar.studio.marks import Findings, sort_findings, version_of
from olhar.studio.models import Models
from olhar.studio.project import Project
from olhar.studio.sharing import Hire
from olhar.studio.training import Training
from olhar.studio.tray import Tray
from olhar.studio.workers import Event, Worker

_OTHERS_S = 2.0  # between two looks at runs that others train
_QUIET_S = 1.0  # after the last change, before photos are looked at
_FOLDS, _FOLDS_FROM = 5, 10  # cross-validation, where each class has so many photos
_NOT_AUGMENTED = {"flip": False} | dict.fromkeys(("translate", "rotate", "zoom", "shear"), 0.0)
_LEAST = 5  # photos of a class, before a training makes sense


class Studio:
    """A project with its two workers. Methods may be called from several threads."""

    def __init__(
        self,
        project: Project,
        looker: Hire = Worker,
        trainer: Hire = Worker,
        *,
        corrections: Path | None = None,
        in_class: bool = False,
    ) -> None:
        """Begin to look at the photos, and make ready for a training.

        Args:
            project: an open one.
            looker: gives what looks at photos; by default a worker of this project's own.
            trainer: gives what trains.
            corrections: a folder that `olhar serve --corrections` fills; its photos come into the tray.
            in_class: whether it is one of a class.
        """
        self._in_class = in_class
        self._corrections = corrections
        self.project = project
        self.models = Models(project)
        self._tray = Tray(project, self.models)
        self._lock = threading.RLock()
        self._watchers: list[Callable[[], None]] = []
        self._version = 0
        self._found: dict[str, Findings] = {}  # by language
        self._looking = {"done": 0, "total": 0}
        self._is_looking = self._is_stale = False
        self._timer: threading.Timer | None = None
        self._training: Training | None = None
        self._message: dict[str, str] | None = None
        self._looker, self._trainer = looker(self._hear_looker), trainer(self._hear_trainer)
        self._trainer.ask({"do": "prepare"})
        self._ended = threading.Event()
        threading.Thread(target=self._watch_others, daemon=True).start()
        self.changed()

    def _watch_others(self) -> None:
        """Tell how runs come on that a studio which was killed had begun; take in corrections."""
        while not self._ended.wait(_OTHERS_S):
            if self._corrections is not None and self._tray.take_corrections(self._corrections):
                self.changed()
            if self._training is None and any(model["busy"] for model in self.models.all()):
                self._tell()

    def close(self) -> None:
        """End; a training goes on to its end by itself."""
        self._ended.set()
        with self._lock:
            if self._timer:
                self._timer.cancel()
        self._looker.end()
        self._trainer.leave()

    # Whoever watches

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever something changes; what is returned ends that."""
        with self._lock:
            self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def changed(self) -> None:
        """Photos or classes have changed."""
        with self._lock:
            self._is_stale = True
            if self._timer:
                self._timer.cancel()
            self._timer = threading.Timer(_QUIET_S, self._settle)
            self._timer.daemon = True
            self._timer.start()
        self._tell()

    def change(self, work: Callable[[], Mapping[str, Any] | None]) -> dict[str, Any]:
        """Do what changes photos, classes or models, then tell whoever watches.

        Returns:
            What `work` gave, and "changes": the ids by which it can be taken back, the latest last.
        """
        with self.project.changes.heard() as made:
            try:
                found = work()
            finally:
                self.changed()
        return {**(found or {}), "changes": [change.id for change in made]}

    def _tell(self) -> None:
        with self._lock:
            self._version += 1
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher()

    # What there is

    def state(self) -> dict[str, Any]:
        """All that the page shows without being asked, in the language in force."""
        project = self.project
        with self._lock:
            training = None if self._training is None else self._training.shown()
            marks, notes = self._findings()
            looking, message, version = dict(self._looking), self._message, self._version
        names = project.classes()
        files = {name: project.files(name) for name in names}
        tray = project.files(None)
        return {
            "version": version,
            "project": project.path.resolve().name,
            "in_class": self._in_class,
            "command": f"olhar train --data {quoted(project.photos)}",
            "classes": [
                {
                    "name": name,
                    "count": len(files[name]),
                    "version": version_of(files[name], marks),
                    "notes": notes.get(name, []),
                }
                for name in names
            ],
            "tray": {"count": len(tray), "version": version_of(tray, self._tray.proposals)},
            "undo": {change.id: str(change.text) for change in project.changes.done},
            "looking": looking,
            "training": training,
            "models": self.models.all(),
            "message": message,
            "can_train": self._why_not(files),
        }

    def photos(self, class_name: str | None) -> dict[str, Any]:
        """The photos of a class, or those of the tray, the least sure first."""
        if class_name is not None and class_name not in self.project.classes():
            raise MissingFileError(_("there is no class '{name}' in this project", name=class_name))
        files = self.project.files(class_name)
        groups, proposals = self.project.groups.read(), self._tray.proposals
        marks, _notes = self._findings()
        found: list[dict[str, Any]] = []
        for file in files:
            proposed = proposals.get(file)
            found.append(
                {
                    "file": file,
                    "name": file.rpartition("/")[2],
                    "marks": marks.get(file, []),
                    "burst": groups.get(file),
                    "proposal": proposed
                    and {"class": proposed.label, "probability": proposed.probability},
                }
            )
        if class_name is None:
            found.sort(key=lambda one: one["proposal"]["probability"] if one["proposal"] else 2.0)
        return {
            "version": version_of(files, proposals if class_name is None else marks),
            "photos": found,
        }

    def _why_not(self, files: Mapping[str, Sequence[str]]) -> str | None:
        """Why nothing can be trained yet; None where it can."""
        filled = [name for name, photos in files.items() if photos]
        if len(filled) < 2:
            return str(_("Two classes with photos are needed."))
        few = [name for name in filled if len(files[name]) < _LEAST]
        if few:
            return str(
                _(
                    "Each class needs {count} photos or more: {names}.",
                    count=_LEAST,
                    names=", ".join(few),
                )
            )
        empty = [name for name, photos in files.items() if not photos]
        if empty:
            return str(_("There are no photos of {names}.", names=", ".join(empty)))
        return None

    # Looking

    def _settle(self) -> None:
        """What has come is looked at, and where there is a model it proposes classes for the tray."""
        threading.Thread(target=self._propose, daemon=True).start()
        self._look()

    def _look(self) -> None:
        with self._lock:
            if self._is_looking:
                return  # it is done once more when that has ended
            self._is_looking, self._is_stale = True, False
        names = self.project.classes()
        files = [file for name in names for file in self.project.files(name)]
        if not files:
            with self._lock:
                self._is_looking, self._found = False, {}
            return
        task = {"do": "look", "photos": str(self.project.photos), "files": files}
        self._looker.ask(task | {"lang": i18n.language()})

    def _findings(self) -> Findings:
        """What was found, in the language in force."""
        return self._found.get(i18n.language(), ({}, {}))

    def _hear_looker(self, event: Event) -> None:
        kind = event["event"]
        again = False
        with self._lock:
            if kind in {"looked", "progress"}:
                total = event["total"]
                self._looking = {"done": min(event["done"], total), "total": total}
            elif kind == "findings":
                names, groups = self.project.classes(), self.project.groups.read()
                self._found = {
                    language: sort_findings(findings, names, groups)
                    for language, findings in event["findings"].items()
                }
            elif kind in {"done", "failed", "died", "stopped"}:
                self._looking = {"done": 0, "total": 0}
                self._is_looking = False
                again = self._is_stale
            else:
                return
        self._tell()
        if again:
            self._look()

    # Training

    def train(
        self,
        network: str | None = None,
        *,
        minutes: float | None = None,
        augment: bool | None = None,
        seed: int | None = None,
    ) -> dict[str, str]:
        """Begin to train on what is there.

        Args:
            network: one of olhar's, trained from scratch; by default what suits photos.
            minutes: at most, for what is tried beside the head or for a network.
            augment: False trains a network on photos as they are.
            seed: of what is random.

        Raises:
            ConfigError: nothing can be trained yet, or something is being trained.
            StorageError: the disk is full, so that recordings would be divided.
        """
        files = {name: self.project.files(name) for name in self.project.classes()}
        reason = self._why_not(files)
        if reason:
            raise ConfigError(_("it is too early to train: {reason}", reason=reason))
        self.project.check_room()
        self.project.groups.write_missing()
        settings: dict[str, Any] = {}
        if minutes is not None:
            settings["minutes"] = minutes
        if seed is not None:
            settings["seed"] = seed
        if network and augment is False:
            settings |= _NOT_AUGMENTED
        if not network and min(map(len, files.values())) >= _FOLDS_FROM:
            settings["folds"] = _FOLDS
        run = self.project.next_run()
        asked = {"network": network, "minutes": minutes, "augment": augment, "seed": seed}
        task = {
            "do": "train",
            "asked": asked,
            "id": run.name,
            "photos": str(self.project.photos),
            "run": str(run),
            "better_run": str(run.with_name(str(int(run.name) + 1))),
            "network": network,
            "settings": settings,
        }
        self._begin(run.name, task)
        return {"id": run.name}

    def resume(self, name: str) -> dict[str, str]:
        """Go on with a run that was stopped."""
        run = self.project.run_path(name)
        asked = {"run": name}
        self._begin(name, {"do": "resume", "asked": asked, "id": name, "run": str(run)})
        return {"id": name}

    def ask_again(self, asked: Mapping[str, Any]) -> None:
        """Begin what waited when a studio ended: "asked" of a task of `train` or `resume`."""
        if "run" in asked:
            self.resume(asked["run"])
        else:
            self.train(**asked)

    def stop(self) -> None:
        """Stop what is being trained; what is there of it stays."""
        with self._lock:
            if self._training is None:
                raise ConfigError(_("nothing is being trained"))
            self._trainer.interrupt()

    def _begin(self, run: str, task: Mapping[str, Any]) -> None:
        with self._lock:
            if self._training is not None:
                raise ConfigError(
                    _(
                        "model {run} is being trained; wait for it, or stop it",
                        run=self._training.run,
                    )
                )
            self._message = None
            self._training = Training(run, run)
        self._trainer.ask({**task, "lang": i18n.language()})
        self._tell()

    def _hear_trainer(self, event: Event) -> None:
        with self._lock:
            training = self._training
            if training is None or event.get("id", training.id) != training.id:
                return  # it has made ready
            training.hear(event)
            if training.has_ended:
                self._training = None
            if training.error is not None:
                self._message = {"kind": "error", "text": training.error}
        if event["event"] in {"model", "ended"}:
            threading.Thread(target=self._propose, daemon=True).start()
        self._tell()

    def _propose(self) -> None:
        if self._tray.propose():
            self._tell()
