"""Every variant answers the same requests, and what it repairs and costs is what happened."""

from __future__ import annotations

import pytest
from planted_recommenders import (
    Clean,
    InventsTitles,
    OnlyRecommends,
    chance,
    new_items,
    titles,
)
from run_probe import run_probe
from small_folder import save
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.hallucination.mitigation import MitigationProbe
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.types import RankedItem, Response

PREFIX = "hallucination.mitigation"
PROBE = PREFIX


def value(run, metric, variant):
    return run.one(f"{PREFIX}.{metric}", f"variant={variant}").estimate.value


def not_tested(run):
    return run.one(f"{PREFIX}.out_of_catalog_rate", "variant=free").parameters["not_tested"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """A tiny model that writes nonsense left alone; its templates are the shipped ones."""
    folder = tmp_path_factory.mktemp("write")
    return load_folder(save(folder, style="generate", with_items=False, window=2))


@pytest.fixture(scope="module")
def inventing():
    return run_probe(PROBE, InventsTitles())


def test_grounding_leaves_the_titles_that_exist_and_no_more(inventing):
    assert value(inventing, "out_of_catalog_rate", "free") == 0.5
    assert value(inventing, "out_of_catalog_rate", "grounding") == 0
    assert value(inventing, "out_of_catalog_change", "grounding") == -0.5
    assert value(inventing, "answered_share", "grounding") == 0.5
    assert value(inventing, "recall@10_change", "grounding") == 0


def test_grounding_asks_nothing_and_asking_again_counts_its_calls(inventing):
    assert value(inventing, "calls_ratio", "grounding") == 1
    assert value(inventing, "calls_ratio", "grounding_asked_again") == 3


class FillsGaps(InventsTitles):
    """Names other films when it is asked for others."""

    def answer(self, request):
        if not request.messages:
            return super().answer(request)
        said = "\n".join(turn.content for turn in request.messages)
        return titles([i for i in new_items(request) if i.display_title not in said][: request.k])


def test_asking_again_replaces_what_was_refused():
    run = run_probe(PROBE, FillsGaps())
    assert value(run, "answered_share", "grounding") == 0.5
    assert value(run, "answered_share", "grounding_asked_again") == 1
    assert value(run, "replaced_rate", "grounding_asked_again") == 0.5
    assert value(run, "rescued_rate", "grounding_asked_again") == 0
    assert value(run, "calls_ratio", "grounding_asked_again") == 2
    assert value(run, "out_of_catalog_rate", "grounding_asked_again") == 0


class ReadsTheList(Clean):
    """Invents, unless its prompt lists what to choose from."""

    def answer(self, request):
        _, found, listed = request.prompt.partition("Name only movies of this list:\n")
        if not found:
            return [f"Zzyzx {request.user_id} {i} (1999)" for i in range(request.k)]
        lines = [line.removeprefix("- ").split(":")[0] for line in listed.splitlines()]
        return lines[: request.k]


def test_candidates_reach_the_prompt_and_are_new_to_the_user():
    run = run_probe(PROBE, ReadsTheList())
    for variant in ("candidates", "candidate_facts"):
        assert value(run, "out_of_catalog_rate", variant) == 0
        assert value(run, "consumed_rate", variant) == 0
        assert value(run, "constraint_violation_rate", variant) == 0
        assert value(run, "out_of_catalog_change", variant) == -1
    assert value(run, "recall@10", "free") == 0


class StatesFacts(Clean):
    """Says a right or a wrong genre behind every title."""

    wrong = False

    def recommend(self, requests):
        return [self.said(request) for request in requests]

    def said(self, request):
        chosen = new_items(request)[: request.k]
        genre = lambda item: (  # noqa: E731
            next(g for g in ("Western", "Drama", "War") if g not in item.genres)
            if self.wrong
            else item.genres[0]
        )
        lines = [f"{item.display_title} is a {genre(item)} film." for item in chosen]
        items = tuple(RankedItem(raw=item.display_title) for item in chosen)
        return Response(request_id=request.id, status="ok", text="\n".join(lines), items=items)


class StatesOtherFacts(StatesFacts):
    wrong = True


def test_facts_in_the_answers_are_checked():
    right, wrong = (
        run_probe(PROBE, kind(), n_users=10, variants=("free", "grounding"))
        for kind in (StatesFacts, StatesOtherFacts)
    )
    assert value(right, "claim_contradicted_rate", "free") == 0
    # The year of each title is right, the genre is not.
    assert value(wrong, "claim_contradicted_rate", "free") == pytest.approx(0.5, abs=0.05)


class SureOfWhatExists(InventsTitles):
    """The more it would rather not have said a title, the less likely it finds it."""

    def log_probability(self, prompt, continuation):
        return -5.0 if continuation.startswith("Zzyzx") else -1.0 - chance(continuation)


def test_confidence_that_knows_what_exists_has_no_excess_risk(inventing):
    knowing = run_probe(PROBE, SureOfWhatExists())
    numbers = {
        name: [
            run.one(f"{PREFIX}.{name}", "error=refused").estimate.value
            for run in (knowing, inventing)
        ]
        for name in ("aurc", "aurc_excess", "risk_at_coverage_0.5", "coverage_at_risk_0.05")
    }
    assert numbers["aurc_excess"][0] == pytest.approx(0, abs=1e-12)
    assert numbers["aurc"][0] < numbers["aurc"][1] == 0.5
    assert numbers["risk_at_coverage_0.5"] == [0, 0.5]
    assert 0.4 < numbers["coverage_at_risk_0.05"][0] <= 0.55
    assert numbers["coverage_at_risk_0.05"][1] == 0


def test_curve_stands_beside_its_area(inventing):
    curve = inventing.one(f"{PREFIX}.aurc", "error=refused").parameters["curve"]
    assert len(curve) <= 101
    assert curve[-1] == [1.0, 0.5]
    assert [point[0] for point in curve] == sorted(point[0] for point in curve)


def test_a_model_within_the_catalog_names_nothing_else(writer):
    run = run_probe(PROBE, writer, n_users=12, k=3)
    assert not_tested(run).keys() <= {"candidates", "candidate_facts"}
    for variant in ("trie", "trie_filtered"):
        assert value(run, "out_of_catalog_rate", variant) == 0
        assert value(run, "wrong_count_rate", variant) == 0
        assert value(run, "answered_share", variant) == 1
        notes = run.one(f"{PREFIX}.out_of_catalog_rate", f"variant={variant}").notes
        assert any("by construction" in note for note in notes)
    for metric in ("duplicate_rate", "consumed_rate", "constraint_violation_rate"):
        assert value(run, metric, "trie_filtered") == 0
    assert value(run, "tokens_ratio", "trie") > 0


def test_prompts_that_do_not_fit_are_not_asked(tmp_path):
    narrow = load_folder(save(tmp_path, style="generate", with_items=False, window=2))
    run = run_probe(PROBE, narrow, n_users=6, k=2, variants=("free", "candidates"))
    assert "context" in not_tested(run)["candidates"]
    assert run.counts["target_error"] == 0
    assert sum(run.counts.values()) == 6


def test_a_recommender_that_only_recommends_is_told_what_was_not_tested():
    run = run_probe(PROBE, OnlyRecommends())
    reasons = not_tested(run)
    assert set(reasons) == {"trie", "trie_filtered", "abstention"}
    assert "Scores" in reasons["abstention"]
    assert not [f for f in run.findings if f.group.startswith("error=")]


class IgnoresWords(OnlyRecommends):
    reads_prompt = False


def test_who_reads_no_words_gets_no_lists_in_words():
    reasons = not_tested(run_probe(PROBE, IgnoresWords()))
    assert {"candidates", "candidate_facts", "grounding_asked_again"} <= set(reasons)


def test_a_ranker_of_item_tokens_is_grounded_but_not_restricted(tmp_path):
    run = run_probe(PROBE, load_folder(save(tmp_path)), n_users=6)
    assert "ranks item tokens" in not_tested(run)["trie"]
    assert value(run, "out_of_catalog_rate", "grounding") == 0


def test_only_the_variants_that_are_named_are_asked():
    run = run_probe(PROBE, Clean(), variants=("free", "grounding"))
    assert {f.group for f in run.findings} == {"variant=free", "variant=grounding"}
    assert sum(run.counts.values()) == len(world().interactions.user_ids)
    assert not_tested(run) == {}


def test_every_request_of_a_variant_has_its_own_record(writer):
    run = run_probe(PROBE, writer, n_users=5, k=2, variants=("free", "trie", "trie_filtered"))
    assert sum(run.counts.values()) == len(run.asked) == 15


def test_numbers_below_one_are_refused():
    with pytest.raises(InvalidArgument, match="k=0"):
        MitigationProbe(k=0)
