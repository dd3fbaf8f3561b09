"""LiRA and RMIA: worked examples, properties, and equality with direct implementations."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from auditkit.errors import InvalidArgument
from auditkit.metrics.privacy import auc_value
from auditkit.metrics.reference_attacks import lira, rmia

STORED = json.loads((Path(__file__).parents[1] / "support/membership_scores.json").read_text())
LOSSES, REFERENCE, INSIDE = (
    STORED[name] for name in ("losses", "reference_losses", "is_member")
)  # fmt: skip
Z, Z_REFERENCE = STORED["population_losses"], STORED["population_reference_losses"]


def phi(loss):
    p = math.exp(-loss)
    return math.log(p / (1 - p))


def direct_lira(mode, variance):
    def side(row, wanted):
        return [phi(v) for v, i in zip(REFERENCE[row], INSIDE[row], strict=True) if i == wanted]

    def spread(wanted):
        rows = [v for r in range(len(LOSSES)) if len(v := side(r, wanted)) >= 2]
        return math.sqrt(sum(np.var(v) * len(v) for v in rows) / sum(map(len, rows)))

    found = []
    for row, loss in enumerate(LOSSES):
        sides = {wanted: side(row, wanted) for wanted in (0, 1)}
        std = {w: np.std(v) if variance == "row" else spread(w) for w, v in sides.items()}
        needed = (0,) if mode == "offline" else (0, 1)
        if any(len(sides[w]) < 2 for w in needed):
            found.append(None)
        elif mode == "offline":
            found.append(norm.cdf((phi(loss) - np.mean(sides[0])) / std[0]))
        else:
            log = {w: norm.logpdf(phi(loss), np.mean(sides[w]), std[w]) for w in (0, 1)}
            found.append(log[1] - log[0])
    return found


def direct_rmia(mode, gamma, a):
    def ratio(loss, reference, inside):
        used = [math.exp(-v) for v, i in zip(reference, inside, strict=True)
                if mode == "online" or not i]  # fmt: skip
        if not used:
            return None
        mean = sum(used) / len(used)
        return math.exp(-loss) / (mean if mode == "online" else ((1 + a) * mean + 1 - a) / 2)

    below = [ratio(z, r, [0] * len(r)) for z, r in zip(Z, Z_REFERENCE, strict=True)]
    rows = zip(LOSSES, REFERENCE, INSIDE, strict=True)
    ratios = [ratio(*row) for row in rows]
    return [None if x is None else np.mean([x / z >= gamma for z in below]) for x in ratios]


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("variance", ["row", "pooled"])
def test_lira_equals_a_direct_implementation(mode, variance):
    found = lira(LOSSES, REFERENCE, INSIDE, mode=mode, variance=variance)
    assert found == pytest.approx(direct_lira(mode, variance), abs=1e-9)


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_rmia_equals_a_direct_implementation(mode, gamma):
    found = rmia(
        LOSSES, REFERENCE, INSIDE, population_losses=Z, population_reference_losses=Z_REFERENCE,
        mode=mode, gamma=gamma, a=0.3,
    )  # fmt: skip
    assert found == pytest.approx(direct_rmia(mode, gamma, 0.3), abs=1e-9)


def test_lira_by_hand():
    # p = 1/2 has phi = 0; 1/4 and 3/4 have phi = -ln 3 and ln 3, so mean 0 and deviation ln 3.
    half, sides = math.log(2), [math.log(4), math.log(4 / 3)]
    assert lira([half], [sides], [[0, 0]], mode="offline") == pytest.approx([0.5])
    both = lira([half], [[*sides, *sides]], [[0, 0, 1, 1]])
    assert both == pytest.approx([0.0])
    surer = lira([math.log(4 / 3)], [sides], [[0, 0]], mode="offline")
    assert surer == pytest.approx([norm.cdf(1.0)])


def test_rmia_by_hand():
    # p = .5, mean_out = .1: p_ref = (1.3 * .1 + .7) / 2 = .415, ratio 1.205. Ratios of z: p = .2
    # over (1.3 * .2 + .7) / 2 = .48 is .417, and p = .4 over .61 is .656: one of two is below half.
    found = rmia(
        [-math.log(0.5)], [[-math.log(0.1)]], [[0]],
        population_losses=[-math.log(0.2), -math.log(0.4)],
        population_reference_losses=[[-math.log(0.2)], [-math.log(0.4)]],
    )  # fmt: skip
    assert found == [0.5]


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_records_without_enough_reference_models_are_missing(mode):
    one = [[0.5, 0.6, 0.7]]
    assert lira([0.4], one, [[1, 1, 0]], mode=mode) == [None]
    assert lira([0.4], [[0.5, 0.5, 0.5, 0.5]], [[1, 1, 0, 0]], mode=mode) == [None]  # no spread
    population = {"population_losses": [0.3], "population_reference_losses": [[0.3, 0.2, 0.1]]}
    assert rmia([0.4], one, [[1, 1, 1]], **population) == [None]  # offline: no model was out
    empty = {"population_losses": [], "population_reference_losses": []}
    assert rmia([0.4], one, [[0, 1, 0]], mode=mode, **empty) == [None]


def test_a_row_without_spread_takes_the_pooled_one():
    reference, inside = [[0.5, 0.5], [0.2, 0.9]], [[0, 0], [0, 0]]
    found = lira([0.4, 0.4], reference, inside, mode="offline")
    deviations = [phi(0.2), phi(0.9)]
    pooled = math.sqrt(np.var(deviations) * 2 / 4)
    assert found[0] == pytest.approx(norm.cdf((phi(0.4) - phi(0.5)) / pooled))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), mode=st.sampled_from(["online", "offline"]))
def test_scores_do_not_rise_with_the_loss_and_ignore_the_order_of_models(seed, mode):
    rng = np.random.default_rng(seed)
    reference = np.tile(rng.gamma(2, 0.5, 12), (5, 1))
    inside = np.tile([0, 1] * 6, (5, 1))
    losses = np.sort(rng.gamma(2, 0.5, 5))
    order = rng.permutation(12)
    z = {"population_losses": rng.gamma(2, 0.5, 20),
         "population_reference_losses": rng.gamma(2, 0.5, (20, 12))}  # fmt: skip
    found = rmia(losses, reference, inside, mode=mode, **z)
    assert found == sorted(found, reverse=True)
    assert all(0 <= one <= 1 for one in found)
    offline = lira(losses, reference, inside, mode="offline")
    assert offline == sorted(offline, reverse=True)
    for mixed in ("online", "offline"):
        again = lira(losses, reference[:, order], inside[:, order], mode=mixed)
        assert again == pytest.approx(lira(losses, reference, inside, mode=mixed))


def test_both_attacks_find_members_that_plain_losses_hide():
    """Records differ in difficulty by more than training on them changes: references remove it."""
    rng = np.random.default_rng(3)
    n, models = 300, 16
    hard = rng.gamma(4, 0.5, (n, 1))
    inside = rng.random((n, models)) < 0.5
    member = np.arange(n) < n // 2

    def losses(seen):
        noise = rng.normal(0, 0.05, np.shape(seen))
        return np.maximum(1e-3, hard * np.where(seen, 0.8, 1.0) + noise)

    reference, own = losses(inside), losses(member[:, None])[:, 0]

    def reached(scores):
        return auc_value(np.array(scores)[member], np.array(scores)[~member])

    assert reached(-own) < 0.68
    assert reached(np.array(lira(own, reference, inside, variance="pooled"), float)) > 0.85
    z = slice(n - 60, n)
    found = rmia(
        own[: n - 60], reference[: n - 60], inside[: n - 60], population_losses=own[z],
        population_reference_losses=reference[z], population_is_member=inside[z], mode="online",
        gamma=1.0,
    )  # fmt: skip
    scores = np.array(found, float)
    assert auc_value(scores[member[: n - 60]], scores[~member[: n - 60]]) > 0.85


@pytest.mark.parametrize(
    "call",
    [
        lambda: lira([0.5], [[0.5]], [[1, 0]]),
        lambda: lira([-0.5], [[0.5]], [[1]]),
        lambda: rmia([0.5], [[0.5]], [[0]], population_losses=[0.5],
                     population_reference_losses=[[0.5]], gamma=0.5),
        lambda: rmia([0.5], [[0.5]], [[0]], population_losses=[0.5],
                     population_reference_losses=[[0.5]], a=2),
    ],
)  # fmt: skip
def test_invalid_values_are_errors_with_a_remedy(call):
    with pytest.raises(InvalidArgument, match="Give"):
        call()
