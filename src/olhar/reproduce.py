"""The published experiments, ours beside theirs.

Does not know: how a run is made (the pipeline does). A case's runs are ordinary run folders,
`OUT/CASE-SEED`; one that is there is used, one that was cut off goes on.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, unknown_name
from olhar.i18n import Text, _, in_english, localise, number
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.networks.specs import count_parameters
from olhar.pipeline import evaluate, resume, train
from olhar.progress import Progress
from olhar.run import Run, RunFolder
from olhar.training.recipe import SETTINGS, kept_recipe

SMALL_GAP = 0.02


@dataclass(frozen=True)
class Case:
    """One published experiment.

    Attributes:
        name: what it is called here.
        data: a named data set.
        network: a network's name.
        published: its published accuracy, None where only the network is published.
        caveat: what is to be known of that figure.
        settings: arguments of `train` that differ from its own and the kept recipe's.
    """

    name: str
    data: str
    network: str
    published: float | None = None
    caveat: Text | str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


_PLAIN = {"translate": 0.0, "rotate": 0.0, "zoom": 0.0}
_ANOTHER = _("another network than its name says")

CASES: tuple[Case, ...] = (
    Case("lenet5", "mnist", "lenet5", 0.9493, _("without augmentation"), _PLAIN),
    Case("lenet5-augmented", "mnist", "lenet5", 0.9357, _("with augmentation")),
    Case("ivannet", "mnist", "ivannet", 0.9199),
    Case("gmnet", "mnist", "gmnet", 0.9913, _("a validation figure; .9937 with augmentation")),
    Case("lenet5-cifar10", "cifar10", "lenet5"),
    Case("cnn-32-64-64", "cifar10", "cnn-32-64-64", 0.71, _(".69 to .71, 10 epochs")),
    Case("2cnn+256+256_20dropout", "cifar10", "2cnn+256+256_20dropout"),
    Case("2cnn+512_0dropout", "cifar10", "2cnn+512_0dropout"),
    Case("2cnn+512_10dropout", "cifar10", "2cnn+512_10dropout"),
    Case("2cnn+512_20dropout", "cifar10", "2cnn+512_20dropout", 0.798, _("stopped early")),
    Case("2cnn+512+256_50dropout", "cifar10", "2cnn+512+256_50dropout", None, _ANOTHER),
    Case("2cnn+1024_50dropout", "cifar10", "2cnn+1204_50dropout", None, _ANOTHER),
    Case("3cnn+512_50dropout", "cifar10", "3cnn+512_50dropout", 0.814, _("stopped early")),
    Case(
        "3cnn+128+128+128_50dropout_sigmoid",
        "cifar10",
        "3cnn+128+128+128_50dropout_sigmoid",
        0.788,
        _("stopped early"),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What a case gave here.

    Attributes:
        case: the experiment.
        accuracies: on the test split, one a seed.
        gap: mean of accuracy on the training split less that on the validation split.
        parameters: of the network.
        seconds: mean time of training.
        chosen: whether the rule "no overfitting, then simplicity" takes it among its data's cases.
    """

    case: Case
    accuracies: tuple[float, ...]
    gap: float
    parameters: int
    seconds: float
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As `reproduce --json` prints it."""
        return {
            "case": self.case.name,
            "data": self.case.data,
            "network": self.case.network,
            "published": self.case.published,
            "caveat": in_english(self.case.caveat),
            "accuracy": statistics.mean(self.accuracies),
            "spread": statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None,
            "accuracies": list(self.accuracies),
            "gap": self.gap,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "chosen": self.chosen,
        }


def find_cases(names: Sequence[str]) -> list[Case]:
    """The cases of these names; all where none is named.

    Raises:
        UnknownNameError: there is no such case.
    """
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise unknown_name(_("case"), name, known)
    return [known[name] for name in names] if names else list(CASES)


def reproduce(
    cases: Sequence[Case],
    *,
    seeds: int = 3,
    out: Path = Path("runs/reproduce"),
    progress: Progress | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Train each case with seeds 0, 1, … and measure it.

    Args:
        cases: which.
        seeds: how many seeds each.
        out: the folder of the run folders.
        progress: hears of the progress.
        **settings: beat the settings of the cases, such as epochs.
    """
    progress = progress or Progress()
    outcomes = []
    for case in cases:
        runs = [_run(case, seed, out, progress, settings) for seed in range(seeds)]
        outcomes.append(_outcome(case, runs, progress))
    return choose(outcomes)


