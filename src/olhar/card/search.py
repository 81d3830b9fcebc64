"""How a sweep came to its winner, as the winner's card tells it."""

from __future__ import annotations

import math

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
from olhar.i18n import Text, _
from olhar.run.search import SearchRecord

_SIGNIFICANT = 0.05


def search_story(search: SearchRecord) -> list[Block]:
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


def _finals_title(search: SearchRecord) -> Text:
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


def tell(search: SearchRecord) -> Text:
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


def explain_choice(search: SearchRecord) -> Text:
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


def seed_spread(search: SearchRecord) -> tuple[float, float, int] | None:
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


def _finals(search: SearchRecord) -> str:
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
