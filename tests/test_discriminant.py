"""The discriminant analysis beside scikit-learn's, and heads that take it where it is better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from olhar.training.discriminant import fit_discriminant
from olhar.training.head import (
    SHRINKAGES,
    Method,
    apply_head,
    fit_at,
    fit_head,
    log_loss,
    try_heads,
)


@given(
    st.integers(2, 5),
    st.integers(2, 30),
    st.integers(1, 60),
    st.sampled_from(SHRINKAGES),
    st.booleans(),
    st.integers(0, 9),
)
@settings(deadline=None, max_examples=40)
def test_it_is_that_of_scikit_learn(
    classes: int, each: int, width: int, shrinkage: float, balanced: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(classes), each), [0, 0, 0]])
    x = random.normal(size=(len(labels), width)) + random.normal(size=(classes, width))[labels]
    x = (x - x.mean(axis=0)).astype(np.float32)
    priors = np.full(classes, 1 / classes) if balanced else None
    theirs = LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage, priors=priors)
    if balanced:  # theirs weighs the covariance by the priors too
        labels, x = labels[:-3], x[:-3]
    theirs.fit(x, labels)
    found, weight, bias = fit_discriminant(x, labels, shrinkage, balanced=balanced)
    assert found.tolist() == list(range(classes))
    ours = x @ weight.T + bias
    ours -= ours.mean(axis=1, keepdims=True)
    expected = theirs.decision_function(x)
    if classes == 2:  # theirs has one column, the difference
        np.testing.assert_allclose(2 * ours[:, 1], expected, rtol=1e-2, atol=1e-2)
        return
    expected -= expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, expected, rtol=1e-2, atol=1e-2)


def test_a_head_takes_it_where_classes_are_normal_and_photos_few() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(160) % 4
    mixed = random.normal(size=(60, 60)) @ np.diag(np.geomspace(1, 30, 60))
    x = (
        random.normal(size=(640, 60)) @ mixed.T
        + 8 * random.normal(size=(4, 60))[np.arange(640) % 4]
    )
    x = x.astype(np.float32)
    head = fit_head(x[:160], labels, 4, seed=0)
    assert head.method.shrinkage
    best = min(head.candidates, key=lambda one: one.log_loss)
    assert best.method == head.method
    regression = fit_at(x[:160], labels, 4, Method(0.1))
    losses = [log_loss(apply_head(one, x[160:]), np.arange(480) % 4) for one in (head, regression)]
    assert losses[0] < losses[1]
    # Where the network is trained further it is not taken: such a training ends worse.
    beginning = fit_head(x[:160], labels, 4, seed=0, trained_further=True)
    assert not any(one.method.shrinkage for one in beginning.candidates)
    assert not beginning.method.shrinkage
    trial = try_heads(x[:160], labels, 4, seed=0)
    assert trial.method == head.method
    assert trial.regression == beginning.method


@pytest.mark.parametrize("balanced", [False, True])
def test_a_mean_of_both_is_the_mean_of_their_logits(balanced: bool) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    x = (random.normal(size=(90, 20)) + random.normal(size=(3, 20))[labels]).astype(np.float32)
    parts = [Method(0.1), Method(0.0, 0.2, 0.5), Method(0.1, 0.2, 0.5)]
    alone, other, both = (
        apply_head(fit_at(x, labels, 4, method, balanced=balanced), x) for method in parts
    )
    np.testing.assert_allclose(both, (alone + other) / 2, rtol=1e-4, atol=1e-4)
    assert both[:, 3].max() < -20  # a class without images
