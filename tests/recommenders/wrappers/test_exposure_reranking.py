"""Greedy re-ranking by exposure: worked by hand, its properties, and its wrapper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_recommenders import Clean
from small_world import world

from auditkit.errors import InvalidArgument, TargetError, TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.protocols import CAPABILITIES, Recommends, Renders
from auditkit.recommenders.wrappers.delegation import offer
from auditkit.recommenders.wrappers.exposure_reranking import Reranked, rerank
from auditkit.recommenders.wrappers.item_groups import group_items
from auditkit.types import Item, Request

HEAD, TAIL = (1.0, 0.0), (0.0, 1.0)
SCORES = st.lists(st.floats(-10, 10), min_size=1, max_size=12)


def histories(data, until="test"):
    users = range(len(data.interactions.user_ids))
    return [data.interactions.history(user, until=until) for user in users]


def test_greedy_order_worked_by_hand():
    """Scores .9 .8 .5 .1 become 1, .875, .5, 0; the head has .5 of the histories, weight 1.

    Place 1: head items would take all of the list, an excess of .5: 1 - .5 = .5 and .875 - .5; the
    tail item too: .5 - .5 = 0. The first head item stands first. Place 2: a second head item is
    again .5 too many (.375), a tail item makes the share exactly .5 (.5): the tail item. Place 3:
    head would be 2/3 (.875 - 1/6 = .708), tail 2/3 as well (0 - 1/6): the head item.
    """
    membership = [HEAD, HEAD, TAIL, TAIL]
    assert rerank([0.9, 0.8, 0.5, 0.1], membership, [0.5, 0.5], weight=1.0, k=4) == [0, 2, 1, 3]
    assert rerank([0.9, 0.8, 0.5, 0.1], membership, [0.5, 0.5], weight=0.0, k=4) == [0, 1, 2, 3]
    # A head that users never consumed loses even the first place once the weight exceeds the gap.
    assert rerank([0.9, 0.8, 0.5, 0.1], membership, [0.0, 1.0], weight=0.6, k=2) == [2, 0]


def test_items_of_several_groups_count_for_each_by_their_part():
    membership = [(0.5, 0.5), (1.0, 0.0), (0.0, 1.0)]
    assert rerank([3, 2, 2], membership, [0.0, 1.0], weight=10.0, k=3) == [2, 0, 1]


@given(scores=SCORES, k=st.integers(1, 15), data=st.data())
def test_weight_zero_returns_the_original_order_even_where_scores_contradict_it(scores, k, data):
    membership = [data.draw(st.sampled_from([HEAD, TAIL])) for _ in scores]
    found = rerank(scores, membership, [0.3, 0.7], weight=0.0, k=k)
    assert found == list(range(min(k, len(scores))))


@given(scores=SCORES, k=st.integers(1, 15), weight=st.floats(0, 50), data=st.data())
def test_the_list_holds_k_different_candidates(scores, k, weight, data):
    membership = [data.draw(st.sampled_from([HEAD, TAIL, (0.0, 0.0)])) for _ in scores]
    found = rerank(scores, membership, [0.3, 0.7], weight=weight, k=k)
    assert len(found) == len(set(found)) == min(k, len(scores))
    assert set(found) <= set(range(len(scores)))


@given(scores=SCORES, weight=st.floats(0, 50), shift=st.floats(-5, 5), scale=st.floats(0.5, 3))
def test_only_the_form_of_the_scores_matters(scores, weight, shift, scale):
    ordered = [round(score, 3) for score in sorted(scores, reverse=True)]
    membership = [HEAD if i % 3 else TAIL for i in range(len(ordered))]
    found = rerank(ordered, membership, [0.5, 0.5], weight=0.0, k=5)
    moved = [scale * score + shift for score in ordered]
    assert rerank(moved, membership, [0.5, 0.5], weight=0.0, k=5) == found
    alone = [HEAD] * len(ordered)  # where all belong together nothing can be gained
    assert rerank(ordered, alone, [1.0, 0.0], weight=weight, k=5) == found


@given(n_head=st.integers(1, 20), n_tail=st.integers(10, 20), share=st.floats(0, 1))
def test_a_large_weight_keeps_every_group_near_its_share_at_every_place(n_head, n_tail, share):
    membership = [HEAD] * n_head + [TAIL] * n_tail
    scores = np.linspace(1, 0, n_head + n_tail)
    found = rerank(scores, membership, [share, 1 - share], weight=1e6, k=10)
    for place in range(1, 11):
        in_head = sum(i < n_head for i in found[:place])
        assert in_head <= share * place + 1 + 1e-9


def test_equal_scores_are_all_zero_and_a_negative_weight_is_refused():
    assert rerank([2, 2, 2], [HEAD, HEAD, TAIL], [0.5, 0.5], weight=1.0, k=3) == [0, 2, 1]
    assert rerank([], np.zeros((0, 2)), [0.5, 0.5], weight=1.0, k=3) == []
    with pytest.raises(InvalidArgument, match="at least 0"):
        rerank([1.0], [HEAD], [0.5, 0.5], weight=-0.1, k=1)


def test_scores_that_are_not_finite_leave_a_list_that_is_still_weighed():
    parts, share = [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], [0.5, 0.5]
    scores = [np.inf, 1.0, np.nan, 0.5, -np.inf]
    assert rerank(scores, parts, share, weight=0, k=5) == [0, 1, 2, 3, 4]
    assert rerank(scores, parts, share, weight=9, k=5) == [0, 2, 1, 3, 4]
    assert rerank([-np.inf] * 3, parts[:3], share, weight=9, k=2) == [0, 1]
    assert rerank([np.inf] * 3, parts[:3], share, weight=9, k=2) == [0, 2]


def test_group_shares_sum_to_one_and_genres_are_split_evenly():
    data = world()
    for by in ("popularity", "genre"):
        groups = group_items(data, by, histories(data))
        assert groups.history_share.sum() == pytest.approx(1)
        assert all(part.sum() == pytest.approx(1) for part in groups.membership.values())
    entry = next(item for item in data.catalog.items if len(item.genres) == 2)
    part = groups.membership[entry.id]
    assert [groups.names[i] for i in part.nonzero()[0]] == sorted(entry.genres)
    assert part.max() == 0.5


def test_tenths_hold_the_most_popular_items_first():
    data = world()
    groups = group_items(data, "popularity", histories(data))
    counts = np.bincount(np.concatenate(histories(data)), minlength=len(data.catalog.items))
    tier = np.array([groups.membership[item.id].argmax() for item in data.catalog.items])
    assert np.bincount(tier).tolist() == [6] * 10
    means = [counts[tier == t].mean() for t in range(10)]
    assert means == sorted(means, reverse=True)
    assert groups.history_share == pytest.approx(np.array(means) / sum(means))


def request(k=5):
    items = tuple(Item(item.id, item.display_title) for item in world().catalog.items[:3])
    return Request(id="r", history=items, k=k)


def lists(target):
    (answer,) = load_recommender(target, dataset=world()).recommender.recommend([request()])
    return [item.item_id for item in answer.items]


def test_the_wrapper_reorders_five_times_as_many_items_and_weight_zero_none():
    plain = lists("baseline:popularity")
    assert lists("reranked:0:baseline:popularity") == plain
    moved = lists("reranked:5:baseline:popularity")
    assert len(moved) == 5
    assert set(moved) - set(plain)
    tiers = group_items(world(), "popularity", histories(world())).membership
    mean = [np.mean([tiers[item].argmax() for item in some]) for some in (plain, moved)]
    assert mean[1] > mean[0]


def test_the_wrapper_offers_lists_and_the_templates_but_no_texts_or_scores():
    class Everything:
        """Has a name for every capability."""

        name, prompts, model, tokenizer = "x", object(), object(), object()
        render = reference = recommend = generate = score = embed = describe_prompt = (
            item_question
        ) = lambda self: None

    groups = group_items(world(), "popularity", histories(world()))
    wrapper = Reranked("r", Everything(), groups, weight=1.0)
    assert [kind for kind in CAPABILITIES if isinstance(wrapper, kind)] == [Recommends, Renders]


def test_lists_without_scores_are_an_error_of_the_request():
    groups = group_items(world(), "popularity", histories(world()))
    with pytest.raises(TargetError, match="have a score"):
        Reranked("r", Clean(), groups, weight=1.0).recommend([request()])


def test_a_served_model_cannot_be_reranked():
    class Served:
        name = "served"

        def recommend(self, requests):
            return []

        async def answer(self, operation, request, parameters):
            return None

        async def close(self):
            return None

    from auditkit.recommenders.target_uri import split_prefix
    from auditkit.recommenders.wrappers.wrap import wrap

    with pytest.raises(TargetUnavailable, match="returns no lists with scores"):
        wrap(split_prefix("reranked:1:openai:http://h/v1#m"), Served(), world())


def test_offer_sets_only_what_is_there():
    wrapper = type("W", (), {})()
    offer(wrapper, Clean(), as_they_are=("name", "nothing"), changed={"absent": print})
    assert vars(wrapper) == {"name": "clean"}
