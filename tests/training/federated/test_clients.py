"""Users of clients, and what a client does in a round."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import AuditkitError, InvalidArgument
from auditkit.training.federated.clients import deal, most_users
from auditkit.training.federated.local_training import LocalSteps, LocalTraining, drops_out

SETTINGS = LocalSteps(steps=4, batch=2, learning_rate=0.1, betas=(0.9, 0.98), weight_decay=0.0)


@given(n_users=st.integers(2, 40), clients=st.integers(2, 12), seed=st.integers(0, 5))
def test_every_row_is_dealt_to_one_client_and_users_are_never_split(n_users, clients, seed):
    rows = {3 * user: [(user, i) for i in range(user % 3 + 1)] for user in range(n_users)}
    if clients > n_users:
        with pytest.raises(InvalidArgument, match="cannot be dealt"):
            deal(rows, clients=clients, seed=seed)
        return
    dealt = deal(rows, clients=clients, seed=seed)
    assert sorted(row for own in dealt for row in own) == sorted(
        r for own in rows.values() for r in own
    )
    users = [{user for user, _ in own} for own in dealt]
    assert sum(map(len, users)) == n_users  # no user is with two clients
    assert max(map(len, users)) == most_users(n_users, clients)
    assert min(map(len, users)) >= 1
    assert dealt == deal(rows, clients=clients, seed=seed)


def test_without_a_number_every_user_is_a_client():
    rows = {user: [user] for user in range(9)}
    assert sorted(deal(rows, clients=None, seed=0)) == [[user] for user in range(9)]
    assert most_users(9, 9) == 1


def quadratic(scale=1.0):
    """One parameter of three values, pulled to each row."""
    weight = torch.nn.Parameter(torch.zeros(3))

    def losses(rows):
        return scale * ((weight - torch.tensor(rows)) ** 2).sum(1)

    return weight, losses


def training(clients, *, settings=SETTINGS, scale=1.0):
    weight, losses = quadratic(scale)
    return LocalTraining([weight], losses, clients, settings, seed=0), weight


CLIENTS = [[[1.0, 2.0, 3.0]] * 3, [[-1.0, 0.0, 0.0]]]


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
    local = LocalTraining([weight], recorded, [own], settings, seed=0)
    for round_ in range(1, 11):
        local(0, round_, [np.zeros(3, np.float32)])
    assert len(seen) == 10
    assert len(set(seen)) > 5


def test_clients_drop_out_independently_at_the_probability():
    lost = [drops_out(c, r, probability=0.3, seed=0) for c in range(50) for r in range(40)]
    assert np.mean(lost) == pytest.approx(0.3, abs=5 * (0.21 / 2000) ** 0.5)
    assert not any(drops_out(c, 1, probability=0.0, seed=0) for c in range(50))
    local, _ = training(CLIENTS, settings=SETTINGS._replace(dropout=0.999))
    with pytest.raises(AuditkitError, match=r"dropped out of round 1, as federated\.dropout"):
        local(0, 1, [np.zeros(3, np.float32)])


def test_loss_that_is_not_finite_says_what_to_change():
    local, _ = training(CLIENTS, scale=float("inf"))
    with pytest.raises(AuditkitError, match=r"client 0 in round 2.*learning_rate"):
        local(0, 2, [np.zeros(3, np.float32)])
