"""Users of clients, and what a client does in a round."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import AuditkitError, InvalidArgument
from auditkit.training.federated.clients import Client, deal
from auditkit.training.federated.local_training import LocalSteps, LocalTraining, drops_out

SETTINGS = LocalSteps(steps=4, batch=2, learning_rate=0.1, betas=(0.9, 0.98), weight_decay=0.0)


def rows_of(n_users):
    return {f"u{user}": [(user, i) for i in range(user % 3 + 1)] for user in range(n_users)}


@given(n_users=st.integers(2, 40), clients=st.integers(2, 12), seed=st.integers(0, 5))
def test_every_row_is_dealt_to_one_client_and_users_are_never_split(n_users, clients, seed):
    rows = rows_of(n_users)
    if clients > n_users:
        with pytest.raises(InvalidArgument, match="cannot be dealt"):
            deal(rows, clients=clients, seed=seed)
        return
    dealt = deal(rows, clients=clients, seed=seed)
    assert len(dealt) == clients
    assert sorted(r for own in dealt for r in own.rows) == sorted(
        r for own in rows.values() for r in own
    )
    assert sum(len({user for user, _ in own.rows}) for own in dealt) == n_users
    assert dealt == deal(rows, clients=clients, seed=seed)


@given(n_users=st.integers(4, 40), gone=st.integers(0, 39), clients=st.sampled_from([None, 3]))
def test_without_one_user_every_other_client_keeps_its_name_and_rows(n_users, gone, clients):
    """Neighboring data sets differ in one client only, as the claim assumes."""
    rows, user = rows_of(n_users), f"u{gone % n_users}"
    before = dict(deal(rows, clients=clients, seed=0))
    rest = {name: own for name, own in rows.items() if name != user}
    after = dict(deal(rest, clients=clients, seed=0))
    changed = [name for name in before if before[name] != after.get(name)]
    assert len(changed) == 1
    assert set(after) <= set(before)


def test_users_are_spread_evenly_over_clients():
    dealt = deal({f"u{n}": [n] for n in range(4000)}, clients=8, seed=0)
    sizes = [len(own.rows) for own in dealt]
    assert np.mean(sizes) == 500
    assert all(abs(size - 500) < 5 * (4000 / 8 * 7 / 8) ** 0.5 for size in sizes)


def test_without_a_number_every_user_is_a_client():
    dealt = deal({f"u{user}": [user] for user in range(9)}, clients=None, seed=0)
    assert dealt == [Client(f"u{user}", [user]) for user in range(9)]


def quadratic(scale=1.0):
    """One parameter of three values, pulled to each row."""
    weight = torch.nn.Parameter(torch.zeros(3))

    def losses(rows):
        return scale * ((weight - torch.tensor(rows)) ** 2).sum(1)

    return weight, losses


def training(clients, *, settings=SETTINGS, scale=1.0):
    weight, losses = quadratic(scale)
    return LocalTraining([weight], losses, clients, settings, seed=0), weight


CLIENTS = [Client("a", [[1.0, 2.0, 3.0]] * 3), Client("b", [[-1.0, 0.0, 0.0]])]


def test_update_moves_toward_the_clients_own_rows_and_repeats_exactly():
    local, _ = training(CLIENTS)
    start = [np.zeros(3, np.float32)]
    first, other = local(0, 1, start), local(1, 1, start)
    assert (first[0] > 0).all()
    assert other[0][0] < 0
    np.testing.assert_array_equal(first[0], local(0, 1, start)[0])  # nothing of client 1 is left
    assert first[0].dtype == np.float32


def test_update_is_local_weights_minus_global_weights():
    local, weight = training(CLIENTS)
    start = [np.array([5.0, -2.0, 0.5], np.float32)]
    update = local(0, 1, start)
    np.testing.assert_array_equal(update[0], weight.detach().numpy() - start[0])


def test_local_training_follows_the_name_and_not_the_position_of_a_client():
    many = [Client(name, [[float(i), 0.0, 0.0] for i in range(9)]) for name in "abc"]
    start = [np.zeros(3, np.float32)]
    settings = SETTINGS._replace(steps=3, batch=1)
    (all_, _), (fewer, _) = (training(own, settings=settings) for own in (many, many[1:]))
    np.testing.assert_array_equal(all_(1, 1, start)[0], fewer(0, 1, start)[0])
    assert not np.array_equal(all_(1, 1, start)[0], all_(2, 1, start)[0])


def test_client_without_rows_answers_with_zeros():
    local, _ = training([Client("a", [])])
    assert not local(0, 1, [np.ones(3, np.float32)])[0].any()


def test_learning_rate_below_rounding_leaves_a_zero_update():
    local, _ = training(CLIENTS, settings=SETTINGS._replace(learning_rate=1e-30))
    assert not local(0, 1, [np.ones(3, np.float32)])[0].any()


def test_batches_differ_between_rounds():
    weight, losses = quadratic()
    seen = []

    def recorded(rows):
        seen.append(rows[0][0])
        return losses(rows)

    own = [[float(i), 0.0, 0.0] for i in range(50)]
    settings = SETTINGS._replace(steps=1, batch=1)
    local = LocalTraining([weight], recorded, [Client("a", own)], settings, seed=0)
    for round_ in range(1, 11):
        local(0, round_, [np.zeros(3, np.float32)])
    assert len(seen) == 10
    assert len(set(seen)) > 5


def test_clients_drop_out_independently_at_the_probability():
    lost = [drops_out(f"c{c}", r, probability=0.3, seed=0) for c in range(50) for r in range(40)]
    assert np.mean(lost) == pytest.approx(0.3, abs=5 * (0.21 / 2000) ** 0.5)
    assert not any(drops_out(f"c{c}", 1, probability=0.0, seed=0) for c in range(50))
    local, _ = training(CLIENTS, settings=SETTINGS._replace(dropout=0.999))
    with pytest.raises(AuditkitError, match=r"dropped out of round 1, as federated\.dropout"):
        local(0, 1, [np.zeros(3, np.float32)])


def test_loss_that_is_not_finite_says_what_to_change():
    local, _ = training(CLIENTS, scale=float("inf"))
    with pytest.raises(AuditkitError, match=r"client a in round 2.*learning_rate"):
        local(0, 2, [np.zeros(3, np.float32)])
