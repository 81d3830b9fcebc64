"""What `olhar sweep` shows of its trials: a table while it runs, a table at its end.

On a terminal the table is drawn in place, elsewhere each trial that ends is a line. Figures are called
what they are: of the validation split.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olhar.cli.progress import Drawn
from olhar.i18n import Text, _, number
from olhar.run.report import short_name
from olhar.shown import hide_secrets, quoted
from olhar.sweep.records import Best, SweepResult, TrialRecord
from olhar.sweep.results import BEST_RECIPE, Importance, chosen_because, read_importance
from olhar.sweep.settings import SweepSettings
from olhar.sweep.table import Table

_LONGEST, _LONGEST_SENTENCE = 60, 300  # characters of a reason: in a cell, on a line
_FEW = 50  # trials from which importance is no more than a hint
_NONE = "–"
_ENDED = frozenset({"complete", "stopped", "failed"})
# Which trials a low terminal shows first.
_RANKS = {"running": 0, "complete": 1, "stopped": 2, "failed": 3, "waiting": 4}


def build_table(settings: SweepSettings) -> Table:
    """What suits standard error."""
    return LiveTable(settings) if sys.stderr.isatty() else LineTable(settings)


class LineTable(Table):
    """A line for each trial that begins or ends."""

    def __init__(self, settings: SweepSettings) -> None:
        self._settings = settings
        self._told: dict[int, str] = {}

    def note(self, text: Text) -> None:
        """Print the sentence."""
        print(text, file=sys.stderr, flush=True)

    def show(self, trials: Sequence[TrialRecord]) -> None:
        """Print a line for each trial whose state is new."""
        ended = sum(one.state in _ENDED for one in trials)
        for one in trials:
            if one.state != "waiting" and self._told.get(one.number) != one.state:
                self._told[one.number] = one.state
                self.note(_line(self._settings, one, f"{ended}/{len(trials)}"))


class LiveTable(Drawn, Table):
    """The table of trials, drawn in place on a terminal."""

    def __init__(self, settings: SweepSettings) -> None:
        from rich.console import Console
        from rich.live import Live

        self._settings = settings
        self.drawn = Live(console=Console(stderr=True), transient=True, auto_refresh=False)
        self._grid: Any = ""
        self._title, self._total, self._shown = "", 0, 0.0

    def start(self, title: Text, total: int) -> None:
        """A stage has a line below the table, until a trial changes."""
        self._title, self._total, self._shown = str(title), total, 0.0

    def advance(self, done: int, text: str = "") -> None:
        """How far it is, ten times a second at most."""
        from rich.console import Group
        from rich.text import Text as Cells

        if time.monotonic() - self._shown > 0.1:
            line = Cells(f"{self._title}  {text or f'{done}/{self._total}'}")
            self.drawn.update(Group(self._grid, line), refresh=True)
            self._shown = time.monotonic()

    def show(self, trials: Sequence[TrialRecord]) -> None:
        """Draw the table anew."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as Grid
        from rich.text import Text as Cells

        head, *rows = table_rows(self._settings, _fitting(trials, self.drawn.console.height - 7))
        title = Cells(str(_title(trials)))
        grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for name, width in zip(head[:-1], widths[:-1], strict=True):
            grid.add_column(Cells(name), no_wrap=True, min_width=width)
        grid.add_column(Cells(head[-1]), overflow="ellipsis", no_wrap=True)  # the only one cut
        for row in rows:
            grid.add_row(*map(Cells, row))
        self._grid = grid
        self.drawn.update(grid, refresh=True)


def table_rows(settings: SweepSettings, trials: Sequence[TrialRecord]) -> list[list[str]]:
    """Rows of cells, that of the column names first."""
    names = list(settings.space)
    head = [_("trial"), _("state"), _("epoch"), metric_title(settings)]
    rows = [[*map(str, head), *names, str(_("seconds")), str(_("reason"))]]
    for one in trials:
        epoch = f"{one.epoch}/{one.epochs}" if one.epochs else str(one.epoch)
        params = [_shown(one.params.get(name, _NONE)) for name in names]
        value = _figure(settings, one.val)
        cells = [str(one.number), str(_state(one.state)), epoch, value, *params]
        rows.append([*cells, str(number(one.seconds, 1)), _reason(one, _LONGEST)])
    return rows


