"""What a child process of the studio does: it looks at photos, or it trains.

It reads tasks as JSON from standard input, one a line, and prints what happens as JSON, one a line.
Where the studio ends, or is killed, what it is doing is carried to its end: the run is found again later.

Does not know: HTTP, or what is done with its answers.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar import i18n
from olhar.children import answering_stream, write_line
from olhar.errors import ConfigError, OlharError
from olhar.i18n import Text
from olhar.progress import Progress
from olhar.run import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EVERY_S = 0.1  # between two lines on how far something is

Say = Callable[[Mapping[str, Any]], None]


class ToldProgress(Progress):
    """Prints what it hears; and when the model of a run is there, before it is measured."""

    def __init__(self, say: Say, run: Path | None = None) -> None:
        self._say, self._run = say, run
        self._last, self._title, self._total = 0.0, "", 0

    def note(self, text: Text) -> None:
        """A sentence."""
        self._say({"event": "note", "text": str(text)})
        self._look_for_model()

    def start(self, title: Text, total: int) -> None:
        """A stage."""
        self._title, self._total, self._last = str(title), total, 0.0
        self._look_for_model()
        self.advance(0)

    def advance(self, done: int, text: str = "") -> None:
        """How far it is, ten times a second at most."""
        now = time.monotonic()
        if now - self._last >= _EVERY_S or done == self._total:
            self._last = now
            self._say(
                {
                    "event": "progress",
                    "title": self._title,
                    "text": text,
                    "done": done,
                    "total": self._total,
                }
            )

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """An epoch has ended."""
        self._say({"event": "epoch", "row": dict(row), "epochs": epochs})

    def _look_for_model(self) -> None:
        if self._run is not None and RunFolder(self._run).model.is_dir():
            self._say({"event": "model", "run": self._run.name})
            self._run = None


class Looker:
    """Checks photos, and computes what a head will need of them."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._warmer: Any = None
        self._has_tried = False

    def look(self, task: Mapping[str, Any]) -> None:
        """Check the photos of a folder of classes, then compute features of those and others."""
        photos = Path(task["photos"])
        self._check(photos, None)
        self._warm([photos / file for file in task["files"]])
        if self._warmer is not None:
            self._check(photos, self._warmer)

    def _check(self, photos: Path, warmer: Any) -> None:
        """Say what is wrong with the photos; with a backbone also which labels are doubtful."""
        from olhar.check import KINDS, check_source
        from olhar.datasets import open_source

        # In every language, since each browser that watches may have its own.
        findings: dict[str, list[dict[str, Any]]] = {one: [] for one in i18n.LANGUAGES}
        with suppress(OlharError):  # no photos yet, or of one class only
            source = open_source(str(photos))

            def features(rows: NDArray[np.int64]) -> NDArray[np.float32]:
                found: NDArray[np.float32] = warmer.features(
                    [photos / source.files[row] for row in rows]
                )
                return found

            labels = warmer is not None
            report = check_source(
                source, Progress(), labels=labels, features=features if labels else None
            )
            for language, told in findings.items():
                with i18n.using(language):
                    told += [
                        finding.to_dict() | {"title": str(KINDS[finding.kind].title)}
                        for finding in report.findings
                    ]
        self._say({"event": "findings", "findings": findings})

    def _warm(self, photos: list[Path]) -> None:
        from olhar.pipeline.warming import Warmer

        if not self._has_tried:
            self._has_tried = True
            with suppress(OlharError):
                self._warmer = Warmer.default(ToldProgress(self._say))
        if self._warmer is not None:
            for start in range(0, len(photos), 8):
                self._warmer.warm(photos[start : start + 8])
                self._say({"event": "looked", "done": start + 8, "total": len(photos)})


