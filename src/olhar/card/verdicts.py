"""Has training converged, and has it overfitted? Written rules, their numbers beside them.

The figures are those of history.csv: training figures are means over the epoch, on augmented images
and with dropout; validation figures are taken after it, on the whole validation split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from olhar.card.markdown import number, percent
from olhar.evaluation.metrics import wilson_interval
from olhar.i18n import Text, _
from olhar.run.report import LEAST_BELOW, Report

LATE = 5  # the last fifth of the epochs
GAP = 0.05
LOSS_RISE = 0.1
FIGURES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Verdict:
    """A judgement.

    Attributes:
        state: improving, converged, diverged; overfitting, fitting; or unknown.
        title: the judgement in words.
        evidence: the numbers that it rests on.
        rule: how it is made.
    """

    state: str
    title: Text
    evidence: Text
    rule: Text


def judge_convergence(history: Sequence[dict[str, float]], val_count: int) -> Verdict:
    """Whether more epochs would have helped.

    The rule of one standard error is that of Breiman et al., "Classification and regression trees",
    1984, section 3.4.3: what differs by less is not told apart.

    Args:
        history: rows of history.csv.
        val_count: images in the validation split.
    """
    rule = _(
        "Rule: diverged, if a loss is not a number or the training loss ends above where it began; "
        "still improving, if the best validation accuracy of the last fifth of the epochs is more "
        "than one standard error above the best before; converged otherwise."
    )
    for row in history:
        if not math.isfinite(row["train_loss"] + row["val_loss"]):
            evidence = _("In epoch {epoch} a loss is not a number.", epoch=int(row["epoch"]))
            return Verdict("diverged", _("diverged"), evidence, rule)
    if len(history) < 2:
        evidence = _("It takes two epochs at least; history.csv has {n}.", n=len(history))
        return Verdict("unknown", _("cannot be judged"), evidence, rule)
    first, last = history[0]["train_loss"], history[-1]["train_loss"]
    if last > first:
        evidence = _(
            "The training loss was {first} in the first epoch and {last} in the last.",
            first=number(first, 4),
            last=number(last, 4),
        )
        return Verdict("diverged", _("diverged"), evidence, rule)
    window = -(-len(history) // LATE)
    early = max(row["val_accuracy"] for row in history[:-window])
    late = max(row["val_accuracy"] for row in history[-window:])
    error = max(math.sqrt(max(0.0, early * (1 - early)) / max(1, val_count)), 1 / max(1, val_count))
    evidence = _(
        "The best validation accuracy is {late} from epoch {start} on, and {early} before it; one "
        "standard error, with {n} validation images, is {error} points.",
        start=int(history[-window]["epoch"]),
        late=percent(late),
        early=percent(early),
        n=number(val_count),
        error=number(100 * error, 2),
    )
    if late - early > error:
        return Verdict("improving", _("still improving"), evidence, rule)
    return Verdict("converged", _("converged"), evidence, rule)


def judge_split(report: Report) -> Verdict:
    """Whether the images that it was measured on are to the model as its validation images are.

    Args:
        report: of images that are not of the training or validation split.
    """
    rule = _(
        "Rule: lower than chance explains, if the 95% interval of the difference (Newcombe 1998) lies "
        "below zero and the difference is {least} point(s) or more. The figure on validation images is "
        "somewhat too high where the epoch was chosen by them, the more so the fewer they are.",
        least=number(100 * LEAST_BELOW),
    )
    found = report.validation
    if not found:
        evidence = _("The accuracy on validation images is not known.")
        return Verdict("unknown", _("cannot be judged"), evidence, rule)
    evidence = _(
        "Accuracy is {here} on these {n} images and {there} on {m} validation images; the difference is "
        "{difference} points, its 95% interval {low} to {high}.",
        here=percent(report.accuracy),
        n=number(report.n),
        there=percent(found["accuracy"]),
        m=number(int(found["n"])),
        difference=number(100 * (report.accuracy - found["accuracy"]), 1),
        low=number(100 * found["low"], 1),
        high=number(100 * found["high"], 1),
    )
    if report.below_validation:
        return Verdict("below", _("lower than chance explains"), evidence, rule)
    return Verdict("expected", _("no lower than chance explains"), evidence, rule)


def judge_overfitting(
    history: Sequence[dict[str, float]], best: dict[str, float] | None, val_count: int
) -> Verdict:
    """Whether the network knows its training images better than others.

    Args:
        history: rows of history.csv.
        best: the row of the epoch whose weights are kept.
        val_count: images in the validation split.
    """
    rule = _(
        "Rule: overfitting, if in the epoch that is kept the training accuracy is more than "
        "{gap} points above the validation accuracy, and by more than chance explains (half its "
        "95% interval); or if the validation loss ends above the training loss and more than "
        "{rise} above its lowest, while the training loss went on falling. Training accuracy is "
        "taken during the epoch, with augmentation and dropout where there are any, so the true gap "
        "may be larger.",
        gap=number(100 * GAP),
        rise=percent(LOSS_RISE, 0),
    )
    if best is None:
        return Verdict("unknown", _("cannot be judged"), _("No epoch has ended yet."), rule)
    figures = [row[name] for row in history for name in FIGURES]
    if not all(map(math.isfinite, figures)):
        evidence = _("A figure of history.csv is not a number.")
        return Verdict("unknown", _("cannot be judged"), evidence, rule)
    lowest, last = min(history, key=lambda row: row["val_loss"]), history[-1]
    gap = best["train_accuracy"] - best["val_accuracy"]
    low, high = wilson_interval(best["val_accuracy"] * val_count, val_count)
    apart = gap > max(GAP, float(high - low) / 2)
    rising = (
        last["val_loss"] > max((1 + LOSS_RISE) * lowest["val_loss"], last["train_loss"])
        and last["train_loss"] < lowest["train_loss"]
    )
    evidence = _(
        "In epoch {epoch}, which is kept, accuracy is {train} on training images and {val} on "
        "validation images, a gap of {gap} points. The validation loss was lowest, {lowest}, in "
        "epoch {at}; in the last epoch it is {last}, the training loss {train_loss}.",
        epoch=int(best["epoch"]),
        train=percent(best["train_accuracy"]),
        val=percent(best["val_accuracy"]),
        gap=number(100 * gap, 2),
        lowest=number(lowest["val_loss"], 4),
        at=int(lowest["epoch"]),
        last=number(last["val_loss"], 4),
        train_loss=number(last["train_loss"], 4),
    )
    if apart or rising:
        return Verdict("overfitting", _("yes"), evidence, rule)
    return Verdict("fitting", _("no sign of it"), evidence, rule)