def _run(case: Case, seed: int, out: Path, progress: Progress, settings: Mapping[str, Any]) -> Run:
    path = out / f"{case.name}-{seed}"
    folder = RunFolder(path)
    merged = {**case.settings, **settings, "seed": seed}
    if folder.config.is_file():
        _check_same(folder, {"epochs": kept_recipe(case.network, case.data)["epochs"], **merged})
        return resume(path, progress=progress)
    progress.note(_("{case}, seed {seed}", case=case.name, seed=seed))
    return train(case.data, case.network, run=path, progress=progress, **merged)


def _check_same(folder: RunFolder, wanted: Mapping[str, Any]) -> None:
    """Refuse a run that is there but was made with other settings."""
    config = folder.read_config()
    found = {**config["recipe"], **config.get("resources", {}), **config["network"]["settings"]}
    known = SETTINGS | NETWORK
    for key, value in wanted.items():
        if key in found and known[key].write(found[key]) != known[key].write(value):
            raise ConfigError(
                _(
                    "run '{path}' was made with {key} {found}, not {wanted}; choose another --out or "
                    "remove it",
                    path=folder.path,
                    key=key,
                    found=found[key],
                    wanted=value,
                )
            )


def _outcome(case: Case, runs: Sequence[Run], progress: Progress) -> Outcome:
    gaps = []
    for run in runs:
        on_train = evaluate(run.path, split="train", progress=progress)
        on_val = evaluate(run.path, split="val", progress=progress)
        gaps.append(on_train.accuracy - on_val.accuracy)
    return Outcome(
        case=case,
        accuracies=tuple(run.report.accuracy for run in runs),
        gap=statistics.mean(gaps),
        parameters=count_parameters(runs[0].network)[0],
        seconds=statistics.mean(run.seconds for run in runs),
    )


def choose(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Mark, for each data set, what "no overfitting, then simplicity" chooses.

    Of the cases whose train–validation gap is at most 0.02 (or, where there is none, the smallest
    gap), the one with the fewest parameters; of equals, the more accurate.
    """
    chosen = set()
    for data in {outcome.case.data for outcome in outcomes}:
        group = [outcome for outcome in outcomes if outcome.case.data == data]
        bound = max(SMALL_GAP, min(outcome.gap for outcome in group))
        fit = [outcome for outcome in group if outcome.gap <= bound]
        best = min(fit, key=lambda o: (o.parameters, -statistics.mean(o.accuracies)))
        chosen.add(best.case.name)
    return [
        Outcome(o.case, o.accuracies, o.gap, o.parameters, o.seconds, o.case.name in chosen)
        for o in outcomes
    ]


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The table of docs/reproduce.md."""
    head = [
        *(_("case"), _("data"), _("published"), _("ours, test"), _("seeds"), _("train − val")),
        *(_("parameters"), _("training, s"), _("chosen"), _("caveat")),
    ]
    rows = [[str(cell) for cell in head], ["---"] * len(head)]
    for outcome in outcomes:
        facts = outcome.to_dict()
        spread = "" if facts["spread"] is None else f" ± {number(facts['spread'], 4)}"
        rows.append(
            [
                f"`{facts['case']}`",
                facts["data"],
                "" if facts["published"] is None else str(number(facts["published"], 4)),
                f"{number(facts['accuracy'], 4)}{spread}",
                str(len(outcome.accuracies)),
                localise(f"{facts['gap']:+.4f}"),
                str(number(facts["parameters"])),
                str(number(facts["seconds"])),
                str(_("yes")) if outcome.chosen else "",
                str(outcome.case.caveat),
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
