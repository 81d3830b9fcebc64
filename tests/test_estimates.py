"""How well a head does on images that it has not seen, and on fewer images than there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from olhar.errors import DataError
from olhar.evaluation.estimates import measure_curve, measure_folds, share_with_interval
from olhar.evaluation.metrics import wilson_interval
from olhar.evaluation.plots import plot_photo_curve
from olhar.run.estimates import CrossValidation, PhotoCurve
from olhar.training.estimates import cross_validate_head, head_curve
from olhar.training.head import STRENGTHS, Method, fit_head

Features, Labels = NDArray[np.float32], NDArray[np.int64]


def clouds(count: int, classes: int, apart: float, seed: int = 0) -> tuple[Features, Labels]:
    """Features (count, 24) float32 of classes that lie `apart` deviations from the middle."""
    generator = np.random.default_rng(seed)
    centres = apart * generator.normal(size=(classes, 24)) / np.sqrt(24)
    labels = np.arange(count) % classes
    return (generator.normal(size=(count, 24)) + centres[labels]).astype(np.float32), labels


def alone(labels: Labels) -> Labels:
    """Groups of one."""
    return np.arange(len(labels))


def test_every_row_is_predicted_once_by_a_head_that_has_not_seen_it() -> None:
    features, labels = clouds(120, 3, 6)
    found = cross_validate_head(features, labels, alone(labels), 4, 0)
    assert found.logits.shape == (120, 3)
    assert np.bincount(found.fold).tolist() == [30, 30, 30, 30]
    assert (found.predicted == labels).mean() > 0.9
    assert {method.strength for method in found.methods} <= {0.0, *STRENGTHS}
    rows = found.fold != 1
    head = fit_head(features[rows], labels[rows], 3, seed=0)
    expected = features[~rows] @ head.weight.T + head.bias
    np.testing.assert_allclose(found.logits[~rows], expected, rtol=1e-5, atol=1e-5)


def test_labels_that_mean_nothing_are_not_flattered() -> None:
    features, _labels = clouds(400, 2, 0)
    labels = np.random.default_rng(1).integers(0, 2, 400)
    found = cross_validate_head(features, labels, alone(labels), 5, 0)
    assert 0.4 < (found.predicted == labels).mean() < 0.6


def test_copies_of_an_image_do_not_flatter_where_they_are_one_group() -> None:
    once, labels = clouds(40, 2, 0)
    labels = np.random.default_rng(2).permutation(labels)
    features, twice = np.concatenate([once, once]), np.concatenate([labels, labels])
    groups = np.concatenate([np.arange(40), np.arange(40)])
    apart = cross_validate_head(features, twice, groups, 5, 0, Method(1.0))
    divided = cross_validate_head(features, twice, np.arange(80), 5, 0, Method(1.0))
    assert (apart.fold[:40] == apart.fold[40:]).all()
    assert (divided.predicted == twice).mean() > (apart.predicted == twice).mean() + 0.2


def test_a_class_that_only_one_fold_holds_is_missed_there() -> None:
    features, labels = clouds(40, 2, 9)
    groups = np.where(labels == 1, 99, np.arange(40))
    found = cross_validate_head(features, labels, groups, 2, 0, Method(0.1))
    assert (found.predicted == 0).all()


def test_more_folds_than_groups_are_refused() -> None:
    features, labels = clouds(8, 2, 9)
    with pytest.raises(DataError, match="9 folds cannot be made of 8"):
        cross_validate_head(features, labels, alone(labels), 9, 0)


def test_the_curve_has_a_quarter_a_half_and_all_of_what_a_fold_trains_on() -> None:
    features, labels = clouds(200, 4, 2)
    points = head_curve(features, labels, alone(labels), 0, Method(0.1))
    assert [point.photos for point in points] == [40, 80, 160]
    errors = [point.wrong.mean() for point in points]
    assert errors[0] > errors[1] > errors[2] > 0
    quarters = np.unique(np.round(4 * points[0].wrong, 9))
    assert set(quarters) <= {0, 1, 2, 3, 4}
    assert set(points[2].wrong) <= {0, 1}


def test_its_last_point_is_the_cross_validation_of_as_many_folds() -> None:
    features, labels = clouds(150, 3, 2)
    last = head_curve(features, labels, alone(labels), 3, Method(0.1))[-1]
    found = cross_validate_head(features, labels, alone(labels), 5, 3, Method(0.1))
    assert last.wrong.mean() == pytest.approx((found.predicted != labels).mean(), abs=0.02)


def test_too_few_groups_of_a_class_give_no_curve() -> None:
    features, labels = clouds(60, 2, 5)
    assert (
        head_curve(
            features,
            labels,
            np.where(labels == 1, 100 + alone(labels) % 4, alone(labels)),
            0,
            Method(1.0),
        )
        == []
    )
    assert head_curve(features[:8], labels[:8], alone(labels[:8]), 0, Method(1.0)) == []


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 4), st.integers(2, 60), st.integers(1, 4), st.integers(0, 5))
def test_whatever_the_groups_the_curve_is_whole_or_there_is_none(
    classes: int, count: int, together: int, seed: int
) -> None:
    features, labels = clouds(classes * count, classes, 3, seed)
    groups = labels + classes * (alone(labels) // classes // together)
    points = head_curve(features, labels, groups, seed, Method(0.1))
    assert len(points) in {0, 3}
    if points:
        assert points[0].photos < points[1].photos < points[2].photos < len(labels)
        assert all(((point.wrong >= 0) & (point.wrong <= 1)).all() for point in points)


def test_an_interval_counts_groups_and_not_copies() -> None:
    right = np.random.default_rng(0).random(300) < 0.8
    plain, found = share_with_interval(right.astype(float), np.arange(300))
    low, high = wilson_interval(right.sum(), 300)
    assert (plain, found) == (right.mean(), [float(low), float(high)])
    thrice = np.repeat(right, 3).astype(float)
    share, copied = share_with_interval(thrice, np.repeat(np.arange(300), 3))
    assert share == pytest.approx(plain)
    np.testing.assert_allclose(copied, found, atol=1e-3)
    _share, all_right = share_with_interval(np.ones(40), np.arange(40) // 4)
    assert all_right[0] == pytest.approx(wilson_interval(10, 10)[0])
    assert share_with_interval(np.empty(0), np.empty(0, np.int64)) == (0.0, [0.0, 1.0])


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 9)), min_size=1, max_size=60
    )
)
def test_an_interval_holds_its_share(rows: list[tuple[float, int]]) -> None:
    right, groups = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    share, (low, high) = share_with_interval(right, groups)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_folds_are_measured_in_all_by_fold_and_by_class() -> None:
    labels, predicted = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 1, 1, 1, 0, 0])
    fold = np.array([0, 0, 0, 1, 1, 1])
    found = measure_folds(predicted, fold, labels, alone(labels), ["a", "b", "c"], ["train", "val"])
    assert (found.folds, found.n, found.groups) == (2, 6, 6)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.fold_accuracies == pytest.approx([2 / 3, 2 / 3])
    recalls = [(one.name, one.support, one.recall) for one in found.per_class]
    assert recalls == [("a", 3, pytest.approx(2 / 3)), ("b", 3, pytest.approx(2 / 3)), ("c", 0, 0)]
    assert CrossValidation.from_dict(found.to_dict()) == found
    assert "(training and validation)" in str(found.sentence())


def wrong_rows(rates: list[float], count: int) -> list[NDArray[np.float64]]:
    """For each rate, (count,) rows of which that share is wrong, the same ones first."""
    return [(np.arange(count) < rate * count).astype(float) for rate in rates]


def curve(rates: list[float], count: int = 1000) -> PhotoCurve:
    """The curve of two classes, by turns, with these error rates."""
    points = list(zip([200, 400, 800], wrong_rows(rates, count), strict=True))
    labels = alone(np.empty(count)) % 2
    return measure_curve(points, labels, alone(labels), ["ants", "bees"], 5)


def test_twice_as_many_photos_go_on_as_the_power_law_says() -> None:
    found = curve([0.2, 0.1, 0.05])  # an error that halves with each doubling
    assert [point.photos for point in found.points] == [200, 400, 800]
    assert found.now.accuracy == pytest.approx(1 - 0.05 * 800 / 1000, abs=1e-3)
    assert found.twice.accuracy == pytest.approx(1 - 0.05 * 800 / 2000, abs=1e-3)
    assert found.gains
    for one in (found.now, found.twice):
        assert one.interval[0] < one.accuracy < one.interval[1]
    assert found.twice.photos == 2000
    assert PhotoCurve.from_dict(found.to_dict()) == found
    assert "twice as many may bring it to about 98.0%" in str(found.sentence())


@pytest.mark.parametrize(
    "rates", [[0.1, 0.1, 0.1], [0.1, 0.09, 0.12], [0.0, 0.0, 0.0], [0.004, 0.002, 0.001]]
)
def test_what_cannot_be_told_from_chance_is_no_gain(rates: list[float]) -> None:
    found = curve(rates)
    assert not found.gains
    assert "no gain that could be measured" in str(found.sentence())
    assert found.weakest is None
    assert found.now.accuracy <= found.twice.accuracy + 1e-12
    assert len(plot_photo_curve(found).axes[0].get_lines()) >= 1


def test_the_weakest_class_is_named_where_chance_does_not_explain_it() -> None:
    labels = np.arange(400) % 2
    rows = [((labels == 1) & (np.arange(400) < bound)).astype(float) for bound in (300, 200, 100)]
    points = list(zip([80, 160, 320], rows, strict=True))
    found = measure_curve(points, labels, alone(labels), ["ants", "bees"], 5)
    assert found.weakest is not None
    assert found.weakest.name == "bees"
    assert found.weakest.recall == pytest.approx(0.75)
    text = str(found.advice(found.weakest.name))
    assert "more photos of “bees”" in text
    even = curve([0.2, 0.1, 0.05])
    assert even.weakest is None


def test_the_picture_shows_what_was_measured_and_what_was_computed() -> None:
    axes = plot_photo_curve(curve([0.2, 0.1, 0.05])).axes[0]
    assert [text.get_text() for text in axes.texts] == ["80.0%", "90.0%", "95.0%", "96.0%", "98.0%"]
    assert axes.get_ylim()[1] <= 1