def final_text(settings: SweepSettings, result: SweepResult) -> str:
    """A sweep's result for a terminal: its trials, what mattered, the winner and why.

    Raises:
        ModelError: importance.json is damaged.
    """
    rows = [row[:-1] for row in table_rows(settings, result.trials)]
    blocks = [str(_title(result.trials)), _aligned(rows)]
    reasons = [one for one in result.trials if one.reason]
    blocks += ["\n".join(str(_told(one)) for one in reasons)] if reasons else []
    importance = read_importance(result.out)
    blocks += [_importance_text(settings, importance)] if importance else []
    if result.best:
        blocks += [str(_winner(settings, result.best)), chosen_because(result)]
        blocks.append(str(_next(settings, result.out, result.best)))
    else:
        where = _(
            "The traceback of a trial that failed is in {out}/trials/NUMBER/error.txt.",
            out=result.out,
        )
        blocks += [chosen_because(result), str(where)]
    return "\n\n".join(blocks)


def _winner(settings: SweepSettings, best: Best) -> Text:
    return _(
        "Winner: trial {number}  {params}\n"
        "  {metric} {val} · test accuracy {test}, measured once, for the winner alone",
        number=best.number,
        params="  ".join(f"{name}={_shown(value)}" for name, value in best.params.items()),
        metric=metric_title(settings),
        val=_figure(settings, best.val),
        test=number(best.test["accuracy"], 4),
    )


def _next(settings: SweepSettings, out: Path, best: Best) -> Text:
    return _(
        "Run folder of the winner: {run}\n"
        "Next: olhar predict {run} PHOTO... · olhar train --data {data} --recipe {recipe}",
        run=quoted(best.run),
        data=quoted(hide_secrets(settings.data.name)),
        recipe=quoted(out / BEST_RECIPE),
    )


def _told(one: TrialRecord) -> Text:
    return _(
        "trial {number}, {state}: {reason}",
        number=one.number,
        state=_state(one.state),
        reason=_reason(one, _LONGEST_SENTENCE),
    )


def metric_title(settings: SweepSettings) -> Text:
    """What the metric is called in a table."""
    titles = {
        "accuracy": _("validation accuracy"),
        "f1": _("validation F1"),
        "loss": _("validation loss"),
    }
    return titles[settings.metric]


def _title(trials: Sequence[TrialRecord]) -> Text:
    states: list[str] = [one.state for one in trials]
    return _(
        "{all} trials: {complete} complete, {stopped} stopped early, {failed} failed, {running} "
        "running, {waiting} waiting",
        all=len(states),
        **{state: states.count(state) for state in _RANKS},
    )


def _line(settings: SweepSettings, one: TrialRecord, ended: str) -> Text:
    params = " ".join(f"{name}={_shown(value)}" for name, value in one.params.items())
    shown = {"ended": ended, "number": one.number, "params": params}
    if one.state not in _ENDED:
        return _("[{ended}] trial {number}: running  {params}", **shown)
    return _(
        "[{ended}] trial {number}: {state} after epoch {epoch}  {metric} {value}  {seconds} s  "
        "{params}{reason}",
        **shown,
        state=_state(one.state),
        epoch=one.epoch,
        metric=metric_title(settings),
        value=_figure(settings, one.val),
        seconds=number(one.seconds, 1),
        reason=f"  ({_reason(one, _LONGEST_SENTENCE)})" if one.reason else "",
    )


def _reason(one: TrialRecord, length: int) -> str:
    return short_name(str(one.reason), length) if one.reason else ""


def _state(state: str) -> Text | str:
    known = {
        "waiting": _("waiting"),
        "running": _("running"),
        "complete": _("complete"),
        "stopped": _("stopped"),
        "failed": _("failed"),
    }
    return known.get(state, state)


def _figure(settings: SweepSettings, val: dict[str, float] | None) -> str:
    value = (val or {}).get(settings.metric)
    return _NONE if value is None else str(number(value, 4))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _fitting(trials: Sequence[TrialRecord], rows: int) -> list[TrialRecord]:
    """As many trials as there are rows: those that run, then those that ended last; by number."""
    ranked = sorted(trials, key=lambda one: (_RANKS[one.state], -one.number))
    return sorted(ranked[: max(rows, 1)], key=lambda one: one.number)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _importance_text(settings: SweepSettings, importance: Importance) -> str:
    if not importance.parameters:
        return str(_("Importance of the parameters: {reason}.", reason=importance.reason))
    shares = ", ".join(f"{name} {share:.0%}" for name, share in importance.parameters.items())
    return str(
        _(
            "Importance for the {metric}, by fANOVA over {n} trials ({stopped} of them stopped early): "
            "{shares}{caution}",
            metric=metric_title(settings),
            n=importance.trials,
            stopped=importance.stopped,
            shares=shares,
            caution=_(" (with so few trials a hint only)") if importance.trials < _FEW else "",
        )
    )