def _train(task: Mapping[str, Any], say: Say) -> None:
    """Train a run; with no network named the head first, then what suits the photos better."""
    from olhar.pipeline.training import train

    run = Path(task["run"])
    settings, network = dict(task["settings"]), task.get("network")
    _group(Path(task["photos"]), say)
    progress = ToldProgress(say, run)
    if network:
        train(task["photos"], network, run=run, progress=progress, **settings)
    else:
        kept = {key: value for key, value in settings.items() if key in {"seed", "folds"}}
        head = partial(
            train, task["photos"], run=run, progress=progress, backbone="auto", mode="head"
        )
        try:
            head(**kept)
        except ConfigError:
            # What lies in too few recordings cannot be cross-validated; anything else is said again.
            if settings.pop("folds", None) is None:
                raise
            head(**{key: value for key, value in kept.items() if key in settings})
    say({"event": "ended", "run": run.name})
    if not network:
        _improve(task, say, settings)


def _improve(task: Mapping[str, Any], say: Say, settings: dict[str, Any]) -> None:
    from olhar.pipeline.training import improve

    run = Path(task["better_run"])
    say({"event": "trying", "run": run.name})
    if improve(task["photos"], run, progress=ToldProgress(say, run), **settings) is not None:
        say({"event": "ended", "run": run.name, "better": True})


def _group(photos: Path, say: Say) -> None:
    """Photos that look alike, written into groups.csv beside the recordings."""
    from olhar.data_settings import DataSettings
    from olhar.datasets import open_source
    from olhar.datasets.alike import find_alike
    from olhar.datasets.layout import GROUPS
    from olhar.studio.grouping import GroupFile

    groups = GroupFile(photos / GROUPS)
    if not groups.read():
        return  # then near-duplicates are found by the training itself
    source = open_source(DataSettings(str(photos)))
    near = find_alike(source, ToldProgress(say)).near
    alike: dict[int, list[str]] = {}
    for file, row in zip(source.files, near.tolist(), strict=True):
        alike.setdefault(row, []).append(file)
    groups.write_near(files for files in alike.values() if len(files) > 1)


def _resume(task: Mapping[str, Any], say: Say) -> None:
    from olhar.pipeline.training import resume

    run = Path(task["run"])
    resume(run, progress=ToldProgress(say, run))
    say({"event": "ended", "run": run.name})


def _prepare() -> None:
    """Load what the first training needs, while nobody waits for it."""
    import matplotlib.backends.backend_agg
    import onnx
    import onnxruntime
    import torch

    import olhar.pipeline.choosing
    import olhar.pipeline.fitting
    import olhar.pipeline.measuring
    import olhar.training.head  # noqa: F401

    assert all((matplotlib, onnx, onnxruntime, torch))


def main() -> None:
    """Do what is asked until nobody asks any more."""
    answers = answering_stream()
    alone = False

    def say(event: Mapping[str, Any]) -> None:
        nonlocal alone
        if not alone:
            try:
                write_line(answers, event)
            except OSError:  # the studio has gone
                alone = True

    # Only a training can be stopped: libraries that are half imported would break the next one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    looker = Looker(say)
    does: dict[str, Callable[[Mapping[str, Any]], None]] = {
        "look": looker.look,
        "train": lambda task: _train(task, say),
        "resume": lambda task: _resume(task, say),
        "prepare": lambda _task: _prepare(),
    }
    for line in sys.stdin:
        task = json.loads(line)
        try:
            if task.get("id"):
                signal.signal(signal.SIGINT, signal.default_int_handler)
            with i18n.using(task.get("lang", "en")):
                does[task["do"]](task)
        except KeyboardInterrupt:
            say({"event": "stopped", "id": task.get("id")})
            continue
        except OlharError as error:
            say({"event": "failed", "id": task.get("id"), "message": str(error)})
            continue
        except Exception as error:  # noqa: BLE001  # a photo or library that nobody has thought of
            say({"event": "failed", "id": task.get("id"), "message": repr(error)})
            continue
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        say({"event": "done", "id": task.get("id")})
