"""Temperature and threshold: on made-up predictions whose calibration is known, and in the report."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from olhar.errors import ConfigError, DataError
from olhar.evaluation import metrics
from olhar.evaluation.calibration import (
    apply_temperature,
    choose_threshold,
    describe_calibration,
    fit_temperature,
)
from olhar.evaluation.report import build_report
from olhar.run import Report


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(n, k, temperature, seed=0):
    """Predictions that would be calibrated if their logits were divided by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, k))
    honest = softmax(logits)
    labels = (honest.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return softmax(logits * temperature), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("k", [2, 10])
def test_the_temperature_is_found(temperature, k):
    probs, labels = drawn(20_000, k, temperature)
    found = fit_temperature(probs, labels)
    assert found == pytest.approx(temperature, rel=0.04)
    after = metrics.expected_calibration_error(apply_temperature(probs, found), labels)
    assert after < 0.012
    if temperature != 1:
        assert metrics.expected_calibration_error(probs, labels) > 2 * after


def test_with_many_images_it_is_that_of_the_likelihood_alone():
    probs, labels = drawn(5000, 10, 1.7, seed=3)
    expected = minimize_scalar(
        lambda t: metrics.negative_log_likelihood(apply_temperature(probs, np.exp(t)), labels),
        bounds=(-3, 3),
        method="bounded",
    )
    assert fit_temperature(probs, labels) == pytest.approx(np.exp(expected.x), rel=2e-3)


def test_few_images_all_right_do_not_become_certain():
    probs = np.tile(np.array([[0.7, 0.3]], dtype=np.float32), (10, 1))
    found = fit_temperature(probs, np.zeros(10, int))
    assert 0.05 < found < 1
    assert apply_temperature(probs, found)[0, 0] == pytest.approx(1 - 0.5 / 11, abs=1e-3)


@pytest.mark.parametrize("k", [2, 10])
def test_extremes_stay_within_bounds(k):
    certain = np.eye(k, dtype=np.float32)
    labels = np.arange(k)
    assert 0.05 <= fit_temperature(certain, labels) <= 20.01
    assert fit_temperature(certain, (labels + 1) % k) == pytest.approx(20, rel=1e-3)
    uniform = np.full((5, k), 1 / k, dtype=np.float32)
    assert 0.05 <= fit_temperature(uniform, np.zeros(5, int)) <= 20
    one = np.array([[0.6] + [0.4 / (k - 1)] * (k - 1)], dtype=np.float32)
    assert 0.05 <= fit_temperature(one, [0]) <= 20


@given(st.integers(0, 10**6), st.floats(0.2, 5), st.integers(2, 6))
def test_a_temperature_is_taken_back_and_keeps_the_order(seed, temperature, k):
    probs = (
        np.random.default_rng(seed).dirichlet(np.ones(k), 20).astype(np.float32) * 0.98 + 0.02 / k
    )
    there = apply_temperature(probs, temperature)
    np.testing.assert_allclose(there.sum(axis=1), 1, atol=1e-5)
    assert there.dtype == np.float32
    np.testing.assert_allclose(apply_temperature(there, 1 / temperature), probs, atol=1e-4)
    np.testing.assert_array_equal(there.argmax(axis=1), probs.argmax(axis=1))


def two_classes(sureness, right):
    top = np.array(sureness, dtype=np.float32)
    return np.stack([top, 1 - top], axis=1), np.where(right, 0, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.6, 0.7, 0.75, 0.8, 0.9, 1.0]), st.booleans()), min_size=1
    ),
    st.sampled_from([0.0, 0.5, 0.8, 0.95, 1.0]),
)
def test_the_threshold_is_the_lowest_that_reaches_the_precision(images, precision):
    sureness, right = (np.array(column) for column in zip(*images, strict=True))
    probs, labels = two_classes(sureness, right)
    found = choose_threshold(probs, labels, precision)
    share = {t: right[sureness >= t].mean() for t in sorted(set(sureness))}
    good = [t for t in share if share[t] >= precision]
    kept = right[probs.max(axis=1) >= found]
    assert len(kept)
    if good:
        assert kept.mean() >= precision
        assert len(kept) == (sureness >= min(good)).sum()
        assert (found == 0) == (right.mean() >= precision)
    else:
        assert kept.mean() == max(share.values())


def test_the_threshold_lies_between_two_images():
    probs, labels = two_classes([0.9, 0.8, 0.7, 0.6], [True, True, False, False])
    assert choose_threshold(probs, labels, 0.99) == pytest.approx(0.75)
    assert choose_threshold(probs, labels, 0.66) == pytest.approx(0.65)
    assert choose_threshold(probs, labels, 0.5) == 0
    wrong_when_surest = two_classes([0.9, 0.8, 0.7], [False, True, True])
    assert choose_threshold(*wrong_when_surest, 0.99) == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("bad", [0, -1, float("inf"), float("nan")])
def test_temperatures_that_cannot_be(bad):
    with pytest.raises(ConfigError, match="numbers over 0"):
        apply_temperature(np.ones((1, 2)) / 2, bad)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_precisions_that_cannot_be(bad):
    with pytest.raises(ConfigError, match="allowed: 0 to 1"):
        choose_threshold(np.ones((1, 2)) / 2, [0], bad)


@pytest.mark.parametrize("choose", [fit_temperature, lambda p, y: choose_threshold(p, y, 0.9)])
def test_predictions_that_cannot_be_used(choose):
    with pytest.raises(DataError, match="no images"):
        choose(np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(DataError, match="not a number"):
        choose(np.array([[np.nan, 1.0]]), [0])
    with pytest.raises(DataError, match="may be 0 to 1"):
        choose(np.array([[0.5, 0.5]]), [2])


def test_the_report_says_what_calibration_did():
    raw, labels = drawn(4000, 4, 2.0)
    temperature = fit_temperature(raw[:2000], labels[:2000])
    probs = apply_temperature(raw, temperature)
    threshold = choose_threshold(probs[:2000], labels[:2000], 0.9)
    names, data = list("abcd"), {"name": "toy", "fingerprint": "f00d"}
    report = build_report(
        probs[2000:], labels[2000:], names, split="test", data=data, temperature=temperature,
        threshold=threshold,
    )  # fmt: skip
    found = report.calibration
    assert found["ece_before"] == pytest.approx(
        metrics.expected_calibration_error(raw[2000:], labels[2000:]), abs=1e-3
    )
    assert found["ece_after"] == report.ece < 0.03 < found["ece_before"]
    assert found["sure_accuracy"] == pytest.approx(0.9, abs=0.03)
    assert 0 < found["coverage"] < 1
    assert f"before temperature {temperature:.2f}" in report.summary()
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_report_of_an_older_run_has_no_calibration():
    probs, labels = drawn(50, 3, 1)
    report = build_report(probs, labels, list("abc"), split="val", data={"name": "toy"})
    assert report.calibration["ece_before"] == report.calibration["ece_after"]
    assert "before temperature" not in report.summary()
    record = report.to_dict()
    del record["calibration"]
    old = Report.from_dict(record)
    assert old.calibration == {}
    assert "calibration" not in old.summary()


def test_nobody_is_sure():
    probs, labels = two_classes([0.6, 0.7], [True, True])
    found = describe_calibration(probs, labels, temperature=1, threshold=0.9)
    assert (found["coverage"], found["sure_accuracy"]) == (0, 0)
