"""Membership scores: worked examples, properties, and equality with direct implementations."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.membership_scores import (
    min_k,
    min_k_plus_plus,
    next_token_moments,
    zlib_ratio,
)

STORED = json.loads((Path(__file__).parents[1] / "support/membership_scores.json").read_text())
TEXTS = pytest.mark.parametrize("row", STORED["texts"], ids=lambda row: row["text"])
LOGPROBS = st.lists(st.floats(-20, 0), min_size=1, max_size=40)
FRACTIONS = st.floats(0.01, 1)


def logprobs_of(row):
    return [table[token] for table, token in zip(row["table"], row["tokens"], strict=True)]


def direct_min_k(values, fraction):
    ordered = sorted(values)
    n = max(1, int(fraction * len(values)))
    return sum(ordered[:n]) / n


def test_min_k_by_hand():
    # floor(.2 * 11) = 2 lowest of eleven.
    values = [-1.0, -7.0, -0.5, -3.0, *[-0.1] * 7]
    assert min_k(values) == pytest.approx(-5.0)
    assert min_k([-2.0, -4.0], fraction=0.2) == -4.0  # at least one token


def test_min_k_plus_plus_by_hand():
    # z = (-3 + 1) / .5 = -4, (-1 + 1) / 2 = 0, and 0 where the model was certain.
    found = min_k_plus_plus([-3.0, -1.0, 0.0], [-1.0, -1.0, 0.0], [0.5, 2.0, 0.0], fraction=0.7)
    assert found == pytest.approx((-4.0 + 0.0) / 2)


def test_moments_of_two_tokens_by_hand():
    # p = 1/4, 3/4: the mean is minus the entropy, .562 nats; std = ln 3 sqrt(3) / 4.
    mean, std = next_token_moments([[math.log(0.25), math.log(0.75), -math.inf]])
    assert mean[0] == pytest.approx(-0.562335, abs=1e-6)
    assert std[0] == pytest.approx(math.log(3) * math.sqrt(3) / 4)


def test_zlib_ratio_by_hand():
    text = "a" * 100
    assert zlib_ratio([-3.0, -9.0], text) == pytest.approx(12.0 / len(zlib.compress(b"a" * 100)))


def test_a_text_without_tokens_is_missing():
    assert (min_k([]), min_k_plus_plus([], [], []), zlib_ratio([], "x")) == (None, None, None)


@TEXTS
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 1.0])
def test_scores_equal_a_direct_implementation(row, fraction):
    values = logprobs_of(row)
    z = []
    for value, table in zip(values, row["table"], strict=True):
        mean = sum(math.exp(one) * one for one in table)
        variance = sum(math.exp(one) * one**2 for one in table) - mean**2
        z.append((value - mean) / math.sqrt(variance))
    moments = next_token_moments(row["table"])
    assert min_k(values, fraction=fraction) == pytest.approx(
        direct_min_k(values, fraction), abs=1e-9
    )
    assert min_k_plus_plus(values, *moments, fraction=fraction) == pytest.approx(
        direct_min_k(z, fraction), abs=1e-9
    )
    expected = sum(-value for value in values) / len(zlib.compress(row["text"].encode()))
    assert zlib_ratio(values, row["text"]) == pytest.approx(expected, abs=1e-9)


@given(values=LOGPROBS, fraction=FRACTIONS)
def test_min_k_lies_between_the_minimum_and_the_mean(values, fraction):
    found = min_k(values, fraction=fraction)
    assert min(values) - 1e-9 <= found <= np.mean(values) + 1e-9
    assert found == min_k(sorted(values), fraction=fraction)


@given(values=LOGPROBS, smaller=FRACTIONS, larger=FRACTIONS)
def test_min_k_grows_with_the_fraction(values, smaller, larger):
    low, high = sorted((smaller, larger))
    assert min_k(values, fraction=low) <= min_k(values, fraction=high) + 1e-9


@given(values=LOGPROBS, fraction=FRACTIONS, shift=st.floats(-5, 5), scale=st.floats(0.1, 5))
def test_standardized_scores_ignore_shift_and_scale_of_a_token(values, fraction, shift, scale):
    mean, std = np.full(len(values), shift), np.full(len(values), scale)
    expected = (min_k(values, fraction=fraction) - shift) / scale
    assert min_k_plus_plus(values, mean, std, fraction=fraction) == pytest.approx(expected)


@given(values=LOGPROBS, text=st.text(min_size=1, max_size=40))
def test_zlib_ratio_is_positive_and_grows_with_the_loss(values, text):
    ratio = zlib_ratio(values, text)
    assert ratio >= 0
    assert zlib_ratio([*values, -1.0], text) > ratio


@pytest.mark.parametrize(
    "call",
    [
        lambda: min_k([-1.0], fraction=0),
        lambda: min_k([0.5]),
        lambda: min_k([math.nan]),
        lambda: min_k_plus_plus([-1.0], [-1.0, -1.0], [1.0]),
        lambda: min_k_plus_plus([-1.0], [-1.0], [-1.0]),
        lambda: next_token_moments([[2.0, 1.0]]),
        lambda: next_token_moments([-1.0]),
    ],
)
def test_invalid_values_are_errors_with_a_remedy(call):
    with pytest.raises(InvalidArgument, match="Give"):
        call()
