"""What became of held-out items and where items came from, by hand and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.pipeline.stage_outcomes import stage_outcomes
from auditkit.probes.pipeline.stages import StagesProbe
from auditkit.recommenders.pipeline.stage_trace import StageRecord
from auditkit.types import Item, RankedItem

ITEMS = world().catalog.items
NAMES = ("retrieval", "ranking", "order")


def ranked(rows):
    return tuple(
        RankedItem(raw=ITEMS[row].display_title, item_id=ITEMS[row].id, link="exact")
        for row in rows
    )


def records(*lists):
    """Records of stages that returned these rows of the catalog."""
    given_to = (None, *(ranked(rows) for rows in lists[:-1]))
    return [
        StageRecord(name, before, ranked(rows))
        for name, before, rows in zip(NAMES, given_to, lists, strict=False)
    ]


def outcomes(lists, targets=(0,), *, k=3, names=None, last=None):
    found = records(*lists)
    if last is not None:
        found[-1] = StageRecord(found[-1].name, found[-1].given, tuple(last))
    held_out = [Item(ITEMS[row].id, ITEMS[row].display_title) for row in targets]
    return stage_outcomes(
        found, names or NAMES[: len(lists)], held_out, catalog=world().catalog, k=k
    )


def test_an_item_that_was_never_a_candidate_is_lost_by_the_first_stage():
    first, last = outcomes([[1, 2, 3], [3, 2]])
    assert (first.has, first.lost, last.lost) == (0, 1, 0)
    assert first.examples["lost"] == (
        f'"{ITEMS[0].display_title}" is not among the 3 candidates of retrieval'
    )


def test_an_item_that_the_last_stage_drops_is_lost_by_it():
    first, last = outcomes([[1, 0, 3], [3, 1]])
    assert (first.has, first.lost, last.lost, last.left_out, last.below_k) == (1, 0, 1, 1, 0)
    assert "was candidate 2 of retrieval, but ranking left it out" in last.examples["left_out"]


def test_an_item_below_k_is_lost_and_named_with_its_place():
    _, last = outcomes([[0, 1, 2, 3], [1, 2, 3, 0]])
    assert (last.lost, last.left_out, last.below_k) == (1, 0, 1)
    assert last.examples["below_k"].endswith("ranking lists it at position 4, below 3")


def test_an_item_that_the_last_stage_adds_is_not_lost():
    first, last = outcomes([[1, 2], [0, 1]])
    assert (first.has, first.lost, last.lost) == (0, 0, 0)
    assert last.outside["out_of_candidates"] == 0.5


def test_an_item_that_a_stage_had_last_is_lost_by_the_next():
    found = outcomes([[1, 0], [1, 2], [2]])
    assert [one.lost for one in found] == [0, 1, 0]
    found = outcomes([[1], [1, 0], [1]])
    assert [one.lost for one in found] == [0, 0, 1]


def test_several_held_out_items_have_equal_shares():
    first, last = outcomes([[0, 1, 5], [1]], targets=(0, 1, 2, 3))
    assert (first.has, first.lost, last.lost) == (0.5, 0.5, 0.25)


def test_ndcg_is_that_of_the_first_k():
    first, last = outcomes([[1, 2, 3, 0], [0, 1, 2, 3]])
    assert (first.ndcg, last.ndcg) == (0, 1)


def test_a_stage_that_did_not_run_has_no_rates():
    found = outcomes([[]], names=NAMES[:2])
    assert [(one.ran, one.lost) for one in found] == [(True, 1), (False, 0)]
    assert found[1].outside == {}
    assert found[0].outside["out_of_catalog"] is None


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (RankedItem(raw="Zzyzx 7", link="none"), "out_of_catalog"),
        (RankedItem(raw="Silver Harbor 2", link="near_miss"), "out_of_catalog"),
        (RankedItem(raw="Silver", link="ambiguous_variant"), "out_of_candidates"),
        (RankedItem(raw=ITEMS[9].title, item_id=ITEMS[9].id, link="exact"), "out_of_candidates"),
    ],
)
def test_an_item_outside_the_candidates_is_in_the_catalog_or_not(item, kind):
    _, last = outcomes([[0, 1], [0]], last=[*ranked([0]), item])
    assert last.outside[kind] == last.outside["left_candidates"] == 0.5
    assert last.n_outside["left_candidates"] == 1
    assert f'"{item.raw}" of ranking is not one of the 2 candidates' in last.examples[kind]


def test_an_ambiguous_title_leaves_the_denominator():
    _, last = outcomes([[0, 1], [0]], last=[*ranked([0]), RankedItem(raw="?", link="ambiguous")])
    assert last.outside == {"out_of_candidates": 0, "out_of_catalog": 0, "left_candidates": 0}
    _, last = outcomes([[0], [0]], last=[RankedItem(raw="?", link="ambiguous")])
    assert last.outside["left_candidates"] is None


def test_a_candidate_outside_the_catalog_is_no_invention_of_the_next_stage():
    invented = RankedItem(raw="Zzyzx 7")
    first = StageRecord("retrieval", None, (*ranked([0]), invented))
    last = StageRecord("ranking", first.items, (invented, *ranked([0])))
    target = [Item(ITEMS[0].id, ITEMS[0].display_title)]
    before, after = stage_outcomes([first, last], NAMES[:2], target, catalog=world().catalog, k=3)
    assert before.outside == {"out_of_catalog": 0.5}
    assert after.outside["left_candidates"] == 0


ROWS = st.lists(st.integers(0, 12), max_size=8, unique=True)


@given(
    lists=st.lists(ROWS, min_size=2, max_size=3), targets=st.sets(st.integers(0, 12), min_size=1)
)
def test_hits_and_losses_of_all_stages_add_up_to_one(lists, targets):
    found = outcomes(lists, targets)
    hits = len(targets & set(lists[-1][:3])) / len(targets)
    assert hits + sum(one.lost for one in found) == pytest.approx(1)
    for one in found:
        assert one.lost == pytest.approx(
            one.left_out + one.below_k if one is not found[0] else one.lost
        )
        assert all(0 <= share <= 1 for share in one.outside.values() if share is not None)


def test_the_probe_refuses_no_users():
    with pytest.raises(InvalidArgument, match="Give at least 1"):
        StagesProbe(n_users=0)
