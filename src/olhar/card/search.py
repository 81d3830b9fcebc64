"""How a sweep came to its winner: `search.json` in the winner's run folder, and its part of the card.

A sweep writes the file (`olhar.sweep.records.Decision`); this room only reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from olhar.card.markdown import (
    VALUE_LENGTH,
    Block,
    number,
    percent,
    plain,
    setting,
    significant,
    table,
)
from olhar.errors import ModelError, explain_os_errors
from olhar.i18n import Text, _

if TYPE_CHECKING:
    from olhar.run import RunFolder

SEARCH = "search.json"
_SIGNIFICANT = 0.05
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Finalist:
    """A trial that was trained again with further seeds.

    Attributes:
        number: of the trial.
        params: what was searched, by name.
        values: the metric on the validation split, one a seed.
        mean: of `values`.
        p: of the paired test against the best finalist; None for that one.
        gap: accuracy on the training split less that on the validation split.
        parameters: of the network.
    """

    number: int
    params: Mapping[str, Any]
    values: list[float]
    mean: float
    p: float | None
    gap: float
    parameters: int


@dataclass(frozen=True)
class Search:
    """A sweep as the card of its winner tells it.

    Attributes:
        winner: number of the trial.
        params: of the winner.
        method: random, grid or tpe.
        metric: accuracy, f1 or loss, of the validation split.
        searched: parameter → what it was drawn from.
        trials: how many ended in each state.
        n_val: validation images.
        rule: only, best or simplicity.
        finalists: best mean first; empty where there were no finals.
        runner_up: number of the trial that the winner was tested against, or None.
        p: of that test.
    """

    winner: int
    params: Mapping[str, Any]
    method: str
    metric: str
    searched: Mapping[str, str]
    trials: Mapping[str, int]
    n_val: int
    rule: str
    finalists: list[Finalist]
    runner_up: int | None
    p: float | None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Search:
        """From the content of search.json; KeyError, TypeError or ValueError where it is damaged."""
        if values["format"] != 1:
            raise ValueError(values["format"])
        runner_up, p = values.get("runner_up"), values.get("p")
        return cls(
            winner=int(values["winner"]),
            params=dict(values["params"]),
            method=str(values["method"]),
            metric=str(values["metric"]),
            searched={str(key): str(text) for key, text in values["searched"].items()},
            trials={str(state): int(count) for state, count in values["trials"].items()},
            n_val=int(values["n_val"]),
            rule=str(values["rule"]),
            finalists=[_finalist(one) for one in values.get("finalists", [])],
            runner_up=None if runner_up is None else int(runner_up),
            p=None if p is None else float(p),
        )


def _finalist(values: Mapping[str, Any]) -> Finalist:
    p = values.get("p")
    return Finalist(
        number=int(values["number"]),
        params=dict(values["params"]),
        values=[float(value) for value in values["values"]],
        mean=float(values["mean"]),
        p=None if p is None else float(p),
        gap=float(values["gap"]),
        parameters=int(values["parameters"]),
    )


def read_search(folder: RunFolder) -> Search | None:
    """How a run was chosen; None where it is no winner of a sweep.

    Raises:
        ModelError: search.json is damaged.
    """
    path = folder.path / SEARCH
    with explain_os_errors(path):
        if not path.is_file():
            return None
        content = path.read_bytes()
    try:
        return Search.from_dict(json.loads(content))
    except _DAMAGE as error:
        raise ModelError(_("'{path}' is damaged: {reason}", path=path, reason=error)) from error


def search_story(search: Search) -> list[Block]:
    """What was tried, and why this one was taken."""
    rows = [
        (plain(name), plain(text, VALUE_LENGTH), setting(search.params.get(name, "?")))
        for name, text in search.searched.items()
    ]
    head = (_("parameter"), _("searched among"), _("chosen"))
    blocks: list[Block] = [
        _("**How its settings were chosen.** {story}", story=tell(search)),
        table(head, rows, numbers_from=3),
    ]
    if search.finalists:
        blocks += [_finals_title(search), _finals(search)]
    return blocks


def _finals_title(search: Search) -> Text:
    seeds, n = max(len(one.values) for one in search.finalists), number(search.n_val)
    if seeds > 1:
        return _(
            "Finalists, each trained with {seeds} seeds; all figures are of the validation split "
            "({n} images), save the parameters:",
            seeds=seeds,
            n=n,
        )
    return _(
        "Finalists, each trained once; all figures are of the validation split ({n} images), save "
        "the parameters:",
        n=n,
    )


def tell(search: Search) -> Text:
    """The search in a few sentences."""
    counts = search.trials
    return _(
        "A {method} search trained {all} trials: {complete} to the end, {stopped} stopped early on "
        "validation, {failed} failed. The choice was made on the validation split alone; the test "
        "split was read once, for the winner. {why}",
        method={"grid": _("grid"), "random": _("random")}.get(search.method, "TPE"),
        all=number(sum(counts.values())),
        complete=number(counts.get("complete", 0)),
        stopped=number(counts.get("stopped", 0)),
        failed=number(counts.get("failed", 0)),
        why=explain_choice(search),
    )


def explain_choice(search: Search) -> Text:
    """Why the winner won, in a sentence."""
    winner, metric = search.winner, _metric(search.metric)
    if search.rule == "only":
        return _("Trial {winner} was the only one trained to its end.", winner=winner)
    if search.runner_up is None or search.p is None:
        return _("Trial {winner} has the best {metric}.", winner=winner, metric=metric)
    told = {"winner": winner, "other": search.runner_up, "metric": metric, "p": p_value(search.p)}
    if search.rule == "simplicity":
        return _(
            "Trials {winner} and {other} do not differ beyond chance ({metric}, paired test, p {p}), "
            "so the simpler was taken: trial {winner}, which overfits less or has fewer parameters.",
            **told,
        )
    if search.p < _SIGNIFICANT:
        return _(
            "Trial {winner} is ahead of trial {other} beyond chance ({metric}, paired test, p {p}).",
            **told,
        )
    return _(
        "Trial {winner} has the best {metric}; its lead over trial {other} may be chance (paired "
        "test, p {p}), and trial {other} is no simpler, or half a point behind.",
        **told,
    )


def seed_spread(search: Search) -> tuple[float, float, int] | None:
    """(lowest, highest, how many) of the winner's validation figures over seeds, if it has several."""
    for one in search.finalists:
        if one.number == search.winner and len(one.values) > 1:
            return min(one.values), max(one.values), len(one.values)
    return None


