"""Does a card still say what the run says, and do the files of the run agree with each other?

Three looks, and nothing is written: each README is rendered again and compared line by line; the
scores of metrics.json are computed again from predictions.csv; model/ is loaded, which checks the
sha256 of its files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from olhar.card.facts import Facts, read_facts
from olhar.card.write import CARDS, render_cards
from olhar.classifier import load_classifier
from olhar.errors import OlharError, explain_os_errors
from olhar.evaluation import metrics
from olhar.i18n import Text, _
from olhar.run import RunFolder
from olhar.run.report import Report, short_name
from olhar.shown import quoted

BINS = 15
EXACT = 1e-9
# A bootstrap depends on the random numbers of a NumPy version; 2,000 resamples agree to this.
RESAMPLED = 2e-3
ROUNDED = 1e-6  # of a probability in predictions.csv
_SHOWN = 120  # characters


def check(folder: RunFolder) -> list[Text]:
    """See `olhar.card.check_card`."""
    folder.read_config()
    try:
        facts = read_facts(folder)
    except OlharError as error:
        return [_("{reason}", reason=error)]
    found = list(_check_cards(facts))
    if facts.measured:
        found += _check_metrics(facts, facts.measured)
    if facts.model:
        found += _check_model(facts, folder.model)
    return found


def _check_cards(facts: Facts) -> Iterator[Text]:
    expected = render_cards(facts)
    for name, _language, _tag in CARDS:
        path = facts.folder.path / name
        with explain_os_errors(path):
            content = path.read_bytes() if path.is_file() else None
        if content is None:
            yield _(
                "{file} is missing; write it with: olhar card {run}",
                file=name,
                run=quoted(path.parent),
            )
            continue
        text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
        yield from _compare(name, text.split("\n"), expected[path].split("\n"))


def _compare(name: str, found: list[str], expected: list[str]) -> Iterator[Text]:
    """A sentence for each stretch of lines that differs."""
    matcher = difflib.SequenceMatcher(None, found, expected, autojunk=False)
    for kind, start, stop, first, last in matcher.get_opcodes():
        if kind == "equal":
            continue
        pairs = max(stop - start, last - first)
        for offset in range(pairs):
            ours = found[start + offset] if start + offset < stop else ""
            theirs = expected[first + offset] if first + offset < last else ""
            ours, theirs = _differing(ours, theirs)
            yield _(
                "{file}, line {line}: found “{found}”, the run says “{expected}”",
                file=name,
                line=min(start + offset, max(start, stop - 1)) + 1,
                found=short_name(ours, _SHOWN) if ours.strip() else "",
                expected=short_name(theirs, _SHOWN) if theirs.strip() else "",
            )


def _differing(found: str, expected: str) -> tuple[str, str]:
    """The words of two lines between their common beginning and end."""
    ours, theirs = found.split(" "), expected.split(" ")
    while ours and theirs and ours[0] == theirs[0]:
        ours, theirs = ours[1:], theirs[1:]
    while ours and theirs and ours[-1] == theirs[-1]:
        ours, theirs = ours[:-1], theirs[:-1]
    return " ".join(ours), " ".join(theirs)


def _check_metrics(facts: Facts, report: Report) -> Iterator[Text]:
    """metrics.json against predictions.csv and config.toml."""
    file, fingerprint = facts.folder.metrics.name, facts.config["data"]["fingerprint"]
    if report.data["fingerprint"] != fingerprint:
        yield _differs(file, "data.fingerprint", report.data["fingerprint"], fingerprint)
    if not facts.answers:
        yield _("predictions.csv is missing or empty: the scores of metrics.json cannot be checked")
        return
    index = {name: k for k, name in enumerate(report.class_names)}
    named = {name for one in facts.answers for name in (one.label, one.predicted)}
    unknown = sorted(named - set(index))
    if unknown:
        yield _(
            "predictions.csv names classes that metrics.json does not have: {names}",
            names=", ".join(short_name(name, 40) for name in unknown[:5]),
        )
        return
    labels = np.array([index[one.label] for one in facts.answers])  # (N,)
    predicted = np.array([index[one.predicted] for one in facts.answers])  # (N,)
    top = np.array([one.probability for one in facts.answers])  # (N,) float64
    confusion = metrics.confusion_matrix(labels, predicted, len(index))
    if report.confusion_matrix != confusion.tolist():
        yield _(
            "metrics.json: confusion_matrix is not that of predictions.csv, which has {n} images, "
            "{right} of them right",
            n=len(labels),
            right=int(confusion.trace()),
        )
    for name, value, expected, tolerance in _figures(report, confusion, labels == predicted, top):
        if not abs(value - expected) <= tolerance:
            yield _differs(file, name, f"{value:.10g}", f"{expected:.10g}")
    yield from _check_calibration(facts, report.calibration, labels == predicted, top)


def _figures(report: Report, confusion: Any, right: Any, top: Any) -> Iterator[Any]:
    """(name, value in the report, value computed again, tolerance) of each figure."""
    found = metrics.scores(confusion)
    yield "n", report.n, len(right), 0
    yield "accuracy", report.accuracy, float(found["accuracy"]), EXACT
    resampled = metrics.bootstrap_intervals(confusion)
    bounds: dict[str, Any] = {"accuracy": metrics.wilson_interval(right.sum(), len(right))}
    for key in metrics.AVERAGED:
        bounds[key] = resampled[f"macro_{key}"]
        yield key, getattr(report, key), float(found[f"macro_{key}"]), EXACT
        yield f"weighted.{key}", report.weighted[key], float(found[f"weighted_{key}"]), EXACT
    for key, pair in bounds.items():
        tolerance = EXACT if key == "accuracy" else RESAMPLED
        for end in (0, 1):
            value, expected = report.intervals[key][end], float(pair[end])
            yield f"intervals.{key}[{end}]", value, expected, tolerance
    correct = confusion.diagonal()
    recall = metrics.wilson_interval(correct, confusion.sum(axis=1))
    precision = metrics.wilson_interval(correct, confusion.sum(axis=0))
    for k, one in enumerate(report.per_class):
        values: dict[str, Any] = {**one}
        for key in (*metrics.AVERAGED, "support"):
            yield f"per_class[{k}].{key}", values[key], float(found[key][k]), EXACT
        for end in (0, 1):
            place = f"per_class[{k}].recall_interval[{end}]"
            yield place, one["recall_interval"][end], float(recall[end][k]), EXACT
            place = f"per_class[{k}].precision_interval[{end}]"
            yield place, one["precision_interval"][end], float(precision[end][k]), EXACT
    # Rounding can carry a probability over the edge of its bin, and so move its share of the error.
    edge = np.abs(top * BINS - np.round(top * BINS)) < BINS * ROUNDED
    moved = float((edge & (top < 1 - ROUNDED)).sum()) / max(1, len(top))
    yield "ece", report.ece, _ece(top, right), 2 * moved + 2 * ROUNDED


def _ece(top: Any, right: Any) -> float:
    """The expected calibration error of top probabilities (N,) that are right or not (N,) bool."""
    probs = np.stack([top, np.full(len(top), -1.0)], axis=1)  # (N, 2): the first is the answer
    return metrics.expected_calibration_error(probs, np.where(right, 0, 1), BINS)


def _check_calibration(
    facts: Facts, stated: Mapping[str, float], right: Any, top: Any
) -> Iterator[Text]:
    """The calibration table against the model and predictions.csv."""
    file = facts.folder.metrics.name
    if facts.model:
        for key in ("temperature", "threshold"):
            value = float(getattr(facts.model, key))
            if key in stated and abs(stated[key] - value) > ROUNDED:
                yield _differs(file, f"calibration.{key}", f"{stated[key]:.10g}", f"{value:.10g}")
    if "threshold" not in stated:
        return
    sure = top >= stated["threshold"]  # (N,) bool
    near = float((np.abs(top - stated["threshold"]) <= ROUNDED).sum())
    expected: Mapping[str, float] = {"coverage": float(sure.mean())}
    if sure.any():
        expected = {**expected, "sure_accuracy": float(right[sure].mean())}
    for key, value in expected.items():
        tolerance = near / max(1.0, float(sure.sum())) + EXACT
        if key in stated and not abs(stated[key] - value) <= tolerance:
            yield _differs(file, f"calibration.{key}", f"{stated[key]:.10g}", f"{value:.10g}")


def _check_model(facts: Facts, folder: Path) -> Iterator[Text]:
    """The sha256 of every file in model/, and what config.json has in common with config.toml."""
    try:
        loaded = load_classifier(folder).config
    except OlharError as error:
        yield _("{reason}", reason=error)
        return
    pairs = {
        "data.fingerprint": (loaded.data.get("fingerprint"), facts.config["data"]["fingerprint"]),
        "network.name": (loaded.network.get("name"), facts.network.name),
    }
    if facts.measured:
        pairs["class_names"] = (list(loaded.class_names), facts.measured.class_names)
    for name, (found, expected) in pairs.items():
        if found != expected:
            yield _differs("model/config.json", name, str(found), str(expected))


def _differs(file: str, name: str, found: str, expected: str) -> Text:
    return _(
        "{file}: {name} is {found}; the other files of the run give {expected}",
        file=file,
        name=name,
        found=short_name(found, _SHOWN),
        expected=short_name(expected, _SHOWN),
    )
