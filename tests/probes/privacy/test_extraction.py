"""Extraction: records of members that the model continues verbatim, less those of non-members."""

from __future__ import annotations

import pytest
from planted_leakage import FailsOnEveryThirdText, RecitesHistories
from planted_recommenders import HELD_OUT, Clean
from run_probe import run_probe
from small_folder import save
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.privacy.extraction import _begins_with, _squeezed
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.stats.intervals import newcombe

TRAINED = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_test"}}
RATE, EXCESS = "privacy.extraction.verbatim_rate", "privacy.extraction.excess"


def run(recommender, **parameters):
    return run_probe("privacy.extraction", recommender, manifest=TRAINED, **parameters)


def test_records_that_only_members_have_are_excess():
    found = run(RecitesHistories())
    rate, excess = found.one(RATE), found.one(EXCESS)
    assert rate.estimate.value == 1.0
    assert rate.baseline.value <= 0.1
    assert rate.n_cases == 60
    assert excess.estimate.value == 1.0 - rate.baseline.value
    x = round(rate.baseline.value * rate.baseline.n)
    assert (excess.estimate.low, excess.estimate.high) == newcombe(60, 60, x, rate.baseline.n)
    assert "continues the training record" in rate.evidence[0].what


def test_a_clean_recommender_has_no_excess():
    estimate = run(Clean()).one(EXCESS).estimate
    assert estimate.low <= 0 <= estimate.high


def test_missing_responses_of_a_side_leave_the_excess_undefined():
    failing = run_probe(
        "privacy.extraction", FailsOnEveryThirdText(), manifest=TRAINED, max_error_rate=1.0
    )
    estimate = failing.one(EXCESS).estimate
    assert estimate.value is None
    assert estimate.reason.startswith("not_assessable")


def test_a_model_with_item_tokens_is_compared_by_its_tokens(tmp_path):
    model = load_folder(save(tmp_path))
    manifest = {"training": {**TRAINED["training"], "data_sha256": world().fingerprint}}
    found = run_probe("privacy.extraction", model, manifest=manifest, max_new_tokens=2)
    assert found.one(EXCESS).estimate.n == 80
    assert found.one(RATE).estimate.value <= 0.2  # random weights


@pytest.mark.parametrize(
    ("text", "record", "same"),
    [
        ("1. Alien (1979)\n2. Heat", "Alien (1979)", True),
        ("- alien  (1979)", "Alien (1979)", True),
        ("Aliens (1986)", "Alien", False),
        ("Heat\nAlien", "Alien", False),
        ("<item_5><item_7>", "<item_5>", True),
        ("<item_55>", "<item_5>", False),
        ("- Alien\n- Heat", "Alien\nHeat", True),
    ],
)
def test_a_record_matches_as_whole_words_at_the_start(text, record, same):
    assert _begins_with(_squeezed(text), _squeezed(record)) is same


def test_sizes_below_one_are_an_error():
    with pytest.raises(InvalidArgument, match="at least 1 for each"):
        run(Clean(), length=0)
