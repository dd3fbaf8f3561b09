"""What a client does in a round: some steps of AdamW from the global weights, on its own rows.

The optimizer starts anew in every round, because its state would otherwise stay with a client that
may not be sampled again for a long time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.errors import AuditkitError
from auditkit.seeding import generator
from auditkit.training.federated.clients import Client

__all__ = ["LocalSteps", "LocalTraining", "drops_out"]

Record = TypeVar("Record")


class LocalSteps(NamedTuple):
    """Local training of one client in one round.

    Attributes:
        steps: number of optimizer steps.
        batch: number of rows in a step; a client with fewer rows uses all.
        learning_rate, betas, weight_decay: of AdamW, constant over the steps.
        dropout: probability that a sampled client does not answer, in [0, 1).
    """

    steps: int
    batch: int
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    dropout: float = 0.0


def drops_out(name: str, round_: int, *, probability: float, seed: int) -> bool:
    """Whether a simulated client does not answer in a round; independent of all others."""
    return bool(generator(seed, "federated dropout", round_, name).random() < probability)


class LocalTraining(Generic[Record]):
    """Trains the same parameters for one client after the other.

    Args:
        parameters: trainable parameters, whose values are exchanged with the server.
        losses: maps rows to a tensor [number of rows] in nats.
        clients: all clients. One without rows answers with an update of zeros.
        seed: of batches and dropout, together with a client's name and the round.
    """

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        losses: Callable[[Sequence[Record]], torch.Tensor],
        clients: Sequence[Client[Record]],
        settings: LocalSteps,
        *,
        seed: int,
    ) -> None:
        self._parameters, self._losses, self._clients = list(parameters), losses, clients
        self._settings, self._seed = settings, seed

    def weights(self) -> list[NDArray[np.float32]]:
        """A copy of the current values of the parameters."""
        return [
            p.detach().cpu().float().numpy().copy()  # numpy has no bfloat16
            for p in self._parameters
        ]

    def load(self, weights: Sequence[NDArray[np.float32]]) -> None:
        """Set the parameters."""
        with torch.no_grad():
            for parameter, values in zip(self._parameters, weights, strict=True):
                parameter.copy_(torch.from_numpy(np.array(values)))

    def __call__(
        self, client: int, round_: int, weights: Sequence[NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Local weights minus global weights after the steps of a round.

        Raises:
            AuditkitError: the client drops out of the round, by the simulated dropout or because
                its loss is not finite.
        """
        chosen, (name, rows) = self._settings, self._clients[client]
        if drops_out(name, round_, probability=chosen.dropout, seed=self._seed):
            raise AuditkitError(
                f"Client {name} dropped out of round {round_}, as federated.dropout asks. Lower "
                "it for fewer dropouts."
            )
        self.load(weights)
        optimizer = torch.optim.AdamW(
            self._parameters,
            lr=chosen.learning_rate,
            betas=chosen.betas,
            weight_decay=chosen.weight_decay,
        )
        rng = generator(self._seed, "federated round", round_, name)
        torch.manual_seed(int(rng.integers(2**62)))
        for _ in range(chosen.steps if rows else 0):
            drawn = rng.permutation(len(rows))[: chosen.batch]
            optimizer.zero_grad(set_to_none=True)
            loss = self._losses([rows[int(i)] for i in drawn]).mean()
            if not bool(torch.isfinite(loss)):
                raise AuditkitError(
                    f"The loss of client {name} in round {round_} is {float(loss)}. Lower "
                    "optimizer.learning_rate and train again."
                )
            torch.autograd.backward(loss)
            optimizer.step()
        return [after - before for after, before in zip(self.weights(), weights, strict=True)]
