"""Which users a client holds, and the rows that it trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from auditkit.errors import InvalidArgument
from auditkit.seeding import generator

__all__ = ["deal", "most_users"]

Record = TypeVar("Record")


def deal(
    rows_by_user: Mapping[int, Sequence[Record]], *, clients: int | None, seed: int
) -> list[list[Record]]:
    """Deal users at random to clients of nearly equal numbers of users; a user is never split.

    Args:
        rows_by_user: training rows of every user.
        clients: number of clients; None makes every user a client.
        seed: of the permutation of users.

    Returns:
        The rows of every client; their number is the number of clients.

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
    order = generator(seed, "federated clients").permutation(len(users))
    dealt: list[list[Record]] = [[] for _ in range(wanted)]
    for position, index in enumerate(order):
        dealt[position % wanted].extend(rows_by_user[users[int(index)]])
    return dealt


def most_users(n_users: int, n_clients: int) -> int:
    """Largest number of users that `deal` gives to a client."""
    return -(-n_users // n_clients)
