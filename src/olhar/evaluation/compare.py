"""Runs measured on the same images, side by side, and whether they differ by more than chance.

Does not know: how runs are made, or how their folders are read (see `olhar.run`).
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.errors import DataError
from olhar.evaluation.measured import check_same_images, read_measured
from olhar.evaluation.paired import holm, mcnemar_mid_p, paired_interval
from olhar.i18n import Text, _, number, percent, significant
from olhar.run import Run
from olhar.run.report import SPLITS, short_name

SIGNIFICANT = 0.05
_SETTINGS = ("data", "network", "transfer", "recipe", "machine")  # tables of config.toml
_NO_SETTINGS = frozenset({"data.fingerprint", "data.set_aside", "data.grouped", "network.name"}) | {
    f"recipe.{name}"
    for name in ("device", "minutes", "workers")  # in older runs; how they ran, not what they did
}
_LONGEST = 48  # characters of a name in a table


@dataclass(frozen=True)
class RunScores:
    """What one run came to; `seconds` is all its epochs together, `parameters` None if unknown."""

    run: str
    network: str
    accuracy: float
    accuracy_interval: list[float]
    f1: float
    parameters: int | None
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Pair:
    """The best run beside another, on the same images.

    Attributes:
        best: the run with the highest accuracy.
        other: the other.
        n: images.
        best_only: images that only the best has right.
        other_only: images that only the other has right.
        difference: of the accuracies, best - other.
        interval: 95 % [low, high] of the difference (Newcombe 1998, method 10).
        p: McNemar's mid-p (Fagerland et al. 2013).
        p_adjusted: `p` corrected for the number of pairs (Holm 1979).
        real: whether `p_adjusted` is under 0.05.
    """

    best: str
    other: str
    n: int
    best_only: int
    other_only: int
    difference: float
    interval: list[float]
    p: float
    p_adjusted: float
    real: bool

    def sentence(self) -> Text:
        """Whether the difference is real, in plain words."""
        return _(
            "{best} against {other}: {points:+.2f} percentage points [{low:+.2f}, {high:+.2f}],"
            " p {p}. Real? {verdict}",
            best=_run_name(self.best),
            other=_run_name(self.other),
            points=100 * self.difference,
            low=100 * self.interval[0],
            high=100 * self.interval[1],
            p=f"< {number(0.0001, 4)}"
            if self.p_adjusted < 0.0001
            else f"= {significant(self.p_adjusted)}",
            verdict=self.verdict(),
        )

    def verdict(self) -> Text:
        """Yes or no, and why."""
        if self.best_only + self.other_only == 0:
            return _("No: both are right on exactly the same images.")
        counts = {"n": self.n, "best_only": self.best_only, "other_only": self.other_only}
        if self.real:
            return _(
                "Yes: of {n} images {best_only} are right only with the first and {other_only} only"
                " with the second; chance seldom gives so unequal a share.",
                **counts,
            )
        return _(
            "No: with {n} images a difference this small is what chance gives ({best_only} are"
            " right only with the first, {other_only} only with the second).",
            **counts,
        )


@dataclass(frozen=True)
class Comparison:
    """Runs measured on the same images, the best first.

    Attributes:
        split: which split they were measured on.
        n: images in it.
        data: name of the data set.
        runs: scores of each run.
        pairs: the best run beside each other one.
        settings: those that differ, by `table.name`, with the value of each run (None: not set).
    """

    split: str
    n: int
    data: str
    runs: list[RunScores]
    pairs: list[Pair]
    settings: dict[str, list[Any]]

    def to_dict(self) -> dict[str, Any]:
        """As JSON knows it: dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)

    def as_text(self) -> str:
        """For a terminal."""
        blocks = [str(self._measured())]
        for table in self._tables():
            rows = [[short_name(cell, _LONGEST) for cell in row] for row in table]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
            blocks.append("\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]]))
        blocks.append("\n".join(str(pair.sentence()) for pair in self.pairs))
        return "\n\n".join([*blocks, str(_caveat())])

    def as_markdown(self) -> str:
        """For a report; whatever names hold, they stay text in their cells."""
        blocks = [_markdown(str(self._measured()))]
        for table in self._tables():
            rows = [[_markdown(short_name(cell, _LONGEST)) for cell in row] for row in table]
            lines = [f"| {' | '.join(row)} |" for row in rows]
            blocks.append("\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]))
        blocks.append("\n".join(f"- {_markdown(str(pair.sentence()))}" for pair in self.pairs))
        return "\n\n".join([*blocks, _markdown(str(_caveat()))]) + "\n"

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(str(self._measured()))}</p>"]
        for head, *rows in self._tables():
            cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
            lines = (
                "".join(f"<td>{html.escape(short_name(cell, _LONGEST))}</td>" for cell in row)
                for row in rows
            )
            body = "".join(f"<tr>{line}</tr>" for line in lines)
            parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>")
        texts = [*(pair.sentence() for pair in self.pairs), _caveat()]
        return "".join([*parts, *(f"<p>{html.escape(str(text))}</p>" for text in texts)])

    def _measured(self) -> Text:
        return _(
            "measured on the same {n:,} images of the {split} of {data}; [95 % interval]",
            n=self.n,
            split=SPLITS.get(self.split, self.split),
            data=short_name(self.data, _LONGEST),
        )

    def _tables(self) -> list[list[list[str]]]:
        """Rows of cells, the row of column names first: the scores; the settings that differ."""
        head = [_("run"), _("network"), _("accuracy"), _("macro F1"), _("parameters")]
        scores = [[str(title) for title in (*head, _("epochs"), _("seconds"))]]
        for one in self.runs:
            low, high = one.accuracy_interval
            accuracy = f"{percent(one.accuracy, 2)} [{percent(low, 2)}, {percent(high, 2)}]"
            parameters = "?" if one.parameters is None else str(one.parameters)
            figures = [accuracy, str(percent(one.f1, 2)), parameters, str(one.epochs)]
            figures.append(str(number(one.seconds, 1)))
            scores.append([_run_name(one.run), one.network, *figures])
        if not self.settings:
            return [scores]
        settings = [[str(_("setting")), *(_run_name(one.run) for one in self.runs)]]
        for key, values in self.settings.items():
            settings.append([key, *("–" if value is None else str(value) for value in values)])
        return [scores, settings]


def compare_runs(paths: Sequence[Path | str]) -> Comparison:
    """Put runs side by side, and test the best against each other one.

    Args:
        paths: two or more run folders.

    Raises:
        DataError: fewer than two, a run that has not ended, or runs measured on different images.
        MissingFileError: no run there.
        ModelError: a run folder that is damaged.
    """
    if len(paths) < 2:
        raise DataError(_("{given} run was given; give two or more run folders", given=len(paths)))
    measured = [read_measured(Path(path)) for path in paths]
    for other in measured[1:]:
        check_same_images(measured[0], other)
    measured.sort(key=lambda one: -one.report.accuracy)
    first = measured[0].report
    settings = [_settings(one.config) for one in measured]
    keys = dict.fromkeys(key for some in settings for key in some)
    found = {key: [some.get(key) for some in settings] for key in keys}
    return Comparison(
        split=first.split,
        n=first.n,
        data=first.data["name"],
        runs=[_scores(one) for one in measured],
        pairs=_pairs(measured),
        settings={
            key: values for key, values in found.items() if any(v != values[0] for v in values)
        },
    )


def _scores(run: Run) -> RunScores:
    return RunScores(
        run=run.path.as_posix(),
        network=run.network.name,
        accuracy=run.report.accuracy,
        accuracy_interval=run.report.intervals["accuracy"],
        f1=run.report.f1,
        parameters=run.parameters,
        epochs=len(run.history),
        seconds=round(run.seconds, 3),
    )


def _pairs(measured: Sequence[Run]) -> list[Pair]:
    """The first of the runs beside each other one."""
    best, *others = measured
    found = []
    for other in others:
        right = {one.item: one.is_right for one in other.answers}
        counts = [0, 0, 0, 0]  # neither right, only the other, only the best, both
        for one in best.answers:
            counts[2 * one.is_right + right[one.item]] += 1
        neither, other_only, best_only, both = counts
        interval = paired_interval(both, best_only, other_only, neither)
        p = mcnemar_mid_p(best_only, other_only)
        found.append((other, best_only, other_only, interval, p))
    n = best.report.n
    adjusted = holm([p for *_rest, p in found])
    return [
        Pair(
            best=best.path.as_posix(),
            other=other.path.as_posix(),
            n=n,
            best_only=best_only,
            other_only=other_only,
            difference=(best_only - other_only) / n,
            interval=list(interval),
            p=p,
            p_adjusted=corrected,
            real=corrected < SIGNIFICANT,
        )
        for (other, best_only, other_only, interval, p), corrected in zip(
            found, adjusted, strict=True
        )
    ]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of config.toml as one flat table."""
    flat = {"olhar": config.get("olhar")}
    for table in _SETTINGS:
        flat |= _flat(table, config.get(table))
    return {key: value for key, value in flat.items() if key not in _NO_SETTINGS}


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or key in _NO_SETTINGS:
        return {key: value}
    return {k: v for name, inner in value.items() for k, v in _flat(f"{key}.{name}", inner).items()}


def _run_name(path: str) -> str:
    """A run folder on one line; of a long path the end, by which runs differ."""
    line = short_name(path, len(path) + 1)
    return line if len(line) <= _LONGEST else "…" + line[1 - _LONGEST :]


def _caveat() -> Text:
    return _(
        "p is of McNemar's mid-p test, by Holm's correction for several pairs. This compares these"
        " trained models; whether one network or recipe is better takes several seeds of each."
    )


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(text, quote=False))
