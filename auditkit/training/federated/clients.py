"""Which users a client holds, and the rows that it trains on.

A user's client does not depend on which other users there are, and neither does the randomness of a
client's local training, which follows from its name. Otherwise one more user would change the
updates of all clients, and the privacy claim would not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from auditkit.errors import InvalidArgument
from auditkit.seeding import generator

__all__ = ["Client", "deal"]

Record = TypeVar("Record")


class Client(NamedTuple, Generic[Record]):
    """A client's name, which seeds its local training, and its rows, of which there may be none."""

    name: str
    rows: Sequence[Record]


def deal(
    rows_by_user: Mapping[str, Sequence[Record]], *, clients: int | None, seed: int
) -> list[Client[Record]]:
    """Give every user to one client, drawn uniformly and independently of all other users.

    Args:
        rows_by_user: training rows of every user id.
        clients: number of clients; None makes every user a client.
        seed: of the draw.

    Returns:
        All clients; one to whom no user was given has no rows and is a client nevertheless.

    Raises:
        InvalidArgument: there are fewer users than clients, or fewer than 2 clients.
    """
    users = sorted(rows_by_user)
    wanted = len(users) if clients is None else clients
    if not 2 <= wanted <= len(users):
        raise InvalidArgument(
            f"{len(users)} training users cannot be dealt to {wanted} clients. Set "
            "federated.clients to at least 2 and at most the number of users, or use more data."
        )
    if clients is None:
        return [Client(user, list(rows_by_user[user])) for user in users]
    dealt: list[list[Record]] = [[] for _ in range(clients)]
    for user in users:
        drawn = int(generator(seed, "federated client", user).integers(clients))
        dealt[drawn].extend(rows_by_user[user])
    return [Client(f"client-{number}", rows) for number, rows in enumerate(dealt)]
