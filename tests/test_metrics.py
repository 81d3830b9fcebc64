"""Scores against scikit-learn's, intervals against their definition, the report's round trip."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from olhar.errors import DataError, ModelError
from olhar.evaluation import metrics
from olhar.evaluation.report import build_report, prediction_rows
from olhar.run.report import Report, short_name

CLASSES = st.integers(2, 6)


@st.composite
def predictions(draw):
    k, n = draw(CLASSES), draw(st.integers(1, 40))
    index = st.lists(st.integers(0, k - 1), min_size=n, max_size=n)
    return k, np.array(draw(index)), np.array(draw(index))


def random_probs(n=200, k=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 2 * np.eye(k)[labels]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probs.astype(np.float32), labels


def a_report(names=("a", "b", "c", "d")):
    probs, labels = random_probs(k=len(names))
    return build_report(
        probs, labels, names, split="test", data={"name": "toy", "fingerprint": "f00d"}
    )


@given(predictions())
@settings(deadline=None, max_examples=60)
def test_scores_are_those_of_scikit_learn(case):
    k, labels, predicted = case
    confusion = metrics.confusion_matrix(labels, predicted, k)
    classes = list(range(k))
    assert (confusion == reference.confusion_matrix(labels, predicted, labels=classes)).all()
    found = metrics.scores(confusion)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    for average, prefix in ((None, ""), ("macro", "macro_"), ("weighted", "weighted_")):
        *expected, support = reference.precision_recall_fscore_support(
            labels, predicted, labels=classes, average=average, zero_division=0
        )
        for name, value in zip(metrics.AVERAGED, expected, strict=True):
            np.testing.assert_allclose(found[prefix + name], value, atol=1e-12)
        if average is None:
            assert (found["support"] == support).all()


def test_scores_work_over_leading_axes():
    confusions = np.random.default_rng(0).integers(0, 9, (5, 2, 3, 3))
    found = metrics.scores(confusions)
    assert found["f1"].shape == (5, 2, 3)
    one = metrics.scores(confusions[3, 1])
    for name, values in found.items():
        np.testing.assert_array_equal(values[3, 1], one[name])


@given(predictions(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_loss_is_that_of_scikit_learn(case, seed):
    k, labels, _ = case
    probs = np.random.default_rng(seed).dirichlet(np.ones(k), len(labels)) * 0.9 + 0.1 / k
    expected = reference.log_loss(labels, probs, labels=list(range(k)))
    assert metrics.negative_log_likelihood(probs, labels) == pytest.approx(expected)


def test_loss_of_a_sure_error_is_finite():
    probs = np.array([[1.0, 0.0]], dtype=np.float32)
    assert 80 < metrics.negative_log_likelihood(probs, np.array([1])) < 90
    assert str(metrics.negative_log_likelihood(probs, np.array([0]))) == "0.0"


def test_wilson_interval_is_the_published_one():
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    cases = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0, 0.1611)}
    for (hits, n), (low, high) in cases.items():
        assert metrics.wilson_interval(hits, n) == (
            pytest.approx(low, abs=5e-5),
            pytest.approx(high, abs=5e-5),
        )


def test_wilson_interval_at_the_ends():
    low, high = metrics.wilson_interval([0, 7, 0], [7, 7, 0])
    assert low.tolist() == [0, pytest.approx(0.6457, abs=1e-4), 0]
    assert high.tolist() == [pytest.approx(0.3543, abs=1e-4), 1, 1]


def test_bootstrap_is_repeatable_and_holds_the_estimate():
    probs, labels = random_probs()
    confusion = metrics.confusion_matrix(labels, probs.argmax(axis=1), 4)
    first = metrics.bootstrap_intervals(confusion)
    assert first == metrics.bootstrap_intervals(confusion)
    assert first != metrics.bootstrap_intervals(confusion, seed=1)
    found = metrics.scores(confusion)
    for name, (low, high) in first.items():
        assert 0 <= low < found[name] < high <= 1


def test_bootstrap_agrees_with_resampling_the_images():
    probs, labels = random_probs(400, 3)
    predicted = probs.argmax(axis=1)
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(1000):
        members = [rng.choice(np.flatnonzero(labels == k), (labels == k).sum()) for k in range(3)]
        picked = np.concatenate(members)
        confusion = metrics.confusion_matrix(labels[picked], predicted[picked], 3)
        drawn.append(metrics.scores(confusion)["macro_f1"])
    found = metrics.bootstrap_intervals(metrics.confusion_matrix(labels, predicted, 3))
    assert found["macro_f1"] == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.008)


def test_bootstrap_of_few_images_does_not_lose_classes():
    everything_right = np.eye(30, dtype=np.int64)
    assert metrics.bootstrap_intervals(everything_right)["macro_f1"] == (1.0, 1.0)
    with_an_empty_class = np.diag([3, 0, 2])
    low, high = metrics.bootstrap_intervals(with_an_empty_class)["macro_recall"]
    assert low == high == pytest.approx(2 / 3)


def test_calibration_error_by_hand():
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    # bins of 0.1: two at 0.9 (half right), one at 0.7 (right), one at 0.6 (right)
    expected = (2 * 0.4 + 0.3 + 0.4) / 4
    assert metrics.expected_calibration_error(probs, labels, bins=10) == pytest.approx(expected)
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert metrics.expected_calibration_error(sure, np.array([0, 1])) == 0


def test_indices_out_of_range_and_lengths_that_differ_are_refused():
    with pytest.raises(DataError, match=r"0 to 5.*may be 0 to 3"):
        metrics.confusion_matrix([0, 5], [0, 1], 4)
    with pytest.raises(DataError, match="run from -1"):
        metrics.confusion_matrix([0, 1], [0, -1], 4)
    with pytest.raises(DataError, match=r"\(2,\).*\(3,\)"):
        metrics.confusion_matrix([0, 1], [0, 1, 2], 4)


def test_report_holds_what_the_metrics_say():
    probs, labels = random_probs()
    report = a_report()
    confusion = metrics.confusion_matrix(labels, probs.argmax(axis=1), 4)
    found = metrics.scores(confusion)
    assert report.confusion_matrix == confusion.tolist()
    assert (report.n, report.accuracy) == (200, found["accuracy"])
    assert (report.f1, report.weighted["f1"]) == (found["macro_f1"], found["weighted_f1"])
    for name, (low, high) in report.intervals.items():
        assert low <= getattr(report, name) <= high
    for one in report.per_class:
        assert one["recall_interval"][0] <= one["recall"] <= one["recall_interval"][1]
        assert one["precision_interval"][0] <= one["precision"] <= one["precision_interval"][1]
    assert sum(one["support"] for one in report.per_class) == 200


def test_report_survives_json_exactly():
    report = a_report()
    text = json.dumps(report.to_dict(), allow_nan=False)
    again = Report.from_dict(json.loads(text))
    assert again == report
    assert json.dumps(again.to_dict()) == text
    assert next(iter(report.to_dict())) == "format"


def test_report_of_another_format_or_incomplete_is_refused():
    record = a_report().to_dict()
    for found in (2, 0, "1", None):
        with pytest.raises(ModelError, match="upgrade olhar"):
            Report.from_dict(record | {"format": found})
    del record["loss"], record["ece"]
    with pytest.raises(ModelError, match="lacks loss, ece"):
        Report.from_dict(record)


def test_summary_names_the_weakest_classes():
    report = a_report()
    weakest = min(report.per_class, key=lambda one: one["f1"])
    lines = report.summary().splitlines()
    assert f"{report.accuracy:.2%}" in lines[0]
    assert f"F1: {weakest['name']} {weakest['f1']:.3f}, " in lines[-1]
    perfect = build_report(
        np.eye(2, dtype=np.float32), [0, 1], ["a", "b"], split="val", data={"name": "toy"}
    )
    assert "weakest" not in perfect.summary()


def test_class_names_are_data():
    report = a_report(("<script>", "a\nb\x1b[31m", "w" * 300, "{n}"))
    shown = report._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert len(report.summary().splitlines()) == 5
    assert "\x1b" not in report.summary()
    assert short_name("w" * 300, 10) == "w" * 9 + "…"
    assert short_name("\n\ud800", 10) == "?"


def test_prediction_rows():
    probs = np.array([[0.25, 0.75], [0.9, 0.1]], dtype=np.float32)
    rows = prediction_rows(probs, [0, 0], ["cat", "dog"], ["x/1.jpg", "x/2.jpg"], "file")
    assert rows == [
        ("file", "label", "predicted", "probability"),
        ("x/1.jpg", "cat", "dog", 0.75),
        ("x/2.jpg", "cat", "cat", 0.9),
    ]
    with pytest.raises(DataError, match="1 item names were given for 2 images"):
        prediction_rows(probs, [0, 0], ["cat", "dog"], ["x"], "file")
    with pytest.raises(DataError, match="run from -1"):
        prediction_rows(probs, [0, -1], ["cat", "dog"], ["x", "y"], "file")


@pytest.mark.parametrize(
    ("probs", "labels", "words"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "no images"),
        (np.ones((3, 2)), [0, 1], r"\(3, 2\) do not fit 2 classes"),
        (np.ones((2, 3)), [0, 1], r"\(2, 3\) do not fit 2 classes"),
        (np.ones((2, 2)), [[0, 1]], r"labels of shape \(1, 2\)"),
        (np.array([[np.nan, 1], [0, 1]]), [0, 1], "1 of 2 predictions"),
        (np.ones((2, 2)), [0, 2], "may be 0 to 1"),
    ],
)
def test_predictions_that_cannot_be_measured_are_refused(probs, labels, words):
    with pytest.raises(DataError, match=words):
        build_report(probs, labels, ["a", "b"], split="test", data={"name": "toy"})


@given(
    counts=st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
)
@settings(max_examples=60)
def test_the_interval_of_a_difference_holds_it_and_turns_with_it(counts):
    first, of_first, second, of_second = counts
    first, second = min(first, of_first), min(second, of_second)
    low, high = metrics.difference_interval(first, of_first, second, of_second)
    assert -1 - 1e-9 <= low <= first / of_first - second / of_second <= high <= 1 + 1e-9
    turned = metrics.difference_interval(second, of_second, first, of_first)
    assert turned == pytest.approx((-high, -low))


def test_the_interval_of_a_difference_is_newcombes():
    # Newcombe 1998, table II, method 10: 56/70 - 48/80
    found = metrics.difference_interval(56, 70, 48, 80)
    assert found == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert metrics.difference_interval(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "accuracy", "below"), [(0, 0.95, False), (90, 0.914, True), (20, 0.95, False)]
)
def test_an_accuracy_below_validation_is_said_where_chance_does_not_explain_it(
    wrong, accuracy, below
):
    labels = np.arange(200) % 2
    answers = np.where(np.arange(200) < wrong, 1 - labels, labels)
    probs = np.where(np.eye(2)[answers] == 1, 0.9, 0.1).astype(np.float32)
    report = build_report(
        probs, labels, "ab", split="test", data={"name": "toy", "fingerprint": "f00d"},
        validation={"accuracy": accuracy, "n": 140},
    )  # fmt: skip
    assert report.below_validation == below
    assert ("lower than chance explains" in report.summary()) == below
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    of_validation = build_report(
        probs, labels, "ab", split="val", data={"name": "toy"}, validation=report.validation
    )
    assert of_validation.validation == {}
