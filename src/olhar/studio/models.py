"""What the page shows of the runs of a project.

Does not know: HTTP, or what is trained at the moment.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from olhar.classifier import CONFIG, Classifier, load_classifier
from olhar.i18n import Text, _, number
from olhar.locks import is_held
from olhar.preprocess import Preprocess
from olhar.run import Run, RunFolder
from olhar.shown import quoted
from olhar.studio.project import Project

_OF = 20  # new photos, of which a sentence says how many are named rightly
_WORST = 24
_DRAWN_SIDE = 64  # pixels
_CELL = 60  # photos that a cell of the confusion matrix shows


class Models:
    """The runs, read again when they have changed; their classifiers, loaded once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {}
        self._classifiers: dict[str, tuple[int, Classifier]] = {}

    def all(self) -> list[dict[str, Any]]:
        """All of them, the latest first."""
        changed = self._photos_changed()
        names = self._project.classes()
        found = []
        for name in reversed(self._project.run_names()):
            facts = self._facts(name)
            begun = facts["begun"]
            older = changed > begun or facts["class_names"] != names
            shown = {
                key: value for key, value in facts.items() if key not in {"begun", "class_names"}
            }
            # A studio that was killed leaves the training of a run to its child process.
            busy = facts["unfinished"] and is_held(self._project.runs / name)
            word = quoted(self._project.runs / name)  # in a command that is shown
            found.append(shown | {"older_than_photos": older, "busy": busy, "word": word})
        return found

    def latest(self) -> str | None:
        """The latest run that has a model."""
        for name in reversed(self._project.run_names()):
            if _model_file(self._project.runs / name).is_file():
                return name
        return None

    def classifier(self, name: str | None) -> Classifier:
        """The classifier of a run, by default of the latest.

        Raises:
            MissingFileError: there is no such run, or it has no model yet.
        """
        name = name or self.latest() or ""
        path = self._project.run_path(name)
        stamp = _stamps(_model_file(path))[0]
        known = self._classifiers.get(name)
        if known is None or known[0] != stamp:
            self._classifiers = {name: (stamp, load_classifier(path))}  # of the last that was asked
        return self._classifiers[name][1]

    def describe(self, name: str) -> dict[str, Any]:
        """All of one run."""
        run = Run(self._project.run_path(name), lenient=True)
        report, names = run.measured, list(run.class_names)
        cells: dict[str, list[str]] = {}
        wrong = []
        for answer in run.answers:
            cells.setdefault(f"{answer.label}|{answer.predicted}", []).append(answer.item)
            if not answer.is_right:
                wrong.append(answer)
        wrong.sort(key=lambda answer: -answer.probability)
        return {
            "run": name,
            "facts": self._shown_facts(run),
            "sentence": self._sentence(run),
            "flatters": _flatters(run),
            "classes": names,
            "confusion": [] if report is None else report.confusion_matrix,
            "cells": {key: files[:_CELL] for key, files in cells.items()},
            "worst": [
                {
                    "file": answer.item,
                    "label": answer.label,
                    "predicted": answer.predicted,
                    "probability": answer.probability,
                }
                for answer in wrong[:_WORST]
            ],
            "forecast": None if run.photo_curve is None else str(run.photo_curve.sentence()),
            "history": [dict(row) for row in run.history],
            "command": str(run.config.get("command", "")),
        }

    def _facts(self, name: str) -> dict[str, Any]:
        path = self._project.runs / name
        stamps = _stamps(RunFolder(path).config, RunFolder(path).metrics, _model_file(path))
        known = self._known.get(name)
        if known is None or known[0] != stamps:
            self._known[name] = stamps, self._read(name, stamps)
        return self._known[name][1]

    def _read(self, name: str, stamps: tuple[int, ...]) -> dict[str, Any]:
        run = Run(self._project.runs / name, lenient=True)
        report = run.measured
        config = run.config
        sizes = config.get("data", {}).get("sizes", {})
        made = datetime.datetime.fromtimestamp(stamps[0] / 1e9, datetime.UTC)
        return {
            "run": name,
            "name": str(_("Model {number}", number=name)),
            "made": made.isoformat(timespec="seconds"),
            "network": str(config.get("network", {}).get("name", "")),
            "mode": str(config.get("transfer", {}).get("mode", "")),
            "accuracy": None if report is None else report.accuracy,
            "interval": None if report is None else report.intervals["accuracy"],
            "test_images": None if report is None else sizes.get("test"),
            "photos": sum(sizes.values()),
            "better": bool(config.get("choice")),
            "unfinished": report is None,
            "has_model": stamps[2] > 0,
            "draws": run.model is not None and _is_drawn(run.model.preprocess),
            "begun": stamps[0],
            "class_names": list(run.class_names),
        }

    def _shown_facts(self, run: Run) -> list[list[str]]:
        sizes = run.config.get("data", {}).get("sizes", {})
        facts: list[tuple[Text, str]] = [
            (_("network"), str(run.config.get("network", {}).get("name", "")))
        ]
        facts += [
            (title, str(sizes[key]))
            for key, title in (
                ("train", _("photos that it learnt from")),
                ("val", _("photos that it was adjusted by")),
                ("test", _("photos that it was tested on, which it had never seen")),
            )
            if key in sizes
        ]
        if run.parameters:
            facts.append((_("numbers that were learnt"), str(number(run.parameters, 0))))
        return [[str(title), value] for title, value in facts]

    def _sentence(self, run: Run) -> str:
        estimate = run.cross_validation
        report = run.measured
        if estimate is not None:
            low, high = estimate.interval
        elif report is not None:
            low, high = report.intervals["accuracy"]
        else:
            return ""
        fewest, most = round(_OF * low), round(_OF * high)
        if fewest == most:
            return str(_("Of {n} new photos it should name {count} rightly.", n=_OF, count=most))
        return str(
            _(
                "Of {n} new photos it should name {fewest} to {most} rightly.",
                n=_OF,
                fewest=fewest,
                most=most,
            )
        )

    def _photos_changed(self) -> int:
        """When photos last came or went, in ns."""
        folders = [self._project.photos / name for name in self._project.classes()]
        return max(_stamps(*folders), default=0)


def _flatters(run: Run) -> bool:
    """Whether it was tested on photos that belong together with those that it learnt from."""
    grouped = run.config.get("data", {}).get("grouped", {})
    return any(grouped.get(key, {}).get("test", 0) for key in ("divided", "leaks"))


def _is_drawn(preprocess: Preprocess) -> bool:
    """Whether a drawing is a sensible input: small grey images, as those of digits."""
    return preprocess.channels == 1 and preprocess.size <= _DRAWN_SIDE


def _model_file(run: Path) -> Path:
    """What is there once a run has a model."""
    return RunFolder(run).model / CONFIG


def _stamps(*paths: Path) -> tuple[int, ...]:
    """When each was changed, in ns; 0 where it is not there."""
    found = []
    for path in paths:
        try:
            found.append(path.stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)
