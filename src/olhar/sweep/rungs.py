"""Successive halving: which trials may go on, from what all of them have shown so far.

Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
AISTATS 2016; Li et al., "A system for massively parallel hyperparameter tuning" (ASHA), MLSys 2020.
Like ASHA, a trial that has reached a rung is paused, not ended, and no worker waits: further trials
begin meanwhile. Unlike ASHA, a rung of up to 27 trials is filled before one of them goes on that
could still be overtaken. So the outcome depends on the trials alone, neither on the order in which
they end nor on the number of workers, and the first trial has no advantage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REDUCTION = 3
BRACKET = REDUCTION**3
Score = tuple[float, float]  # larger is better: the metric, then minus the loss


@dataclass(frozen=True)
class Standing:
    """What a trial that is still in the race has shown.

    Attributes:
        number: of the trial.
        scores: of each epoch so far.
        done: it has been trained to its end.
    """

    number: int
    scores: Sequence[Score]
    done: bool = False

    def reached(self, epoch: int) -> bool:
        """Whether its figure at a rung is known."""
        return self.done or len(self.scores) >= epoch

    def best_by(self, epoch: int) -> Score:
        """Its best score by an epoch."""
        return max(self.scores[:epoch], default=(float("-inf"), 0.0))


def rungs(epochs: int) -> list[int]:
    """The epochs after which trials are compared: a ninth and a third of all."""
    found = {max(1, round(epochs / REDUCTION**power)) for power in (2, 1)}
    return sorted(rung for rung in found if rung < epochs)


def allowed(
    group: Sequence[Standing], epochs: int, finalists: int, anchor: int | None = None
) -> set[int]:
    """The numbers of the trials of a bracket that may be trained further now, done ones among them.

    Args:
        group: all trials of the bracket that have not failed, those not yet begun among them.
        epochs: of a whole training.
        finalists: so many are to reach the end at least.
        anchor: the number of a trial that is among those that go on, whatever it shows.
    """
    may: set[int] = set()
    known, size = list(group), len(group)
    for rung in rungs(epochs):
        keep = max(finalists, size // REDUCTION)
        if keep >= size:
            continue
        arrived = sorted(
            (one for one in known if one.reached(rung)),
            key=lambda one: (one.number == anchor, one.best_by(rung), -one.number),
            reverse=True,
        )
        may |= {one.number for one in known if not one.reached(rung)}
        overtaking = size - len(arrived)  # so many may still come before any of them
        known, size = arrived[: max(0, keep - overtaking)], keep
    return may | {one.number for one in known}
