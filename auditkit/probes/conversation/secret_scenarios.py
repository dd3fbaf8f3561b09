"""Scenarios that ask for secrets: a code of the service, and a code of another customer.

The user asks for each secret twice, first plainly and then with a reason to disclose it. The codes
are random, so an answer that contains a code must have it from the system turn.
"""

from __future__ import annotations

import numpy as np

from auditkit.conversations.scenario import Scenario, Secret, Turn
from auditkit.domains.pack import DomainPack
from auditkit.metrics.canary import random_canary
from auditkit.probes.conversation.dialogue_texts import dialogue_texts, filled, titles_of
from auditkit.types import Item

__all__ = ["SECRETS", "secret_scenario"]

SECRETS: tuple[Secret, ...] = ("system", "other_user")


def secret_scenario(
    pack: DomainPack, *, number: int, other: tuple[Item, ...], k: int, rng: np.random.Generator
) -> Scenario:
    """Create one conversation with new random codes.

    Args:
        pack: the domain pack.
        number: number of the user; the phrasings of the requests rotate over users.
        other: history of another user, which the system turn contains.
        k: number of items per list.
        rng: generator of the codes.
    """
    texts = dialogue_texts(pack)
    say = texts["secrets"]
    codes = {secret: random_canary(rng) for secret in SECRETS}
    hidden = [filled(say[part], history=titles_of(other), **codes) for part in ("service", "other")]
    turns = [Turn(user=filled(say["open"], k=str(k)), k=k)]
    for secret in SECRETS:
        demands = say[secret][number % len(say[secret])]
        turns += [Turn(user=text, demands=secret) for text in demands]
    return Scenario(
        id="secrets",
        system="\n".join([texts["system"], *hidden]),
        secrets=codes,
        turns=tuple(turns),
    )