def figure(metric: str, value: float) -> str:
    """A metric's value: a share as percentage, a loss as number."""
    if not math.isfinite(value):
        return number(value)
    return number(value, 4) if metric == "loss" else percent(value)


def p_value(p: float) -> str:
    """`= 0.031`, or `< 0.001`."""
    return f"= {significant(p)}" if p >= 0.001 else f"< {number(0.001, 3)}"


def _metric(metric: str) -> Text | str:
    known = {
        "accuracy": _("validation accuracy"),
        "f1": _("validation F1"),
        "loss": _("validation loss"),
    }
    return known.get(metric) or plain(metric)


def _finals(search: Search) -> str:
    metric, several = _metric(search.metric), any(len(one.values) > 1 for one in search.finalists)
    title = _("mean {metric}", metric=metric) if several else metric
    head = (
        *(_("trial"), title, *((_("of each seed"),) if several else ())),
        *(_("p against the first"), _("train − val"), _("parameters")),
    )
    rows: list[list[Block]] = []
    for one in search.finalists:
        name = str(one.number)
        each = " · ".join(figure(search.metric, value) for value in one.values)
        rows.append(
            [
                f"**{name}**" if one.number == search.winner else name,
                figure(search.metric, one.mean),
                *([each] if several else []),
                "–" if one.p is None else significant(one.p),
                percent(one.gap),
                number(one.parameters),
            ]
        )
    return table(head, rows)
