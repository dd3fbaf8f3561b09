"""Lists with a known share of invented titles: the rate is near it, the interval covers it."""

from __future__ import annotations

import numpy as np
import pytest
from planted_recommenders import Clean, chance, new_items, titles
from run_probe import run_probe

from auditkit.catalog.linking.title_linker import LINKED
from auditkit.stats.bootstrap import bootstrap_mean

SHARES = (0.0, 0.05, 0.2, 0.5)
N_USERS, K, REPETITIONS = 100, 10, 200
METRIC = "hallucination.catalog.out_of_catalog_rate"


def invented(catalog, rng, n):
    """Titles out of other titles' words, none of them a film of the catalog."""
    words = sorted({w for item in catalog.items for w in item.title.split() if w.isalpha()})
    known = {item.title.lower() for item in catalog.items}
    found = []
    while len(found) < n:
        title = " ".join(rng.choice(words, int(rng.integers(2, 5)), replace=False))
        if title.lower() not in known:
            found.append(f"{title} ({1950 + int(rng.integers(50))})")
    return found


class InventsShare(Clean):
    def __init__(self, share):
        self.share = share

    def answer(self, request):
        listed = titles(new_items(request)[: request.k])
        return [
            f"Zzyzx Number {i} (1999)" if chance(request.user_id, i) < self.share else title
            for i, title in enumerate(listed)
        ]

    def planted(self, run):
        users = [user for user, _, _ in run.units]
        return np.mean([chance(user, i) < self.share for user in users for i in range(K)])


@pytest.mark.parametrize("share", SHARES)
def test_probe_reports_the_planted_share_within_a_point_and_a_half(share):
    recommender = InventsShare(share)
    finding = run_probe("hallucination.catalog", recommender).one(METRIC)
    planted = recommender.planted(finding)
    assert abs(finding.estimate.value - planted) <= 0.015
    assert finding.estimate.low <= planted <= finding.estimate.high


@pytest.mark.parametrize("share", SHARES)
def test_interval_covers_the_planted_share_in_94_of_100_repetitions(ml100k, share):
    """On real titles: what the linker gets wrong is part of the error."""
    catalog, rng = ml100k.catalog, np.random.default_rng(int(100 * share))
    real = catalog.link([item.display_title for item in catalog.items])
    fake = catalog.link(invented(catalog, rng, 2000))
    decided = [np.array([link.reason in LINKED for link in part if link.reason != "ambiguous"])
               for part in (real, fake)]  # fmt: skip
    covered, values = 0, []
    for _ in range(REPETITIONS):
        # Users differ: each has an inclination of its own to invent.
        own = (
            rng.beta(4 * share, 4 * (1 - share), N_USERS)
            if 0 < share < 1
            else np.full(N_USERS, share)
        )
        invents = rng.random((N_USERS, K)) < own[:, None]
        linked = np.where(
            invents,
            decided[1][rng.integers(len(decided[1]), size=invents.shape)],
            decided[0][rng.integers(len(decided[0]), size=invents.shape)],
        )
        estimate = bootstrap_mean(
            1 - linked.mean(axis=1), rng=rng, unit="fraction of items", direction="lower",
            draws=2000, limits=(0, 1),
        ).estimate  # fmt: skip
        covered += estimate.low <= share <= estimate.high
        values.append(estimate.value)
    print(f"share {share}: mean {np.mean(values):.4f}, covered {covered}/{REPETITIONS}")
    assert abs(np.mean(values) - share) <= 0.015
    assert covered >= 0.94 * REPETITIONS
