"""The Flower strategy over simulated clients: sampling, ledger, dropouts and the scale of noise."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("flwr", reason="flwr is not installed; make test-fl runs this")

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from scipy import stats

from auditkit.errors import AuditkitError
from auditkit.training.dp.ledger import Accounting
from auditkit.training.federated.aggregation import noise_scale
from auditkit.training.federated.client_app import client_app
from auditkit.training.federated.local_grid import LocalGrid
from auditkit.training.federated.strategy import ARRAYS, PrivateFedAvg

N = 8
START = {"a": np.full((4, 3), 2.0, np.float32), "b": np.full(5, -1.0, np.float32)}


def accounting(*, noise=1.0, rate=1.0, n=N):
    return Accounting(n_units=n, sample_rate=rate, noise_multiplier=noise, delta=0.01)


def strategy_of(*, noise=1.0, rate=1.0, clip=1.0, seed=0, charge=lambda: None, n=N):
    return PrivateFedAvg(
        accounting(noise=noise, rate=rate, n=n), clip_norm=clip, charge=charge, seed=seed
    )


def run(train, *, rounds=1, n=N, clip=1.0, **settings):
    """Released minus initial weights, flat, of a federated training by `train`."""
    strategy = strategy_of(clip=clip, **settings)
    grid = LocalGrid(client_app(train, clip_norm=clip), n)
    start = ArrayRecord({name: Array(values) for name, values in START.items()})
    result = strategy.start(grid=grid, initial_arrays=start, num_rounds=rounds)
    found = zip(result.arrays.to_numpy_ndarrays(), START.values(), strict=True)
    return np.concatenate([np.ravel(after.astype(np.float64) - before) for after, before in found])


def still(client, round_, weights):
    return [np.zeros_like(tensor) for tensor in weights]


def toward(client, round_, weights):
    return [np.full_like(tensor, 0.01 * (client + 1)) for tensor in weights]


def dropping(train, *, client, rounds=(1,)):
    def trained(who, round_, weights):
        if who == client and round_ in rounds:
            raise AuditkitError("The battery is empty. Charge it.")
        return train(who, round_, weights)

    return trained


def test_round_without_noise_is_the_mean_over_all_clients():
    found = run(toward, noise=1e-9, clip=10.0)
    np.testing.assert_allclose(found, 0.01 * (N + 1) / 2, atol=1e-6)


def test_dropout_removes_its_share_and_no_other_client_weighs_more():
    found = run(dropping(toward, client=7), noise=1e-9, clip=10.0)
    np.testing.assert_allclose(found, 0.01 * sum(range(1, N)) / N, atol=1e-6)


def test_update_is_clipped_over_all_tensors_together():
    found = run(lambda who, _, weights: [t + 100.0 * (who == 0) - t for t in weights], noise=1e-9)
    assert np.linalg.norm(found) == pytest.approx(1 / N, rel=1e-4)


def test_server_clips_updates_of_clients_that_do_not():
    """The claim holds for a client that ignores the protocol."""

    def answer(message, _):
        sent = {n: Array(1e6 * np.ones_like(v)) for n, v in START.items()}
        return Message(RecordDict({ARRAYS: ArrayRecord(sent)}), reply_to=message)

    strategy = strategy_of(noise=1e-9, n=1)
    start = ArrayRecord({name: Array(values) for name, values in START.items()})
    found = strategy.start(grid=LocalGrid(answer, 1), initial_arrays=start, num_rounds=1)
    change = [a - b for a, b in zip(found.arrays.to_numpy_ndarrays(), START.values(), strict=True)]
    assert np.sqrt(sum(np.square(t).sum() for t in change)) == pytest.approx(1.0, rel=1e-4)


def within_chi_square(values, *, p=1e-6):
    n, total = len(values), float(np.square(values).sum())
    return stats.chi2.ppf(p / 2, n) <= total <= stats.chi2.ppf(1 - p / 2, n)


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("dropped", [None, 5])
def test_released_noise_has_the_claimed_scale_also_when_a_client_drops_out(rounds, dropped):
    train = still if dropped is None else dropping(still, client=dropped)
    claimed = noise_scale(noise_multiplier=1.5, clip_norm=0.4, expected_clients=N, rounds=rounds)
    values = [run(train, rounds=rounds, noise=1.5, clip=0.4, seed=seed) for seed in range(40)]
    assert within_chi_square(np.concatenate(values) / claimed)


def test_noise_follows_the_expected_number_under_poisson_sampling():
    claimed = noise_scale(noise_multiplier=1.5, clip_norm=0.4, expected_clients=N * 0.25)
    values = [run(still, noise=1.5, clip=0.4, rate=0.25, seed=seed) for seed in range(40)]
    assert within_chi_square(np.concatenate(values) / claimed)


def test_clients_are_sampled_independently_at_the_rate():
    asked = []

    def train(client, round_, weights):
        asked.append((round_, client))
        return still(client, round_, weights)

    run(train, rounds=400, rate=0.25)
    sizes = [sum(1 for r, _ in asked if r == round_) for round_ in range(1, 401)]
    assert np.mean(sizes) == pytest.approx(2.0, abs=5 * (1.5 / 400) ** 0.5)
    assert np.var(sizes) == pytest.approx(1.5, rel=0.35)  # binomial, so not a fixed number
    assert 0 in sizes  # such a round adds noise only


def test_every_round_is_charged_before_a_client_reads_its_rows():
    events = []

    def train(client, round_, weights):
        events.append(round_)
        return still(client, round_, weights)

    run(train, rounds=2, charge=lambda: events.append("charged"))
    assert events == ["charged", *[1] * N, "charged", *[2] * N]


def reply(node, *, value=1.0, arrays=START):
    """Reply of a client to a message of its own round or, if it was not sampled, to none of it."""
    asked = LocalGrid(None, N).create_message(RecordDict(), "train", node, "1")
    sent = ArrayRecord({name: Array(value * np.ones_like(v)) for name, v in arrays.items()})
    return Message(RecordDict({ARRAYS: sent}), reply_to=asked)


def configured(**settings):
    strategy, grid = strategy_of(noise=1e-12, clip=1e3, **settings), LocalGrid(None, N)
    start = ArrayRecord({name: Array(values) for name, values in START.items()})
    messages = strategy.configure_train(1, start, ConfigRecord(), grid)
    return strategy, [message.metadata.dst_node_id for message in messages]


def first_value(strategy, replies):
    arrays, metrics = strategy.aggregate_train(1, replies)
    assert metrics is None
    return float(arrays.to_numpy_ndarrays()[0][0, 0]) - 2.0


def test_second_reply_of_a_client_and_replies_without_a_message_are_ignored():
    strategy, sampled = configured(rate=0.5, seed=1)
    others = sorted(set(range(2, 2 + N)) - set(sampled))
    assert sampled
    assert others
    replies = [reply(sampled[0]), reply(sampled[0], value=9.0), reply(others[0]), reply(99)]
    assert first_value(strategy, replies) == pytest.approx(1 / (0.5 * N), abs=1e-5)


def test_update_of_other_shapes_is_a_dropout():
    strategy, sampled = configured()
    wrong = reply(sampled[0], arrays={"a": np.ones(2, np.float32)})
    assert first_value(strategy, [wrong, reply(sampled[1])]) == pytest.approx(1 / N, abs=1e-5)


def test_another_number_of_clients_than_accounted_is_refused():
    with pytest.raises(AuditkitError, match=r"8 clients are connected.*computed for 9"):
        configured(n=9)


def test_training_that_no_client_answered_is_an_error_with_the_reason():
    app = client_app(dropping(still, client=0), clip_norm=1.0)
    start = ArrayRecord({name: Array(values) for name, values in START.items()})
    strategy = strategy_of(n=1)
    strategy.start(grid=LocalGrid(app, 1), initial_arrays=start, num_rounds=1)
    with pytest.raises(AuditkitError, match=r"No client answered.*battery is empty"):
        strategy.require_answers()


def test_a_fault_of_the_program_is_not_taken_for_a_dropout():
    def broken(client, round_, weights):
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        run(broken)
