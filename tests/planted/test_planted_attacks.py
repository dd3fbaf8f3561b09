"""The adaptive search finds a recommender that reads every word, and nothing in a robust one."""

from __future__ import annotations

from functools import cache
from itertools import count

import pytest
from planted_recommenders import Clean, new_items, titles
from run_probe import ProbeRun, run_probe

from auditkit.types import Request

PROBE = "robustness.prompt.search"


class ReadsEveryWord(Clean):
    """Another list for every other wording; white space and full stops are ignored."""

    def answer(self, request: Request) -> list[str]:
        words = request.prompt.replace(".", "").split()
        return titles(new_items(request, *words)[: request.k])


class AnotherListEachTime(Clean):
    def __init__(self) -> None:
        self._numbers = count()

    def answer(self, request: Request) -> list[str]:
        return titles(new_items(request, next(self._numbers))[: request.k])


@cache
def run_of(kind: type) -> ProbeRun:
    return run_probe("robustness.prompt.search", kind())


@pytest.mark.parametrize("metric", ["asr", "raw_asr", "net_asr"])
def test_search_breaks_a_recommender_that_reads_every_word(metric):
    found = run_of(ReadsEveryWord).one(f"{PROBE}.{metric}")
    assert found.estimate.low >= 0.8
    assert found.estimate.n == 50


def test_search_states_the_edits_and_their_price():
    run = run_of(ReadsEveryWord)
    asr = run.one(f"{PROBE}.asr")
    assert len(asr.evidence) == 5
    assert asr.n_cases == 50
    assert all(" -> " in e.what and e.what.isascii() for e in asr.evidence)
    assert all(set(e.requests) <= run.asked for e in asr.evidence)
    assert run.one(f"{PROBE}.queries_per_success").estimate.value == 2
    assert run.one(f"{PROBE}.budget_area").estimate.low > 0.9


def test_search_is_quiet_on_a_recommender_that_ignores_spelling():
    run = run_of(Clean)
    asr = run.one(f"{PROBE}.asr")
    assert (asr.estimate.value, asr.estimate.low) == (0, 0)
    assert asr.estimate.high == pytest.approx(0.071, abs=0.001)
    assert run.one(f"{PROBE}.net_asr").estimate.high <= 0.1
    price = run.one(f"{PROBE}.queries_per_success")
    assert price.estimate.value is None
    assert price.parameters["queries"] == 2000
    assert not asr.notes


def test_random_lists_are_flagged_and_their_net_rate_is_not_assessable():
    run = run_of(AnotherListEachTime)
    asr = run.one(f"{PROBE}.asr")
    assert asr.notes[0].startswith("non-deterministic")
    floor = run.one(f"{PROBE}.noise_floor")
    assert floor.estimate.low > 0.9
    assert floor.parameters["users_broken_by"]["repeat"] >= 45
    net = run.one(f"{PROBE}.net_asr").estimate
    assert net.value is None
    assert net.reason.startswith("not_assessable")


CERTIFICATE = "robustness.certificate"


@cache
def certificate_of(kind: type) -> ProbeRun:
    return run_probe("robustness.certificate", kind(), n_users=30, copies=40)


def test_vote_on_a_recommender_that_reads_every_word_is_never_certified():
    run = certificate_of(ReadsEveryWord)
    rate = run.one(f"{CERTIFICATE}.certified_rate", "words=1")
    assert (rate.estimate.value, rate.estimate.n) == (0, 30)
    assert rate.estimate.high <= 0.12
    assert run.one(f"{CERTIFICATE}.vote_share").estimate.high <= 0.2


def test_vote_on_a_recommender_that_ignores_the_wording_is_certified():
    run = certificate_of(Clean)
    found = {
        words: run.one(f"{CERTIFICATE}.certified_rate", f"words={words}") for words in (1, 2, 3)
    }
    assert found[1].estimate.low >= 0.88
    assert found[1].parameters["exact"] is False
    # A fifth of the words are kept, so 3 replaced words reach most copies: no share suffices.
    assert [found[words].estimate.value for words in (1, 3)] == [1, 0]
    assert run.one(f"{CERTIFICATE}.first_changed").estimate.value == 0
