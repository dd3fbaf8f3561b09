"""The scan finds personal data, secrets and histories, and tells an echo from a leak."""

from __future__ import annotations

import pytest
from planted_leakage import (
    Answers,
    LeaksASecret,
    LeaksContacts,
    RecitesAnotherUser,
    RepeatsThePrompt,
)
from planted_recommenders import HELD_OUT, Clean
from run_probe import run_probe
from small_folder import save
from small_world import world

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.probes.base import NotAssessable
from auditkit.recommenders.adapters.model_folder import load_folder

TRAINED = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_test"}}
RATES = ("pii_rate", "pii_echo_rate", "training_ngram_rate")


def rates(recommender, manifest=TRAINED, **parameters):
    run = run_probe("privacy.scan", recommender, manifest=manifest, **parameters)
    return {f.metric.removeprefix("privacy.scan."): f for f in run.findings}


def test_contacts_in_every_list_are_found_counted_by_kind_and_masked():
    found = rates(LeaksContacts())["pii_rate"]
    assert found.estimate.low > 0.9
    assert found.parameters == {"email": 80, "iban": 80}
    assert found.n_cases == 80
    # The recorded address is masked already; nothing of the account is shown.
    assert {shown.what for shown in found.evidence} == {"email: [email 1]"}
    assert not any("DE89" in shown.what for shown in found.evidence)


def test_a_clean_text_has_no_hit():
    found = rates(Answers())
    assert all(found[name].estimate.value == 0 for name in RATES)
    assert found["pii_rate"].estimate.high <= 0.05


def test_what_is_in_the_prompt_is_an_echo(monkeypatch):
    monkeypatch.setattr(Answers, "render", lambda self, r: f"I am a@x.org.\n{r.user_id}", False)
    monkeypatch.setattr(Answers, "reference", lambda self, item: item.title, False)
    monkeypatch.setattr(Answers, "prompts", _prompts(), False)
    found = rates(RepeatsThePrompt())
    assert found["pii_echo_rate"].estimate.low > 0.9
    assert found["pii_rate"].estimate.value == 0
    leak = rates(LeaksContacts())
    assert leak["pii_rate"].parameters == {"iban": 80}  # the masked address may be the prompt's


def _prompts():
    from auditkit.domains.shipped import domain_pack
    from auditkit.recommenders.prompting.prompts import Prompts

    return Prompts.shipped("titles", domain_pack("movies"))


def test_a_planted_secret_is_found_however_it_is_spaced(tmp_path):
    secrets = tmp_path / "secrets.txt"
    secrets.write_text("z94qx771\nnever written\n", encoding="utf-8")
    found = rates(LeaksASecret(), secrets_file=str(secrets))["canary_rate"]
    assert found.estimate.low > 0.9
    assert rates(Answers(), secrets_file=str(secrets))["canary_rate"].estimate.value == 0


def test_without_secrets_their_rate_is_undefined():
    assert "secrets_file" in rates(Answers())["canary_rate"].estimate.reason


@pytest.mark.parametrize("lines", ["", "abc\n", "\n \n"])
def test_a_file_without_long_secrets_is_an_error(tmp_path, lines):
    (tmp_path / "s.txt").write_text(lines)
    with pytest.raises(ConfigurationError, match="one per line"):
        rates(Answers(), secrets_file=str(tmp_path / "s.txt"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        rates(Answers(), secrets_file=str(tmp_path / "none.txt"))


def test_the_history_of_one_training_user_is_found_and_that_of_a_held_out_user_is_not():
    found = rates(RecitesAnotherUser())["training_ngram_rate"]
    assert found.estimate.low > 0.9
    # The prompt of that user contains the history, so the list is no leak for them.
    assert found.estimate.value == pytest.approx(79 / 80)
    held_out = {"training": {"holdout_users": [*HELD_OUT, world().interactions.user_ids[1]],
                             "fit": "all_but_test"}}  # fmt: skip
    assert rates(RecitesAnotherUser(), held_out)["training_ngram_rate"].estimate.value == 0
    reason = rates(RecitesAnotherUser(), {})["training_ngram_rate"].estimate.reason
    assert "declares no training" in reason


def test_samples_at_temperature_one_are_scanned_too():
    run = run_probe("privacy.scan", Answers(), manifest=TRAINED, n_users=40, n_samples=100)
    assert sum(run.counts.values()) == 140
    (law,) = {f.law.n for f in run.findings if f.metric == "privacy.scan.pii_rate"}
    assert law == 140


def test_a_ranking_of_item_tokens_has_no_text_to_scan(tmp_path):
    with pytest.raises(NotAssessable, match="item tokens"):
        rates(load_folder(save(tmp_path)), n_users=5)


def test_lists_without_text_are_scanned_by_their_titles():
    assert rates(Clean())["pii_rate"].estimate.n == 80


def test_sizes_out_of_range_are_an_error():
    with pytest.raises(InvalidArgument, match="Give n_users and max_new_tokens of at least 1"):
        rates(Clean(), n_samples=-1)


def test_a_spaced_account_is_counted_as_what_the_evidence_masked_it_as(monkeypatch):
    monkeypatch.setattr(LeaksContacts, "more", lambda self, r: "DE89 3704 0044 0532 0130 00")
    found = rates(LeaksContacts())["pii_rate"]
    assert found.estimate.low > 0.9
    assert found.parameters == {"phone": 80}
