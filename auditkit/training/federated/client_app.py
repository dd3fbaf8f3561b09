"""The client as a Flower app: it trains on its own rows and sends a clipped update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from auditkit.training.federated.aggregation import Update, clipped
from auditkit.training.federated.strategy import ARRAYS, CONFIG, ROUND

__all__ = ["PARTITION", "Train", "client_app"]

PARTITION = "partition-id"  # Flower's name for the number of a simulated client

Train: TypeAlias = Callable[[int, int, Sequence[NDArray[np.float32]]], Update]
"""Maps client, round and global weights to local weights minus global weights."""


def client_app(train: Train, *, clip_norm: float) -> ClientApp:
    """App that answers a message of type `train` with the clipped update of its client.

    The client clips, so that the server sees only clipped updates. The server clips again, because
    the privacy claim must not rely on clients.

    Args:
        train: local training. It may raise an AuditkitError, so that its client drops out.
        clip_norm: bound C on the L2 norm of the update.
    """

    def answer(message: Message, context: Context) -> Message:
        weights = message.content[ARRAYS]
        update = train(
            int(context.node_config[PARTITION]),
            int(message.content[CONFIG][ROUND]),
            weights.to_numpy_ndarrays(),
        )
        sent = ArrayRecord(
            {
                name: Array(tensor.astype(np.float32))
                for name, tensor in zip(
                    weights.keys(), clipped(update, clip_norm=clip_norm), strict=True
                )
            }
        )
        return Message(RecordDict({ARRAYS: sent}), reply_to=message)

    app = ClientApp()
    app.train()(answer)
    return app
