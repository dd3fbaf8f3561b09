"""Deletions of stated items and of their controls."""

from __future__ import annotations

import numpy as np
import pytest
from planted_reasons import NamesAnyItem, NamesCause, causes
from run_probe import target_for
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.base import load_users
from auditkit.probes.explanation.attributes import AttributeImportanceProbe
from auditkit.probes.explanation.reason_controls import measure_deletions
from auditkit.probes.explanation.reason_statements import ask_again, ask_for_reasons
from auditkit.probes.explanation.saydo import SayDoProbe

USERS = load_users(world())[:8]


class NamesTwo(NamesCause):
    def reason(self, user_id, history):
        first, second = history[0].display_title, history[-1].display_title
        return f"because you watched {first} and {second}"


def measured(recommender, folder):
    target = target_for(recommender, folder)
    found, missing = ask_for_reasons(target, USERS, n_items=10, k=5, by="auto")
    assert missing == {}
    rngs = [np.random.default_rng(row) for row in range(len(found))]
    return target, measure_deletions(target, found, rngs)


def test_attribution_and_deletion_of_the_named_cause_agree(tmp_path):
    _, found = measured(NamesCause(), tmp_path)
    for one in found:
        (position,) = one.statement.reason.positions
        history = one.statement.explained.request.history
        assert history[position].id == causes(one.statement.explained.user.id)[0].id
        assert one.order[0] == position
        assert one.deletion.stated == pytest.approx(one.attribution[position])
        assert one.flips == 1


def test_controls_are_as_many_unstated_items_of_similar_length(tmp_path):
    _, found = measured(NamesTwo(), tmp_path)
    for one in found:
        assert one.statement.reason.positions == (0, one.statement.explained.n - 1)
        assert one.deletion.size == 2
        assert 3 <= len(one.deletion.controls) <= 20


def test_statements_asked_again_do_not_name_what_is_gone(tmp_path):
    target, found = measured(NamesAnyItem(), tmp_path)
    assert ask_again(target, [one.statement for one in found]) == [False] * len(USERS)


@pytest.mark.parametrize("wrong", [{"n_users": 0}, {"n_items": 1}, {"k": 1}, {"by": "votes"}])
def test_saydo_probe_refuses_what_it_cannot_do(wrong):
    with pytest.raises(InvalidArgument, match=r"explain\.saydo got"):
        SayDoProbe(**wrong)


@pytest.mark.parametrize("wrong", [{"n_users": 0}, {"n_items": 0}, {"top": 0}, {"by": "votes"}])
def test_attribute_probe_refuses_what_it_cannot_do(wrong):
    with pytest.raises(InvalidArgument, match=r"explain\.attributes got"):
        AttributeImportanceProbe(**wrong)
