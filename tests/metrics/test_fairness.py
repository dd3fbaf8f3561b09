from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.fairness import snsr, snsv

TABLES = st.integers(2, 5).flatmap(
    lambda n_values: st.lists(
        st.lists(st.floats(0, 1), min_size=n_values, max_size=n_values), min_size=1, max_size=8
    )
)


def by_value(table):
    return {f"value {i}": list(column) for i, column in enumerate(zip(*table, strict=True))}


def test_snsr_and_snsv_by_hand():
    similarities = {"young": [0.2, 0.4], "middle": [0.4, 0.6], "old": [0.9, 0.7]}
    assert snsr(similarities) == pytest.approx(0.5)
    assert snsv(similarities) == pytest.approx(np.std([0.3, 0.5, 0.8]))


def test_a_missing_answer_takes_its_probe_from_every_value():
    similarities = {"a": [0.2, None, 0.4], "b": [0.6, 0.0, 0.8], "c": [0.4, 1.0, None]}
    assert snsr(similarities) == pytest.approx(0.4)
    assert snsv(similarities) == snsv({"a": [0.2], "b": [0.6], "c": [0.4]})


@pytest.mark.parametrize("rows", [([], []), ([None, 0.5], [0.5, None])])
def test_without_a_complete_probe_both_are_missing(rows):
    similarities = dict(zip("ab", rows, strict=True))
    assert snsr(similarities) is None
    assert snsv(similarities) is None


@given(TABLES)
def test_both_lie_in_their_range(table):
    similarities = by_value(table)
    spread, deviation = snsr(similarities), snsv(similarities)
    assert 0 <= spread <= 1
    assert spread / np.sqrt(2 * len(similarities)) - 1e-12 <= deviation <= spread / 2 + 1e-12


@given(TABLES)
def test_the_order_of_probes_and_of_values_does_not_matter(table):
    turned = [row[::-1] for row in table[::-1]]
    assert snsr(by_value(turned)) == pytest.approx(snsr(by_value(table)), abs=1e-12)
    assert snsv(by_value(turned)) == pytest.approx(snsv(by_value(table)), abs=1e-12)


def test_of_two_values_snsv_is_half_of_snsr():
    similarities = {"a": [0.2, 0.3], "b": [0.6, 0.9]}
    assert snsv(similarities) == pytest.approx(snsr(similarities) / 2)


@pytest.mark.parametrize(
    "similarities",
    [{}, {"a": [0.1]}, {"a": [0.1], "b": [0.1, 0.2]}, {"a": [0.1], "b": [float("nan")]}],
)
@pytest.mark.parametrize("metric", [snsr, snsv])
def test_similarities_that_cannot_be_compared_are_an_error(metric, similarities):
    with pytest.raises(InvalidArgument):
        metric(similarities)
