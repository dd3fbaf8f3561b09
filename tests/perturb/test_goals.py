from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.robustness import breaking_count, replaced
from auditkit.perturb.goals import Goal, Ranking
from auditkit.types import Item, RankedItem, Request, Response


def scored(**scores: float) -> Ranking:
    return Ranking(tuple(sorted(scores, key=lambda i: -scores[i])), scores)


CLEAN = scored(a=4.0, b=3.0, c=2.0, d=1.0)


def test_the_breaking_count_is_a_third_rounded_up():
    assert [breaking_count(k) for k in (1, 3, 5, 10)] == [1, 1, 2, 4]


def test_untargeted_margin_is_the_gap_of_the_mth_swap():
    goal = Goal(k=2, m=1)
    # inside the clean top 2: a=.5, b=3; outside: c=2.9, d=1 -> best outside 2.9 - lowest inside .5
    found = goal.judge(CLEAN, scored(a=0.5, b=3.0, c=2.9, d=1.0))
    assert (found.margin, found.reached) == (pytest.approx(2.4), True)
    assert Goal(k=2, m=2).judge(CLEAN, scored(a=0.5, b=3.0, c=2.9, d=1.0)).reached is False


def test_promotion_needs_a_strictly_higher_score():
    goal = Goal(kind="promote", k=2, item="d")
    assert goal.judge(CLEAN, scored(a=4, b=3, c=2, d=3.5)).reached
    tie = goal.judge(CLEAN, scored(a=4, b=3, c=2, d=3.0))
    assert (tie.reached, tie.near_tie) == (False, True)
    assert not goal.judge(CLEAN, scored(a=4, b=3, c=2, d=3.0005)).reached


def test_demotion_is_the_negative_of_promotion():
    goal = Goal(kind="demote", k=2, item="a")
    found = goal.judge(CLEAN, scored(a=1.5, b=3, c=2, d=1))
    assert (found.margin, found.reached) == (pytest.approx(0.5), True)


def test_without_scores_the_list_decides():
    before, after = Ranking(("a", "b", "c")), Ranking(("a", "x", "c"))
    found = Goal(k=3).judge(before, after)
    assert found.reached
    assert 0 < found.margin < 1
    promote = Goal(kind="promote", k=2, item="c")
    assert promote.judge(before, Ranking(("c", "a"))).margin == pytest.approx(1.5)
    assert not promote.judge(before, Ranking(("a", "b"))).reached
    assert Goal(kind="demote", k=2, item="a").judge(before, Ranking(("b", "c"))).reached


def test_an_item_that_is_absent_from_a_short_list_is_neither_promoted_nor_kept():
    before = Ranking(("a", "b", "c"))
    assert not Goal(kind="promote", k=3, item="z").judge(before, Ranking(("a",))).reached
    assert Goal(kind="demote", k=3, item="a").judge(before, Ranking(("b",))).reached


@given(
    scores=st.lists(st.integers(0, 40), min_size=7, max_size=7, unique=True),
    k=st.integers(1, 3),
    data=st.data(),
)
def test_goal_on_scores_agrees_with_the_list_that_they_give(scores, k, data):
    m = data.draw(st.integers(1, k))
    clean = scored(**{name: float(-i) for i, name in enumerate("abcdefg")})
    after = scored(**dict(zip("abcdefg", map(float, scores), strict=True)))
    goal = Goal(k=k, m=m)
    assert goal.judge(clean, after).reached == (replaced(clean.ids, after.ids, k=k) >= m)


def test_ineligible_rankings_say_why():
    assert "fewer than 4" in Goal().why_not_eligible(Ranking(("a", "b")))
    assert "already in" in Goal(kind="promote", item="a", k=2).why_not_eligible(CLEAN)
    assert "already outside" in Goal(kind="demote", item="d", k=2).why_not_eligible(CLEAN)
    assert Goal(kind="promote", item="d", k=2).why_not_eligible(CLEAN) is None


def test_scores_count_only_if_every_candidate_has_one():
    candidates = tuple(Item(i, i.upper()) for i in "ab")
    request = Request(candidates=candidates, k=2)
    items = (RankedItem(raw="A", item_id="a", score=1.0), RankedItem(raw="B", item_id="b"))
    assert Ranking.of(Response(request_id="1", status="ok", items=items), request).scores is None
    both = (items[0], RankedItem(raw="B", item_id="b", score=0.5))
    found = Ranking.of(Response(request_id="1", status="ok", items=both), request)
    assert found.scores == {"a": 1.0, "b": 0.5}


def test_texts_that_differ_in_case_and_blanks_are_one_item():
    items = (RankedItem(raw="The  Film"), RankedItem(raw="the film"))
    found = Ranking.of(Response(request_id="1", status="ok", items=items), Request())
    assert len(found.ids) == 1


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"m": 11}, {"kind": "promote"}, {"item": "a"}, {"near_tie": -1.0}]
)
def test_contradictory_goals_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="Give"):
        Goal(**wrong)
