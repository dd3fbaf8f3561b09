"""Choices in circles, choices by position and lists against the choices are told apart."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from planted_recommenders import Clean, titles
from planted_threats import Linked, Random, TakesTheFirst
from run_probe import ProbeRun, run_probe
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.base import NotAssessable
from auditkit.probes.robustness.pairwise_choices import PairwiseChoiceProbe
from auditkit.recommenders.adapters.baselines import load_baseline

PROBE = "robustness.pairs"
CYCLES, ORDER, LIST = (f"{PROBE}.{m}" for m in ("cycle_rate", "order_dependence", "list_agreement"))


class ChoosesInCircles(Clean):
    """Of two candidates, kind 0 beats 1, 1 beats 2 and 2 beats 0; lists are those of `Clean`."""

    def answer(self, request):
        if len(request.candidates or ()) != 2:
            return super().answer(request)
        a, b = sorted(request.candidates, key=lambda item: item.id)
        kinds = [world().catalog.index[item.id] % 3 for item in (a, b)]
        wins = b if (kinds[0] - kinds[1]) % 3 == 1 else a
        return titles([world().catalog[wins.id]])


class ListsBackwards(Clean):
    """Chooses as `Clean` does, and lists the candidates in the opposite order."""

    def answer(self, request):
        if len(request.candidates or ()) == 2:
            return super().answer(request)
        return super().answer(request)[::-1]


@cache
def run(kind: type, seed: int = 0) -> ProbeRun:
    return run_probe(PROBE, Linked(kind()), seed=seed)


def values(kind: type, seed: int = 0) -> list[float | None]:
    return [run(kind, seed).one(metric).estimate.value for metric in (CYCLES, ORDER, LIST)]


@pytest.mark.parametrize("seed", range(3))
def test_one_preference_has_no_circles_and_no_order(seed):
    assert values(Clean, seed) == [0, 0, 1]
    assert run(Clean, seed).one(CYCLES).n_cases == 0


def test_circles_are_found_and_shown():
    found = run(ChoosesInCircles).one(CYCLES)
    assert found.estimate.low > 0.05
    assert run(ChoosesInCircles).one(ORDER).estimate.value == 0
    assert found.n_cases >= 3
    first, second, third = found.evidence[0].what.removeprefix("prefers ").split('", "')
    assert first.split('" over "')[1] == second.split('" over "')[0]
    assert third.split('" over "')[1].strip('"') == first.split('" over "')[0].strip('"')


def test_choice_of_the_first_settles_no_pair():
    cycles, order, agreement = values(TakesTheFirst)
    assert (cycles, order, agreement) == (None, 1, None)
    assert run(TakesTheFirst).one(CYCLES).estimate.n_missing == 40


def test_list_against_the_choices_is_found():
    assert values(ListsBackwards) == [0, 0, -1]


def test_choices_at_random_are_near_the_stated_rates():
    found = []
    for seed in range(6):
        random = Random()
        random.calls = 10_000 * seed  # answers depend on the number of the call
        of_seed = run_probe(PROBE, Linked(random), seed=seed)
        found.append([of_seed.one(metric).estimate.value for metric in (CYCLES, ORDER, LIST)])
    cycles, order, agreement = np.mean(found, axis=0)
    assert order == pytest.approx(0.5, abs=0.06)  # 4 standard deviations
    assert cycles == pytest.approx(0.25, abs=0.15)
    assert agreement == pytest.approx(0, abs=0.2)


def test_a_quarter_of_random_triads_are_circles():
    wins = np.random.default_rng(0).integers(2, size=(100_000, 3))  # 0 over 1, 1 over 2, 2 over 0
    assert np.mean(wins.sum(axis=1) % 3 == 0) == pytest.approx(0.25, abs=0.005)


def test_recommender_that_reads_no_prompt_is_not_assessable():
    with pytest.raises(NotAssessable):
        run_probe(PROBE, load_baseline("popularity", world()))


@pytest.mark.parametrize("wrong", [{"n_items": 2}, {"n_items": 9}, {"n_users": 0}])
def test_too_few_or_too_many_items_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="3 to 8 items"):
        PairwiseChoiceProbe(**wrong)
