"""The overflow probe tells servers that cut long prompts in silence from those that refuse them."""

from __future__ import annotations

from functools import cache

import pytest
from planted_recommenders import Clean
from planted_windows import ReportsTokens
from protocol_server import serving
from run_probe import ProbeRun, run_probe
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.base import NotAssessable
from auditkit.probes.robustness.long_prompts import LongPromptProbe
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.loading.load import load_recommender

PROBE = "robustness.overflow"
RATE = f"{PROBE}.silent_truncation_rate"


@cache
def served(window: int, *, cuts: bool) -> ProbeRun:
    with serving(window=window, cuts=cuts) as (base, _):
        loaded = load_recommender(f"openai:{base}#m", dataset=world())
        return run_probe(PROBE, loaded.recommender, max_error_rate=1)


@pytest.mark.parametrize("window", [200, 400, 700])
def test_server_that_cuts_prompts_in_silence_is_found(window):
    found = served(window, cuts=True).one(RATE)
    assert found.estimate.value == 1
    assert found.n_cases == 20
    assert "was cut: the recommender counts" in found.evidence[0].what


@pytest.mark.parametrize("window", [200, 400, 700])
def test_server_that_refuses_long_prompts_is_not_a_fault(window):
    found = served(window, cuts=False).one(RATE)
    assert (found.estimate.value, found.estimate.n) == (0, 20)
    assert "20 of 20 users got an overflow error, which is not a fault" in found.notes


def test_server_that_reads_everything_is_quiet_and_its_longest_prompt_is_stated():
    found = served(1_000_000, cuts=True).one(RATE)
    assert (found.estimate.value, found.n_cases) == (0, 0)
    assert "0 of 20 users got an overflow error, which is not a fault" in found.notes
    assert found.notes[0].startswith("longest prompt that was read whole: ")


@pytest.mark.parametrize("hidden", [0, 50, 5_000])
def test_tokens_of_a_hidden_system_prompt_change_no_verdict(hidden):
    whole = run_probe(PROBE, ReportsTokens(hidden=hidden)).one(RATE).estimate.value
    cut = run_probe(PROBE, ReportsTokens(hidden=hidden, window=hidden + 600)).one(RATE)
    assert (whole, cut.estimate.value) == (0, 1)


@pytest.mark.parametrize("recommender", [Clean(), load_baseline("popularity", world())])
def test_recommender_without_token_counts_is_not_assessable(recommender):
    with pytest.raises(NotAssessable):
        run_probe(PROBE, recommender)


@pytest.mark.parametrize(
    "wrong", [{"sizes": (10, 20)}, {"sizes": (10, 10, 20)}, {"sizes": (0, 5, 9)}, {"n_users": 0}]
)
def test_sizes_that_show_nothing_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="3 increasing sizes"):
        LongPromptProbe(**wrong)
