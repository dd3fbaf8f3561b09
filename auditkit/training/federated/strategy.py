"""DP-FedAvg as a Flower strategy: the server samples clients, clips, adds noise and divides.

Flower's own wrapper for differential privacy skips a round in which a client reports an error,
otherwise averages over the replies, and samples a fixed number of clients. Here every client is
sampled independently (Poisson), as the accountant assumes, and a client that does not answer
contributes zero. Sampling and noise use the operating system's entropy; a known seed would cancel
the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp.strategy import Strategy

from auditkit.errors import AuditkitError
from auditkit.training.dp.ledger import Accounting
from auditkit.training.federated.aggregation import Update, noisy_mean

if TYPE_CHECKING:
    from flwr.app import MetricRecord
    from flwr.serverapp import Grid

__all__ = ["ARRAYS", "CONFIG", "ROUND", "PrivateFedAvg"]

ARRAYS, CONFIG, ROUND = "arrays", "config", "server-round"


class PrivateFedAvg(Strategy):  # type: ignore[misc]  # Flower is not installed for type checks
    """Samples clients, and adds the noisy mean of their clipped updates to the global weights.

    Args:
        accounting: number of clients, sampling rate and noise multiplier, fixed before training.
        clip_norm: bound C on the L2 norm of a client's update, over all tensors together.
        charge: records a round before any client reads its data for it.
        on_round: called with the number of the round after it, for a progress bar.
        seed: fixes sampling and noise, for tests only; None for entropy.
    """

    def __init__(
        self,
        accounting: Accounting,
        *,
        clip_norm: float,
        charge: Callable[[], None],
        on_round: Callable[[int], None] = lambda _: None,
        seed: int | None = None,
    ) -> None:
        self._accounting, self._clip_norm = accounting, clip_norm
        self._charge, self._on_round = charge, on_round
        self._rng = np.random.default_rng(seed)
        self._arrays: ArrayRecord = ArrayRecord()
        self._sampled: frozenset[int] = frozenset()
        self._n_answers, self._failure = 0, "no client was sampled"

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Sample clients, record the round in the ledger, and address a message to each of them.

        Raises:
            AuditkitError: the number of connected clients is not the accounted one.
        """
        nodes = sorted(grid.get_node_ids())
        if len(nodes) != self._accounting.n_units:
            raise AuditkitError(
                f"{len(nodes)} clients are connected, but the privacy claim is computed for "
                f"{self._accounting.n_units}. Start exactly that many, or change "
                "federated.clients."
            )
        drawn = self._rng.random(len(nodes)) < self._accounting.sample_rate
        self._sampled = frozenset(node for node, yes in zip(nodes, drawn, strict=True) if yes)
        self._arrays = arrays
        self._charge()
        config[ROUND] = server_round
        content = RecordDict({ARRAYS: arrays, CONFIG: config})
        return [
            grid.create_message(
                content=content,
                message_type=MessageType.TRAIN,
                dst_node_id=node,
                group_id=str(server_round),
            )
            for node in sorted(self._sampled)
        ]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord, MetricRecord | None]:
        """The global weights plus the noisy mean; no metrics, because no claim would cover them.

        A round without an answer adds noise only, so that it does not show that clients failed.
        """
        updates = self._read(replies)
        self._n_answers += len(updates)
        weights = self._arrays.to_numpy_ndarrays()
        change = noisy_mean(
            updates,
            [tensor.shape for tensor in weights],
            clip_norm=self._clip_norm,
            noise_multiplier=self._accounting.noise_multiplier,
            expected_clients=self._accounting.sample_rate * self._accounting.n_units,
            rng=self._rng,
        )
        moved = (
            (weight + step).astype(weight.dtype)
            for weight, step in zip(weights, change, strict=True)
        )
        names = list(self._arrays.keys())
        self._on_round(server_round)
        return ArrayRecord({n: Array(w) for n, w in zip(names, moved, strict=True)}), None

    def _read(self, replies: Iterable[Message]) -> list[Update]:
        """First update of every sampled client.

        A second reply, or one that no message asked for, would raise a client's weight.
        """
        shapes = [tensor.shape for tensor in self._arrays.to_numpy_ndarrays()]
        updates: dict[int, Update] = {}
        for reply in replies:
            node = reply.metadata.src_node_id
            if node not in self._sampled or node in updates:
                continue
            if reply.has_error():
                self._failure = reply.error.reason
                continue
            update = reply.content[ARRAYS].to_numpy_ndarrays()
            if [tensor.shape for tensor in update] == shapes:
                updates[node] = update
            else:
                self._failure = "an update has other shapes than the global weights"
        return list(updates.values())

    def require_answers(self) -> None:
        """Check after the last round that some client answered in some round.

        Raises:
            AuditkitError: none did, so the weights are the initial ones plus noise.
        """
        if not self._n_answers:
            raise AuditkitError(
                f"No client answered in any round; the latest reason: {self._failure}. Fix the "
                "cause, or sample more clients by federated.fraction, and train again."
            )

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """No evaluation on clients, which would release results outside of the claim."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> None:
        """Nothing, because no client evaluates."""

    def summary(self) -> None:
        """Nothing; the claim in `recommender.yaml` has all settings."""
