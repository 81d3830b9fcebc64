"""The published experiments: the cases are real, runs are used again, the rule chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import olhar
from olhar.errors import UnknownNameError
from olhar.networks.specs import LISTED, resolve_network
from olhar.reproduce import CASES, Case, Outcome, as_markdown, choose, find_cases, reproduce


def test_every_case_is_a_network_and_a_data_set() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert resolve_network(case.network)[2] is None
        assert case.data in {"mnist", "cifar10"}
    named = {case.name for case in CASES}
    assert set(LISTED) - {"olhar-small", "resnet8"} <= named


def test_an_unknown_case_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="gmnet"):
        find_cases(["gmnett"])
    assert olhar("reproduce", "gmnett").status == 2
    assert olhar("reproduce", "--seeds", "0").status == 2
    assert olhar("reproduce", "--seed", "1").status == 2


def outcome(name: str, gap: float, parameters: int, accuracy: float) -> Outcome:
    return Outcome(Case(name, "mnist", "lenet5"), (accuracy,), gap, parameters, 1.0)


def test_no_overfitting_then_simplicity() -> None:
    outcomes = [
        outcome("overfits", 0.2, 10, 0.99),
        outcome("large", 0.001, 300, 0.98),
        outcome("small", 0.019, 200, 0.97),
    ]
    assert [o.chosen for o in choose(outcomes)] == [False, False, True]
    assert [o.chosen for o in choose(outcomes[:1])] == [True]


def test_runs_are_made_once_and_used_again(tmp_path: Path) -> None:
    cases = [Case("tiny", "digits", "gmnet", 0.5, "a caveat", {"width": 20})]
    first = reproduce(cases, seeds=2, out=tmp_path, epochs=1)
    written = (tmp_path / "tiny-0" / "metrics.json").stat().st_mtime_ns
    again = reproduce(cases, seeds=2, out=tmp_path, epochs=1)
    assert first == again
    assert (tmp_path / "tiny-0" / "metrics.json").stat().st_mtime_ns == written
    facts = first[0].to_dict()
    assert len(facts["accuracies"]) == 2
    assert facts["chosen"] is True
    table = as_markdown(first)
    assert "`tiny`" in table
    assert "0.5000" in table
    assert "a caveat" in table
