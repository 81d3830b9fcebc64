"""The trial that a search is measured against: what is known to work, as near as the space has it.

A random or TPE search begins with it. It is never stopped for being slower than others, so that the
winner is always compared with it, over whole trainings: a search among few trials would otherwise
often end with something worse than what one has without it.
"""

from __future__ import annotations

import math
from typing import Any

from olhar.pipeline.trials import plan_trial
from olhar.sweep.settings import SweepSettings, draw_trials
from olhar.sweep.space import Choice, Distribution, IntRange


def baseline(settings: SweepSettings) -> dict[str, Any]:
    """Of each parameter the value nearest to the kept recipe's or the network's own."""
    plan = plan_trial(settings.data, settings.network, settings.fixed)
    known = {**plan.recipe.to_dict(), **plan.network_settings}
    return {name: nearest(one, known[name]) for name, one in settings.space.items()}


def nearest(one: Distribution, value: Any) -> Any:
    """The value of a distribution nearest to `value`; of positive numbers by their ratio."""
    if isinstance(one, Choice):
        text: Any = "+".join(map(str, value)) if isinstance(value, list | tuple) else value
        if text in one.values:
            return text
        if not all(_is_number(other) for other in (text, *one.values)):
            return one.values[0]
        return min(one.values, key=lambda other: _distance(other, text))
    if isinstance(one, IntRange) and one.step != 1:
        return min(one.grid(), key=lambda other: _distance(other, value))
    return min(max(value, one.low), one.high)


def list_trials(settings: SweepSettings) -> list[dict[str, Any]]:
    """The parameters of every trial of a random or grid search; of TPE the first alone.

    A grid keeps its order.
    """
    if settings.method == "grid":
        return draw_trials(settings)
    first = baseline(settings)
    if settings.method == "tpe":
        return [first]
    others = [params for params in draw_trials(settings) if params != first]
    return [first, *others][: settings.trials]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distance(first: float, second: float) -> float:
    if first > 0 and second > 0:
        return abs(math.log(first / second))
    return abs(first - second)
