"""Users are built when they are read; columns of all users need none of them."""

from __future__ import annotations

import numpy as np
import pytest
from small_world import world

from auditkit.probes.base import Context
from auditkit.probes.users import User, attributes_of, history_lengths, ids_of, load_users


def context(n=None):
    users = load_users(world())
    return Context(world(), 3, "utility.ranking", {}, users if n is None else users[:n])


def test_columns_of_all_users_equal_those_of_the_users():
    lazy, built = load_users(world()), list(load_users(world()))
    assert all(isinstance(user, User) for user in built)
    assert list(ids_of(lazy)) == ids_of(built) == [user.id for user in built]
    assert list(attributes_of(lazy)) == list(attributes_of(built))
    assert history_lengths(lazy).tolist() == history_lengths(built).tolist()


def test_columns_do_not_build_a_user(monkeypatch):
    monkeypatch.setattr(User, "__init__", lambda *_, **__: pytest.fail("a user was built"))
    users = load_users(world())
    ids_of(users), attributes_of(users), history_lengths(users)


def test_a_part_of_the_users_keeps_their_positions():
    users = load_users(world(), [5, 9])
    assert [user.index for user in users] == [5, 9]
    assert users[1:][0].id == world().interactions.user_ids[9]
    assert history_lengths(users).tolist() == [len(user.history) for user in users]


def test_at_most_keeps_the_order_of_the_data_if_all_are_asked():
    assert [user.index for user in context().at_most(80)] == list(range(80))
    assert context().sampled(80) == ()
    drawn = context().at_most(12)
    assert [user.id for user in drawn] == [user.id for user in context().sample_users(12)]
    assert context().sampled(12) == ("12 of 80 users, sampled with seed 3",)


def test_a_history_ends_before_the_test_items():
    rows = world().interactions
    for user in load_users(world()):
        history = rows.history(user.index, until="test")
        expected = [world().catalog.ids[row] for row in history]
        assert [item.id for item in user.history] == expected


def test_all_histories_are_the_histories_of_each_user():
    rows = world().interactions
    for until in ("validation", "test"):
        items, offsets = rows.histories(until=until)
        for user in range(len(rows.user_ids)):
            own = items[offsets[user] : offsets[user + 1]]
            assert np.array_equal(own, rows.history(user, until=until))
