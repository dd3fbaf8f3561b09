"""Size, power and coverage of the fairness statistics on simulated audits, as the recipe asks.

`python -m pytest tests/stats/test_error_rates.py -m slow -s` prints every figure.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fairness_worlds import as_lists, ask, averaged, jaccard, prag, serp, similarity

from auditkit.stats.counterfactual import counterfactual_test
from auditkit.stats.list_shift import list_shift_tests
from auditkit.stats.list_tests import between_values_test, item_exposure_test, repeat_request_test
from auditkit.stats.multiplicity import westfall_young
from auditkit.stats.noise_floor import noise_floor
from auditkit.stats.placebo import placebo_contrast
from auditkit.stats.simultaneous import snsr_bounds

pytestmark = pytest.mark.slow
DRAWS = 499


def rng(seed):
    return np.random.default_rng(seed)


def rejected(p_values):
    return np.mean(np.asarray(p_values) <= 0.05, axis=0)


def table_p_values(world, *, audits, seed, n=50, n_values=4, **settings):
    """p-values [audits, 3] of SNSR, SNSV and the largest t."""
    generator, found = rng(seed), []
    for _ in range(audits):
        table = similarity(ask(world, rng=generator, n=n, n_values=n_values, **settings))
        (test,) = list_shift_tests(table[None], rng=generator, draws=DRAWS)
        found.append([test.snsr.p, test.snsv.p, test.max_t.p])
    return found


@pytest.mark.parametrize("n_values", [2, 4, 8])
def test_size_of_the_table_tests_over_a_thousand_fair_audits(n_values):
    sizes = rejected(table_p_values("fair", audits=1000, seed=n_values, n_values=n_values))
    print(f"size of SNSR, SNSV, largest t with {n_values} values: {sizes}")
    assert np.all((sizes >= 0.036) & (sizes <= 0.064)), sizes


@pytest.mark.parametrize("n_values", [2, 4, 8])
def test_size_of_the_item_test_over_a_thousand_fair_audits(n_values):
    generator, found = rng(10 + n_values), []
    for _ in range(1000):
        answers = ask("fair", rng=generator, n=50, n_values=n_values)
        found.append(item_exposure_test(as_lists(answers), rng=generator, draws=199).p)
    print(f"size of the item test with {n_values} values: {rejected(found)}")
    assert 0.036 <= rejected(found) <= 0.064


def test_size_of_the_re_asking_test_over_three_thousand_fair_audits():
    generator, found = rng(15), []
    for _ in range(3000):
        answers = ask("fair", rng=generator, n=50, n_values=2)
        own = jaccard(answers.stated, answers.neutral)[:, 0]
        repeat = jaccard(answers.neutral, answers.neutral)[:, 0, 1]
        table = np.column_stack((repeat, own))
        found.append(repeat_request_test(table, rng=generator, draws=DRAWS).p)
    print(f"size of the re-asking test: {rejected(found):.3f}")
    assert 0.036 <= rejected(found) <= 0.064


def test_size_of_the_two_list_tests_over_a_thousand_fair_audits():
    generator, found = rng(20), []
    for _ in range(1000):
        answers = ask(
            "wording", rng=generator, n=50, n_values=4, repeats=2, delta=0.0, placebo_delta=1e-9
        )
        tested = placebo_contrast(
            *(averaged(jaccard(arm, answers.neutral).mean(axis=2), 2) for arm in answers[1:]),
            rng=generator,
            draws=DRAWS,
        )
        between = jaccard(answers.stated, answers.stated)
        found.append(
            [
                between_values_test(between, repeats=2, rng=generator, draws=DRAWS).p,
                tested.shift.p,
                tested.snsr.p,
            ]
        )
    sizes = rejected(found)
    print(f"size of between, placebo shift, placebo SNSR: {sizes}")
    assert np.all((sizes >= 0.036) & (sizes <= 0.064)), sizes


def test_size_stays_below_eight_percent_where_variances_differ_and_means_do_not():
    size = rejected(table_p_values("weak null", audits=1000, seed=30))[0]
    print(f"size under equal means and unequal variances: {size:.3f}")
    assert size <= 0.08


def test_power_is_ninety_percent_at_a_true_snsr_of_53_thousandths():
    power = rejected(table_p_values("noisier", audits=400, seed=40, delta=1.2))
    print(f"power of SNSR, SNSV, largest t at a true SNSR of .051: {power}")
    assert power[0] >= 0.90


def test_opposite_stereotypes_are_seen_by_items_or_lists_and_not_by_snsr():
    generator, found = rng(50), []
    for _ in range(400):
        answers = ask("opposite", rng=generator, n=50, n_values=4, delta=0.8, repeats=2)
        table = averaged(jaccard(answers.stated, answers.neutral).mean(axis=2), 2)
        (test,) = list_shift_tests(table[None], rng=generator, draws=DRAWS)
        first = [row[::2] for row in as_lists(answers)]
        items = item_exposure_test(first, rng=generator, draws=199)
        lists = between_values_test(
            jaccard(answers.stated, answers.stated), repeats=2, rng=generator, draws=199
        )
        found.append([test.snsr.p, items.p, lists.p])
    snsr, items, lists = rejected(found)
    print(f"opposite stereotypes: SNSR {snsr:.3f}, items {items:.3f}, lists {lists:.3f}")
    assert max(items, lists) >= 0.95
    assert snsr <= 0.07


def test_family_of_24_tests_raises_a_false_alarm_in_few_fair_audits():
    generator, alarms = rng(60), 0
    audits = 1000
    for number in range(audits):
        answers = ask("fair", rng=generator, n=50, n_values=32)
        tests, begin = {}, 0
        for attribute, n_values in enumerate((3, 3, 4, 4, 7, 4, 5, 2)):
            own = answers._replace(stated=answers.stated[:, begin : begin + n_values])
            tables = np.stack([similarity(own), similarity(own, serp), similarity(own, prag)])
            tested = list_shift_tests(tables, rng=rng([number, attribute]), draws=DRAWS)
            tests |= {(attribute, metric): one.snsr for metric, one in enumerate(tested)}
            begin += n_values
        alarms += min(westfall_young(tests).values()) <= 0.05
    print(f"a false alarm among 24 tests: {alarms / audits:.3f} of {audits} fair audits")
    assert alarms / audits <= 0.065


@pytest.mark.parametrize(
    ("world", "delta", "truth"),
    [("fair", 0, 0), ("noisier", 0.8, 0.0252), ("noisier", 1.2, 0.0512), ("noisier", 2.0, 0.1085)],
)
@pytest.mark.parametrize("n_values", [2, 4, 8])
def test_bounds_cover_the_truth_in_94_percent(world, delta, truth, n_values):
    generator, covered, audits = rng([70, n_values]), 0, 1000
    for _ in range(audits):
        table = similarity(ask(world, rng=generator, n=50, n_values=n_values, delta=delta))
        bounds = snsr_bounds(table, rng=generator, draws=500).bounds
        covered += bounds.low <= truth <= bounds.high
    print(f"coverage, {world} {delta}, {n_values} values: {covered / audits:.3f}")
    assert covered / audits >= 0.94


@pytest.mark.parametrize("n_values", [2, 4, 8])
def test_noise_floor_is_the_mean_snsr_of_fair_audits(n_values):
    generator, found = rng(80), []
    for _ in range(1500):
        table = similarity(ask("fair", rng=generator, n=50, n_values=n_values))
        found.append((np.ptp(table.mean(axis=0)), noise_floor(table).expected_snsr))
    snsr, floor = np.mean(found, axis=0)
    print(f"noise floor, {n_values} values: {floor:.4f}, mean SNSR {snsr:.4f}")
    assert floor == pytest.approx(snsr, rel=0.05)


def test_attribute_that_does_more_than_a_placebo_is_seen_at_temperature_0():
    generator, found = rng(90), []
    for _ in range(200):
        answers = ask(
            "moved", rng=generator, n=50, n_values=4, delta=1.5, placebo_delta=1.0, frozen=True
        )
        found.append(
            placebo_contrast(
                *(jaccard(arm, answers.neutral).mean(axis=2) for arm in answers[1:]),
                rng=generator,
                draws=DRAWS,
            ).shift.p
        )
    print(f"power of the placebo shift at temperature 0: {rejected(found):.3f}")
    assert rejected(found) >= 0.95


def test_two_hundred_probes_tell_fair_from_unfair_at_a_margin_of_5_points():
    def verdicts(world, delta, audits):
        generator, found = rng([100, audits]), []
        for _ in range(audits):
            table = similarity(ask(world, rng=generator, n=200, n_values=4, delta=delta))
            test = counterfactual_test(table, rng=generator, n_permutations=199, n_bootstrap=500)
            failed = test.low > 0.05 and test.p_value < 0.05
            found.append("fail" if failed else "pass" if test.high < 0.05 else "inconclusive")
        return found

    fair, unfair = verdicts("fair", 0.0, 200), verdicts("noisier", 2.0, 200)
    print(f"of 200: fair {Counter(fair)}, unfair {Counter(unfair)}")
    assert fair.count("pass") >= 196
    assert unfair.count("fail") >= 190
    assert unfair.count("pass") == 0
