"""Agreement of samples is a confidence where the recommender has one, and is not made up where it
has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_recommenders import Clean, InventsTitles, OnlyRecommends, chance, new_items, titles
from recorded_server import answering
from run_probe import run_probe
from server_formats import VLLM
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.hallucination.mitigation import MitigationProbe
from auditkit.probes.hallucination.sampled_lists import SampledLists, Sampling
from auditkit.recommenders.remote.openai_endpoint import Endpoint
from auditkit.types import RankedItem, Request, Response

PREFIX = "hallucination.mitigation"
GROUP = "error=refused&confidence=agreement"


def sampled(recommender, *variants, **parameters):
    return run_probe(PREFIX, recommender, variants=("free", *variants), **parameters)


def estimate(run, metric, group=GROUP):
    return run.one(f"{PREFIX}.{metric}", group).estimate


def not_tested(run):
    return run.one(f"{PREFIX}.out_of_catalog_rate", "variant=free").parameters["not_tested"]


class Samples(OnlyRecommends):
    """Half of each list exists; at a temperature above 0, each request has its own seed."""

    def recommend(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        half = request.k // 2
        real = titles(new_items(request)[:half])
        return real + [self.invented(request, i) for i in range(request.k - half)]

    def invented(self, request, i):
        return f"Zzyzx Number {request.user_id} {i} {self.salt(request)}"

    def salt(self, request):
        return request.seed if request.temperature else "greedy"


class InventsWhereUnsure(Samples):
    """Every sample invents other titles and repeats those that exist."""


class InventsConsistently(Samples):
    """Every title is left out of two samples in five, whether it exists or not."""

    def answer(self, request):
        listed = super().answer(request)
        if not request.temperature:
            return listed
        return [t for t in listed if chance(request.user_id, t, request.seed) > 0.4] or listed[:1]

    def salt(self, request):
        return "always"


class CleanSampler(Samples):
    """Names only items of the catalog, others in every sample."""

    def answer(self, request):
        kept = new_items(request, *[request.seed] * (request.temperature > 0))
        return titles([*new_items(request)[:3], *kept][: request.k])


def test_samples_that_disagree_on_inventions_find_them():
    run = sampled(InventsWhereUnsure(), "agreement")
    assert estimate(run, "confidence_auc").value == 1
    assert estimate(run, "confidence_auc").low > 0.9
    assert estimate(run, "risk_at_coverage_0.5").value == 0
    assert estimate(run, "aurc_excess").value == pytest.approx(0, abs=1e-12)
    curve = run.one(f"{PREFIX}.aurc", GROUP).parameters["curve"]
    assert (curve[0][1], curve[-1]) == (0, [1.0, 0.5])
    assert run.one(f"{PREFIX}.confidence_auc", GROUP).notes == ()


def test_agreement_cannot_find_consistent_inventions_and_says_so():
    run = sampled(InventsConsistently(), "agreement")
    auc = estimate(run, "confidence_auc")
    assert auc.low <= 0.5 <= auc.high
    assert auc.high - auc.low < 0.2
    assert estimate(run, "risk_at_coverage_0.5").value > 0.4
    (note,) = run.one(f"{PREFIX}.confidence_auc", GROUP).notes
    assert "does not separate wrong items from right items" in note


def test_recommender_that_invents_nothing_has_no_risk():
    run = sampled(CleanSampler(), "agreement", "vote")
    assert estimate(run, "aurc").high <= 0.1
    assert estimate(run, "confidence_auc").value is None
    assert "all items are right" in estimate(run, "confidence_auc").reason
    assert estimate(run, "out_of_catalog_rate", "variant=vote").value == 0


def test_mean_agreement_of_a_list_by_hand():
    """Five titles are in all samples and five in none."""
    run = sampled(InventsWhereUnsure(), "agreement", n_samples=4)
    assert estimate(run, "sample_agreement", "confidence=agreement").value == 0.5
    found = run.one(f"{PREFIX}.sample_agreement", "confidence=agreement")
    assert found.parameters == {"confidence": "agreement of 4 samples", "temperature": 0.7}
    assert found.estimate.n == len(world().interactions.user_ids)


@pytest.mark.parametrize("recommender", [InventsTitles(), Clean()])
def test_equal_samples_are_not_perfect_confidence(recommender):
    run = sampled(recommender, "agreement", "vote", n_users=20)
    for variant in ("agreement", "vote"):
        assert "ignores temperature and seed" in not_tested(run)[variant]
    assert not [f for f in run.findings if "agreement" in f.group or "vote" in f.group]


class DiffersOnce(InventsTitles):
    """A greedy server whose batches change one list in a hundred."""

    def answer(self, request):
        listed = super().answer(request)
        return listed[::-1] if request.user_id == "1" and request.seed % 2 else listed


def test_noise_of_a_greedy_server_is_not_sampling():
    reason = not_tested(sampled(DiffersOnce(), "agreement"))["agreement"]
    assert "of 79 of 80 requests are equal" in reason


def test_vote_drops_what_the_samples_do_not_share_and_costs_its_calls():
    run = sampled(InventsWhereUnsure(), "vote", n_samples=5)
    assert estimate(run, "out_of_catalog_rate", "variant=vote").value == 0
    assert estimate(run, "answered_share", "variant=vote").value == 0.5
    assert estimate(run, "calls_ratio", "variant=vote").value == 5


def test_samples_are_requested_once_for_both_variants_and_only_by_name():
    n = len(world().interactions.user_ids)
    both = sampled(InventsWhereUnsure(), "agreement", "vote", n_samples=3)
    assert sum(both.counts.values()) == len(both.asked) == n * 4
    assert len(sampled(InventsWhereUnsure(), n_samples=3).asked) == n


def test_both_confidences_are_named_in_their_findings():
    class Scored(Samples, Clean):
        pass

    run = sampled(Scored(), "abstention", "agreement", n_users=20)
    labels = {
        group: run.one(f"{PREFIX}.aurc", group).parameters["confidence"]
        for group in ("error=refused", GROUP)
    }
    assert labels == {"error=refused": "log-probability", GROUP: "agreement of 8 samples"}


def test_an_endpoint_is_sampled_with_its_own_seeds_and_one_that_repeats_itself_is_found_out():
    catalog = world().catalog.items

    def respond(path, asked, *, seeded=True):
        salt = asked["seed"] if seeded and asked["temperature"] else 0
        real = [item.display_title for item in catalog[:3]]
        text = "\n".join(f"{n}. {t}" for n, t in enumerate([*real, f"Zzyzx of {salt}"], start=1))
        return VLLM.chat(text)

    with answering(respond) as (url, seen):
        run = sampled(Endpoint(f"{url}#m"), "agreement", n_users=12, k=4, n_samples=4)
        assert estimate(run, "confidence_auc").value == 1
        hot = [asked for _, asked in seen if asked["temperature"] == 0.7]
        assert len(hot) == len({asked["seed"] for asked in hot}) == 48
    with answering(lambda path, asked: respond(path, asked, seeded=False)) as (url, _):
        run = sampled(Endpoint(f"{url}#m"), "agreement", n_users=12, k=4, n_samples=4)
        assert "ignores temperature and seed" in not_tested(run)["agreement"]


# --- which samples count


def response(*titles, status="ok"):
    items = tuple(RankedItem(raw=title) for title in titles)
    return Response(request_id="r", status=status, items=items)


def lists(*responses, n=4):
    return SampledLists(Sampling(n, 0.7), (responses,))


def test_refusal_contains_no_item_and_cut_or_failed_samples_do_not_count():
    samples = lists(
        response("A"), response("B", status="truncated"), response(status="refusal"),
        response(status="timeout"),
    )  # fmt: skip
    assert samples.confidences([response("A", "B")]) == [[0.5, 0.0]]


def test_list_without_half_of_its_samples_has_no_confidence():
    samples = lists(response("A"), *[response(status="timeout")] * 3)
    assert samples.confidences([response("A")]) == [[None]]
    (voted,) = samples.votes([Request(k=1)])
    assert (voted.status, voted.items) == ("timeout", ())


def test_titles_without_a_link_are_the_same_by_their_normalized_form():
    samples = lists(response("The  THING (1982)"), response("the thing"), n=2)
    assert samples.confidences([response("The Thing (1982)")]) == [[1.0]]


def test_linked_items_are_the_same_by_their_id_whatever_was_written():
    def linked(raw):
        return replace(response(), items=(RankedItem(raw=raw, item_id="7", link="exact"),))

    samples = lists(linked("Seven"), linked("Se7en"), n=2)
    assert samples.confidences([linked("SEVEN (1995)")]) == [[1.0]]


@pytest.mark.parametrize("parameters", [{"n_samples": 1}, {"temperature": 0.0}])
def test_sampling_without_samples_is_refused(parameters):
    with pytest.raises(InvalidArgument, match="at least 2 samples"):
        MitigationProbe(**parameters)
