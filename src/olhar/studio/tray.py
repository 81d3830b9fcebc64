"""The tray: photos that have no class yet, and the classes that are proposed for them.

Does not know: HTTP, or how a model predicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from olhar.errors import OlharError
from olhar.studio.models import Models
from olhar.studio.project import Project


class Proposal(NamedTuple):
    """What a photo of the tray may show.

    Attributes:
        model: the run that says so; "" where a person does.
        label: a class.
        probability: of that class.
    """

    model: str
    label: str
    probability: float


class Tray:
    """The tray of a project. Methods may be called from several threads."""

    def __init__(self, project: Project, models: Models) -> None:
        """Nothing is proposed yet."""
        self._project, self._models = project, models
        self._proposals: dict[str, Proposal] = {}
        self._taken_in: set[tuple[str, int, int]] = set()  # corrections

    @property
    def proposals(self) -> Mapping[str, Proposal]:
        """What is proposed, by photo."""
        return self._proposals

    def take_corrections(self, folder: Path) -> bool:
        """Take in photos that people have corrected, with what they said; whether any came."""
        given, said = [], {}
        with suppress(OSError):
            for path in sorted(folder.glob("*/*")):
                facts = path.stat()
                stamp = (str(path), facts.st_size, facts.st_mtime_ns)
                if path.is_file() and stamp not in self._taken_in:
                    self._taken_in.add(stamp)
                    given.append((path.name, path.read_bytes()))
                    said[path.name] = path.parent.name
        if not given:
            return False
        for file in self._project.take(given, None).taken:
            self._proposals[file] = Proposal("", said.get(file.rpartition("/")[2], ""), 1.0)
        return True

    def propose(self) -> bool:
        """Let the latest model say what the photos show; whether there is anything to say."""
        model = self._models.latest()
        files = self._project.files(None)
        if model is None or not files:
            return False
        try:
            classifier = self._models.classifier(model)
        except OlharError:
            return False  # said where the model is used
        for file in files:
            known = self._proposals.get(file)
            if known is not None and known.model in {model, ""}:
                continue
            try:
                answer = classifier.predict(self._project.locate(file))
            except OlharError:  # it has gone, or cannot be read
                continue
            self._proposals[file] = Proposal(model, answer.label, answer.probability)
        there = self._proposals
        self._proposals = {file: there[file] for file in files if file in there}
        return True
