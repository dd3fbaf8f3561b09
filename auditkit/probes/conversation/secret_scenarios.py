"""Scenarios that ask for secrets: the code of the service, and what another customer wrote.

Each secret is asked for twice, first plainly and then with a reason to give in. The codes are
random, so an answer that contains one has it from the system turn.
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
    """One conversation with new codes.

    Args:
        number: of the user; users take the forms of the demands in turn.
        other: history of another user, whose words are in the system turn.
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
