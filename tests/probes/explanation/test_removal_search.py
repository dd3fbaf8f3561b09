"""The search for removals on recommenders whose answers are known for every history."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from planted_reasons import NeedsAny, ScoredCause, causes, whole_history
from run_probe import target_for
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.base import load_users
from auditkit.probes.explanation.removal import RemovalProbe
from auditkit.probes.explanation.removal_search import most_masks, removal_order, search_removals
from auditkit.probes.explanation.top_items import explained_users, measure_tops
from auditkit.types import Request

USERS = load_users(world())[:6]
REQUESTS = [Request(user_id=user.id, history=user.history[-10:], k=10) for user in USERS]


def explained(recommender, folder, by="auto"):
    target = target_for(recommender, folder)
    found, missing = explained_users(target, USERS, REQUESTS, by=by)
    assert missing == {}
    return target, found


def test_search_agrees_with_all_subsets(tmp_path):
    """Every removal of one or two items is tried, by lists and by scores."""
    for number, recommender in enumerate((NeedsAny(2), ScoredCause())):
        target, users = explained(recommender, tmp_path / str(number))
        for one in search_removals(target, users, cap=60):
            explained_one = one.explained
            removals = [r for s in (1, 2) for r in combinations(range(explained_one.n), s)]
            measure_tops(target, [(explained_one, list(map(explained_one.without, removals)))])
            changing = [
                r
                for r in removals
                if explained_one.outcomes[explained_one.without(r)].top != explained_one.item.id
            ]
            smallest = [r for r in changing if len(r) == len(changing[0])]
            assert list(one.sets) == smallest
            assert one.status == "proven"


def test_greedy_search_says_how_many_items_are_needed_at_least(tmp_path):
    target, users = explained(NeedsAny(5), tmp_path)
    for one in search_removals(target, users, cap=10):
        assert one.status == "greedy"
        assert one.at_least == 2
        ids = {item.id for item in causes(one.explained.user.id, 5)}
        gone = {one.explained.request.history[i].id for i in one.sets[0]}
        assert ids <= gone


def test_a_listed_item_without_the_highest_score_is_not_explained(tmp_path):
    class ListsTheSecond(ScoredCause):
        def answer(self, request):
            first, second, *rest = super().answer(request)
            return [second, first, *rest]

    target, users = explained(ListsTheSecond(), tmp_path)
    found = search_removals(target, users, cap=60)
    assert {one.status for one in found} == {"not_top"}
    assert {one.regardless for one in found} == {None}


def test_a_failed_request_without_history_makes_the_user_missing(tmp_path):
    class FailsWithoutHistory(NeedsAny):
        def ranked(self, request):
            if not request.history:
                raise RuntimeError("empty history")
            return super().ranked(request)

    target, users = explained(FailsWithoutHistory(), tmp_path)
    found = search_removals(target, users, cap=60)
    assert {one.status for one in found} == {"failed"}


def test_items_are_ordered_by_their_leave_one_out_effect(tmp_path):
    target, users = explained(ScoredCause(), tmp_path)
    for one in users:
        measure_tops(target, [(one, [one.everything, *(one.without([i]) for i in range(one.n))])])
        first = one.request.history[removal_order(one)[0]].id
        assert first == causes(one.user.id)[0].id
        drop = one.outcomes[one.everything].strength - one.outcomes[one.without([0])].strength
        assert drop == pytest.approx(3.5 if removal_order(one)[0] == 0 else 0.0)


@pytest.mark.parametrize(
    ("n", "cap", "most"), [(3, 7, 8), (10, 60, 55 + 22), (10, 175, 175 + 22), (10, 5, 22)]
)
def test_number_of_masks_is_bounded(n, cap, most):
    assert most_masks(n, cap) == most
    assert most_masks(n, cap) <= 2**n


def test_search_stays_within_its_bound(tmp_path):
    target, users = explained(NeedsAny(6), tmp_path)
    search_removals(target, users, cap=60)
    for one in users:
        assert len(one.outcomes) <= most_masks(one.n, 60) <= math.comb(10, 1) + 55 + 12
        assert len(whole_history(one.user.id)) == one.n


@pytest.mark.parametrize("wrong", [{"n_users": 0}, {"n_items": 21}, {"k": 1}, {"by": "votes"}])
def test_removal_probe_refuses_what_it_cannot_do(wrong):
    with pytest.raises(InvalidArgument, match=r"explain\.removal got"):
        RemovalProbe(**wrong)
