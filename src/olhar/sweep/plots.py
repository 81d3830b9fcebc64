"""The picture of a sweep: every trial a line through what it was given, to what it came to.

Parallel coordinates: Inselberg, "The plane with parallel coordinates", The Visual Computer 1, 1985.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from olhar.evaluation import style
from olhar.evaluation.style import BLUE, GREY, INK, VERMILLION, shown
from olhar.i18n import Text, _, localise
from olhar.sweep.records import TrialRecord
from olhar.sweep.settings import SweepSettings
from olhar.sweep.space import Choice, Distribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_TICKS, _LABEL_LENGTH = 12, 18
_CHARACTERS = 13.0  # of the legend, an inch
Ticks = list[tuple[float, str]]  # (place from 0 to 1, label)
Place = Callable[[Any], float]


def plot_parallel_coordinates(
    settings: SweepSettings, trials: Sequence[TrialRecord], best: int | None, name: str
) -> Figure:
    """Draw trials as lines over an axis a parameter and one of the validation metric.

    Complete trials are blue, those stopped early are grey and dashed and end in their figure so
    far, the winner is thick and named by its number. Trials without a figure are counted below.

    Args:
        settings: what was searched, and the metric.
        trials: of this sweep.
        best: number of the winner, or None.
        name: of the sweep, for the title.
    """
    with_value = [one for one in trials if math.isfinite(_value(settings, one))]
    axes_names = [*settings.space, settings.metric]
    width = max(6.0, 1.9 * len(axes_names))
    figure = style.figure(width, 4.6)
    axes = figure.subplots()
    axes.set_title(
        str(_("Trials of sweep {name}", name=shown(name, 40))),
        loc="left",
        fontweight="bold",
        color=INK,
    )
    scales = [
        _scale(one, [t.params.get(key) for t in with_value]) for key, one in settings.space.items()
    ]
    scales.append(_metric_scale(settings, with_value))
    _draw_axes(axes, axes_names, [ticks for _place, ticks in scales], settings.metric)
    places = [place for place, _ticks in scales]
    for one in sorted(with_value, key=lambda one: (one.number == best, one.state == "complete")):
        _draw_trial(axes, settings, one, places, winner=one.number == best)
    if not with_value:
        style.say(axes, _("no trial has a validation figure yet"))
    legend = textwrap.fill(str(_legend(trials, with_value, best)), int(_CHARACTERS * width))
    axes.set_xlabel(legend, fontsize=9, color=INK, loc="left")
    return figure


def _value(settings: SweepSettings, one: TrialRecord) -> float:
    return float((one.val or {}).get(settings.metric, math.nan))


def _draw_axes(axes: Axes, names: Sequence[str], ticks: Sequence[Ticks], metric: str) -> None:
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    titles = {
        "accuracy": _("validation accuracy"),
        "f1": _("validation F1"),
        "loss": _("validation loss"),
    }
    labels = [*(shown(name, _LABEL_LENGTH) for name in names[:-1]), str(titles[metric])]
    axes.set_xticks(range(len(names)), labels, fontweight="bold", color=INK)
    axes.tick_params(length=0)
    axes.set_xlim(-0.15, len(names) - 0.55)
    axes.set_ylim(-0.06, 1.06)
    for column, marks in enumerate(ticks):
        axes.axvline(column, color=GREY, linewidth=1, zorder=1)
        for place, label in marks:
            axes.plot([column - 0.012, column + 0.012], [place, place], color=GREY, lw=1, zorder=1)
            axes.annotate(
                label,
                (column, place),
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=8,
                color=INK,
                bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
                zorder=5,
            )


def _draw_trial(
    axes: Axes, settings: SweepSettings, one: TrialRecord, places: Sequence[Place], *, winner: bool
) -> None:
    given = [one.params.get(name) for name in settings.space]
    heights = [
        place(value) for place, value in zip(places, [*given, _value(settings, one)], strict=True)
    ]
    complete = one.state == "complete"
    axes.plot(
        range(len(heights)),
        heights,
        color=VERMILLION if winner else BLUE if complete else GREY,
        linestyle="-" if complete else "--",
        linewidth=3 if winner else 1.3,
        alpha=1 if winner else 0.6,
        zorder=4 if winner else 3 if complete else 2,
        gid=f"trial-{one.number}",
    )
    if winner:
        axes.annotate(
            str(_("trial {number}", number=one.number)),
            (len(heights) - 1, heights[-1]),
            xytext=(6, -11),
            textcoords="offset points",
            color=VERMILLION,
            fontweight="bold",
            fontsize=9,
            zorder=6,
        )


def _legend(
    trials: Sequence[TrialRecord], with_value: Sequence[TrialRecord], best: int | None
) -> Text:
    states = [one.state for one in with_value]
    return _(
        "a line a trial: {complete} complete (solid), {unfinished} stopped early or under way (dashed, "
        "figure so far), {without} without a figure (not drawn){winner}",
        complete=states.count("complete"),
        unfinished=len(states) - states.count("complete"),
        without=len(trials) - len(with_value),
        winner="" if best is None else _("; thick: the winner, trial {number}", number=best),
    )


def _scale(one: Distribution, values: Sequence[Any]) -> tuple[Place, Ticks]:
    """Where a parameter's values stand between 0 and 1, and the marks of its axis."""
    if isinstance(one, Choice):
        known = sorted(one.values) if _are_numbers(one.values) else list(one.values)
        last = max(1, len(known) - 1)
        step = -(-len(known) // _MOST_TICKS)
        marks = [(i / last, shown(str(v), _LABEL_LENGTH)) for i, v in enumerate(known)][::step]
        return (lambda value: known.index(value) / last if value in known else 0.5), marks
    del values
    return _linear(float(one.low), float(one.high), log=one.log)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(one, int | float) for one in values)


def _metric_scale(settings: SweepSettings, trials: Sequence[TrialRecord]) -> tuple[Place, Ticks]:
    """The metric's axis, better always higher.

    It spans the complete trials where they differ: one at chance would press them into a point.
    What is worse stands at the lower end, whose mark says so.
    """
    sign = 1 if settings.direction == "maximize" else -1
    every = [sign * _value(settings, one) for one in trials]
    complete = [sign * _value(settings, one) for one in trials if one.state == "complete"]
    spanned = complete if len(set(complete)) > 1 else every or [0.0, 1.0]
    place, ticks = _linear(min(spanned), max(spanned), log=False)
    labels = [
        (at, localise(f"{sign * (min(spanned) + at * (max(spanned) - min(spanned))):.4g}"))
        for at, _l in ticks
    ]
    if min(every, default=0.0) < min(spanned):
        labels[0] = labels[0][0], ("≤ " if sign > 0 else "≥ ") + labels[0][1]
    return (lambda value: min(max(place(sign * value), 0.0), 1.0)), labels


def _linear(low: float, high: float, *, log: bool) -> tuple[Place, Ticks]:
    warp: Callable[[float], float] = math.log if log else float
    start, span = warp(low), warp(high) - warp(low)

    def place(value: Any) -> float:
        return (warp(float(value)) - start) / span if span else 0.5

    if not span:
        return place, [(0.5, localise(f"{low:.4g}"))]
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    values = [start + share * span for share in shares]
    return place, [
        (share, localise(f"{math.exp(value) if log else value:.4g}"))
        for share, value in zip(shares, values, strict=True)
    ]
