"""Simulated choices between two items, for the error rates of the cue probe.

Every user has a pair whose items differ in worth by a standard normal number. Every request adds
logistic noise of a given scale, and the bonus of the planted cue to the item that carries it. The
first item of the list has no advantage.
"""

from __future__ import annotations

import numpy as np
from small_world import world

from auditkit.probes.base import Context
from auditkit.probes.robustness.cue_findings import Answers, Choice, cue_findings
from auditkit.probes.robustness.item_cues import CUES
from auditkit.types import Item, Response

PAIR = (Item("a", "A"), Item("b", "B"))
ALPHA = 0.05


def found_cues(
    *, n_users: int, bonus: float, noise: float, seed: int, cue: str = "bandwagon"
) -> set[str]:
    """Cues whose effect is significant after Holm's adjustment, in one simulated audit."""
    rng = np.random.default_rng(seed)

    def choice(worth: float) -> Choice:
        favored = worth + noise * float(rng.logistic()) > 0
        return Choice(Response(request_id="", status="ok"), "a" if favored else "b", None)

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
    return {
        finding.group.removeprefix("cue=")
        for finding in cue_findings(context, answers, CUES, draws=1_999)
        if finding.metric.endswith("cue_effect") and float(finding.parameters["p_holm"]) <= ALPHA
    }
