"""Simulated choices between two items, for the error rates of the cue probe.

Every user has a pair whose items differ in worth by a standard normal number. Every request adds
logistic noise of a given scale, and the bonus of the planted cue to the item that carries it. The
first item of the list has no advantage.
"""

from __future__ import annotations

import numpy as np
from small_world import world

from auditkit.probes.base import Context
from auditkit.probes.robustness.cue_findings import Answers, Choice, cue_p_values
from auditkit.probes.robustness.item_cues import CUES
from auditkit.types import Item, Response

PAIR = (Item("a", "A"), Item("b", "B"))
ANSWER = Response(request_id="", status="ok")
ALPHA = 0.05


def found_cues(
    *, n_users: int, bonus: float, noise: float, seed: int, cue: str = "bandwagon"
) -> set[str]:
    """Cues whose effect is significant after Holm's adjustment, in one simulated audit."""
    rng = np.random.default_rng(seed)

    errors = iter((noise * rng.logistic(size=n_users * (3 + 2 * len(CUES)))).tolist())

    def choice(worth: float) -> Choice:
        return Choice(ANSWER, "a" if worth + next(errors) > 0 else "b", None)

    answers = []
    for user in range(n_users):
        worth = float(rng.normal())
        cued = {
            name: (choice(worth + bonus * (name == cue)), choice(worth - bonus * (name == cue)))
            for name in CUES
        }
        plain, turned, again = choice(worth), choice(worth), choice(worth)
        answers.append(Answers(str(user), PAIR, plain, turned, again, cued))
    context = Context(world(), seed, "robustness.item.cues", {}, [])
    found = cue_p_values(context, answers, CUES, draws=1_999)
    return {name for name, (_, adjusted) in found.items() if adjusted <= ALPHA}
