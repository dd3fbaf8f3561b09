"""Flower's grid in one process: messages are answered by client apps, one after the other.

Flower 1.42 simulates clients only on Ray, whose actors each load the model and poll for messages.
On a machine with few cores one process is faster and needs one copy of the model. Strategy and
client app are those that Flower's own runtime takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import uuid4

from flwr.app import Context, Error, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from auditkit.errors import AuditkitError
from auditkit.training.federated.client_app import PARTITION

__all__ = ["LocalGrid"]

_RUN, _SERVER, _FIRST_CLIENT, _DROPPED_OUT = 1, 1, 2, 2  # the last is Flower's code of a client app
_SECONDS = 43_200.0  # time to live of a message, Flower's default


class LocalGrid(Grid):  # type: ignore[misc]  # Flower is not installed for type checks
    """Simulated clients in this process.

    An AuditkitError of a client is an error reply: the client drops out of the round. Any other
    exception is a fault of the program and ends the run.

    Args:
        app: answers the messages of every client.
        n_clients: number of simulated clients, at least 1.
    """

    def __init__(self, app: ClientApp, n_clients: int) -> None:
        self._app = app
        self._contexts = {
            _FIRST_CLIENT + number: Context(
                run_id=_RUN,
                node_id=_FIRST_CLIENT + number,
                node_config={PARTITION: number},
                state=RecordDict(),
                run_config={},
            )
            for number in range(n_clients)
        }
        self._pushed: dict[str, Message] = {}

    def set_run(self, run: object) -> None:
        """Nothing; a simulation in one process has one run."""

    @property
    def run(self) -> object:
        """Not available, because Flower's runtime does not manage this run."""
        raise AuditkitError(
            "A simulation in one process has no Flower run. Use Flower's own grid to read it."
        )

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Message from the server to a client."""
        metadata = Metadata(
            run_id=_RUN,
            message_id=str(uuid4()),
            src_node_id=_SERVER,
            dst_node_id=dst_node_id,
            reply_to_message_id="",
            group_id=group_id,
            created_at=time.time(),
            ttl=ttl or _SECONDS,
            message_type=message_type,
        )
        return Message(content=content, metadata=metadata)

    def get_node_ids(self) -> Iterable[int]:
        """Ids of the simulated clients."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Keep messages until they are pulled, and return their ids."""
        pushed = {message.metadata.message_id: message for message in messages}
        self._pushed.update(pushed)
        return list(pushed)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Let the clients of these messages answer, and return their replies."""
        return [self._answered(self._pushed.pop(ident)) for ident in message_ids]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Replies to all messages; there is no time limit."""
        return self.pull_messages(self.push_messages(messages))

    def _answered(self, message: Message) -> Message:
        try:
            return self._app(message, self._contexts[message.metadata.dst_node_id])
        except AuditkitError as error:
            return Message(Error(code=_DROPPED_OUT, reason=str(error)), reply_to=message)
