"""Metrics of answers about one item, against scikit-learn and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, roc_auc_score

from auditkit.errors import InvalidArgument
from auditkit.metrics.pointwise import (
    auc_over_users,
    mae_over_users,
    perplexity_over_users,
    rmse_over_users,
)

EXAMPLES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 5), st.booleans()), min_size=4, max_size=30
)


@given(EXAMPLES, st.integers(0, 99))
def test_auc_is_that_of_scikit_learn_on_the_resampled_examples(examples, seed):
    users, scores, labels = (np.array(column) for column in zip(*examples, strict=True))
    n, statistic = auc_over_users(users, scores, labels)
    rows = np.random.default_rng(seed).integers(0, n, size=(3, n))
    known = np.unique(users)
    for row, found in zip(rows, statistic(rows), strict=True):
        drawn = np.concatenate([np.flatnonzero(users == known[i]) for i in row])
        if len(set(labels[drawn])) < 2:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(roc_auc_score(labels[drawn], scores[drawn]))


@given(EXAMPLES, st.integers(0, 99))
def test_errors_are_those_of_scikit_learn(examples, seed):
    users, errors, _ = (np.array(column) for column in zip(*examples, strict=True))
    n, rmse = rmse_over_users(users, errors)
    _, mae = mae_over_users(users, errors)
    (row,) = np.random.default_rng(seed).integers(0, n, size=(1, n))
    known = np.unique(users)
    drawn = np.concatenate([np.flatnonzero(users == known[i]) for i in row])
    zeros = np.zeros(len(drawn))
    assert rmse(row[None])[0] == pytest.approx(mean_squared_error(zeros, errors[drawn]) ** 0.5)
    assert mae(row[None])[0] == pytest.approx(mean_absolute_error(zeros, errors[drawn]))


def test_worked_example():
    n, auc = auc_over_users([0, 0, 1, 1], [2.0, 1.0, 1.0, 0.0], [1, 0, 1, 0])
    assert n == 2
    assert auc(np.array([[0, 1]]))[0] == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    _, perplexity = perplexity_over_users([2.0, 4.0], [1, 3])
    assert perplexity(np.array([[0, 1]]))[0] == pytest.approx(np.exp(6 / 4))


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(InvalidArgument):
        auc_over_users([0, 1], [np.nan, 1.0], [0, 1])
