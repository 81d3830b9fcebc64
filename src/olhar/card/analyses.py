"""The section "Quantitative analyses": scores, classes, learning curve, confusions, worst errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olhar.card.estimates import cross_validation, photo_curve
from olhar.card.facts import Facts
from olhar.card.markdown import (
    Block,
    bullets,
    interval,
    number,
    paragraphs,
    percent,
    plain,
    significant,
    table,
)
from olhar.card.verdicts import Verdict, judge_convergence, judge_overfitting, judge_split
from olhar.i18n import _
from olhar.run.answers import Answer
from olhar.run.report import SPLITS, Report

MOST_CLASSES = 100
MOST_CONFUSIONS = 10
MOST_ERRORS = 10


def split_title(split: str) -> Block:
    """A split as a sentence calls it."""
    return SPLITS.get(split) or plain(split)


def quantitative_analyses(facts: Facts) -> list[Block]:
    """Every number of the run; of a run that was cut off, what there is."""
    blocks: list[Block] = []
    if facts.measured:
        blocks += [*_scores(facts.measured), *_calibration(facts, facts.measured), *_classes(facts)]
        blocks += cross_validation(facts)
    else:
        blocks += [_("Nothing has been measured yet: this run has no metrics.json.")]
    blocks += [*_learning_curve(facts), *photo_curve(facts)]
    if facts.measured:
        blocks += [*_confusions(facts, facts.measured), *_errors(facts)]
    return [*blocks, *_on_boards(facts), *_energy(facts)]


def _picture(facts: Facts, path: Path, title: Block) -> list[Block]:
    return [f"![{title}]({path.name})"] if facts.has(path) else []


def _scores(report: Report) -> list[Block]:
    titles = {"precision": _("precision"), "recall": _("recall"), "f1": _("F1")}
    rows: list[Sequence[Block]] = [
        (_("accuracy"), percent(report.accuracy), interval(report.intervals["accuracy"]))
    ]
    for key, title in titles.items():
        value, bounds = getattr(report, key), report.intervals[key]
        rows.append((_("{score}, macro", score=title), percent(value), interval(bounds)))
    for key, title in titles.items():
        rows.append((_("{score}, weighted", score=title), percent(report.weighted[key]), "–"))
    rows += [
        (_("loss (nats)"), number(report.loss, 4), "–"),
        (_("expected calibration error"), percent(report.ece), "–"),
    ]
    support = [sum(row) for row in report.confusion_matrix]
    baseline = _(
        "For comparison: always answering the class with the most images would be right for {share} "
        "of them.",
        share=percent(max(support) / max(1, sum(support))),
    )
    where = _(
        "Measured on {n} images of the {split}.",
        n=number(report.n),
        split=split_title(report.split),
    )
    return [
        _("### Scores"),
        where,
        *(_("**Note:** {reservation}.", reservation=one) for one in report.reservations()),
        table((_("score"), _("value"), _("95% interval")), rows),
        baseline,
        *_beside_validation(report),
    ]


def _beside_validation(report: Report) -> list[Block]:
    if not report.validation:
        return []
    verdict = judge_split(report)
    said = _(
        "**Beside validation: {verdict}.** {evidence}",
        verdict=verdict.title,
        evidence=verdict.evidence,
    )
    return [said, verdict.rule]


def _calibration(facts: Facts, report: Report) -> list[Block]:
    found = report.calibration
    if not found:
        return []
    titles = {
        "temperature": _("temperature"),
        "ece_before": _("expected calibration error before"),
        "ece_after": _("expected calibration error after"),
        "threshold": _("“not sure” below a probability of"),
        "coverage": _("images of which the model is sure"),
        "sure_accuracy": _("accuracy where it is sure"),
    }
    rows = [
        (title, number(found[key], 3) if key == "temperature" else percent(found[key]))
        for key, title in titles.items()
        if key in found
    ]
    return [
        _("### Calibration"),
        _(
            "Logits are divided by a temperature chosen on the validation split (Guo et al. 2017), "
            "so that a probability of 80% is right in about 80% of cases."
        ),
        table((_("figure"), _("value")), rows),
        *_picture(facts, facts.folder.reliability, _("Reliability diagram")),
    ]


def _classes(facts: Facts) -> list[Block]:
    report = facts.measured
    if report is None:
        return []
    order = list(range(len(report.per_class)))
    blocks: list[Block] = [_("### By class")]
    if len(order) > MOST_CLASSES:
        order = sorted(order, key=lambda k: report.per_class[k]["f1"])[:MOST_CLASSES]
        blocks.append(
            _(
                "The {count} classes with the lowest F1, of {all}; the others are in metrics.json.",
                count=MOST_CLASSES,
                all=len(report.per_class),
            )
        )
    head = (_("index"), _("class"), _("images"), _("precision"), _("recall"))
    rows = []
    for k in order:
        one = report.per_class[k]
        rows.append(
            (
                str(k),
                plain(facts.class_names[k]),
                number(one["support"]),
                percent(one["precision"]),
                percent(one["recall"]),
                interval(one["recall_interval"]),
                percent(one["f1"]),
            )
        )
    blocks.append(table((*head, _("95% interval of recall"), _("F1")), rows, numbers_from=2))
    return [
        *blocks,
        *_picture(facts, facts.folder.per_class, _("Scores by class, with 95% intervals")),
    ]


def verdicts(facts: Facts) -> tuple[Verdict, Verdict]:
    """Convergence and overfitting of the epochs that the run has."""
    val = facts.config["data"]["sizes"]["val"]
    convergence = judge_convergence(facts.history, val)
    return convergence, judge_overfitting(facts.history, facts.best, val)


def _learning_curve(facts: Facts) -> list[Block]:
    convergence, overfitting = verdicts(facts)
    picture = _picture(
        facts, facts.folder.learning_curve, _("Loss and accuracy by epoch, training and validation")
    )
    return [
        _("### Learning curve"),
        *picture,
        _(
            "**Convergence: {verdict}.** {evidence}",
            verdict=convergence.title,
            evidence=convergence.evidence,
        ),
        convergence.rule,
        _(
            "**Overfitting: {verdict}.** {evidence}",
            verdict=overfitting.title,
            evidence=overfitting.evidence,
        ),
        overfitting.rule,
    ]


def _confusions(facts: Facts, report: Report) -> list[Block]:
    cells = [
        (count, true, guess)
        for true, row in enumerate(report.confusion_matrix)
        for guess, count in enumerate(row)
        if count and true != guess
    ]
    cells.sort(key=lambda cell: (-cell[0], cell[1], cell[2]))
    picture = _picture(
        facts, facts.folder.confusion_matrix, _("Confusion matrix: rows are the true class")
    )
    blocks: list[Block] = [_("### Confusion matrix"), *picture]
    if not cells:
        return [*blocks, _("No class was taken for another.")]
    names = [plain(name) for name in facts.class_names]
    support = [sum(row) for row in report.confusion_matrix]
    rows = [
        (names[true], names[guess], number(count), percent(count / max(1, support[true])))
        for count, true, guess in cells[:MOST_CONFUSIONS]
    ]
    head = (_("true class"), _("taken for"), _("images"), _("share of the true class"))
    return [*blocks, _("The most frequent confusions:"), table(head, rows, numbers_from=2)]


def _errors(facts: Facts) -> list[Block]:
    if not facts.answers:
        return []
    errors = [one for one in facts.answers if not one.is_right]
    errors.sort(key=_how_wrong, reverse=True)
    blocks: list[Block] = [
        _("### Worst errors"),
        *_picture(facts, facts.folder.worst_errors, _("The worst errors, with their photos")),
    ]
    if not errors:
        n = number(len(facts.answers))
        return [*blocks, _("There is no error: all {n} images are labelled rightly.", n=n)]
    explained = _(
        "The {count} most confident of {errors} errors, from predictions.csv:",
        count=number(min(MOST_ERRORS, len(errors))),
        errors=number(len(errors)),
    )
    rows: list[Sequence[Block]] = []
    for one in errors[:MOST_ERRORS]:
        names = [plain(facts.shown_name(name)) for name in (one.label, one.predicted)]
        true = [] if one.true_probability is None else [percent(one.true_probability)]
        rows.append((plain(one.item), *names, percent(one.probability), *true))
    head = [_("image"), _("true class"), _("predicted"), _("probability")]
    head += [_("probability of the true class")] if errors[0].true_probability is not None else []
    return [*blocks, explained, table(head, rows, numbers_from=3)]


def _how_wrong(one: Answer) -> float:
    """p(predicted) − p(true) where that is known, else p(predicted)."""
    return one.probability - (one.true_probability or 0.0)


def _on_boards(facts: Facts) -> list[Block]:
    if not facts.exports:
        return []
    rows = [
        (
            plain(one.precision),
            plain(one.views),
            number(one.flash_bytes),
            number(one.ram_bytes),
            number(one.macs),
            "–" if one.accuracy is None else percent(one.accuracy),
            "–" if one.test_images is None else number(one.test_images),
        )
        for one in facts.exports
    ]
    head = (
        *(_("numbers"), _("views"), _("flash, bytes"), _("RAM, bytes"), _("multiply-adds")),
        *(_("accuracy"), _("test images")),
    )
    return [
        _("### On a board"),
        _(
            "The model as C99 (`olhar export --format c`), compiled for a Cortex-M4; the accuracy is that "
            "of the compiled C on the test split."
        ),
        table(head, rows, numbers_from=2),
    ]


def _energy(facts: Facts) -> list[Block]:
    found = facts.energy
    if not found:
        return []
    kwh, co2_kg = found["kwh"], found["co2_kg"]
    electricity = _("electricity: {amount} Wh", amount=significant(1000 * kwh))
    if kwh >= 0.1:
        electricity = _("electricity: {amount} kWh", amount=significant(kwh))
    gas = _("CO2 equivalent: {amount} g", amount=significant(1000 * co2_kg))
    if co2_kg >= 0.1:
        gas = _("CO2 equivalent: {amount} kg", amount=significant(co2_kg))
    country = _("electricity mix of: {country}", country=plain(found["country"]))
    method = _("estimated by: {method}", method=paragraphs(found["method"] or "?")[0])
    return [_("### Energy and CO2"), bullets([electricity, gas, country, method])]
