"""State of the attack on one user's request: the texts that were sent, their cost, and the best
edit so far.

Queries are the distinct prompts of this attack. A text that it proposes again is not counted, but a
text that another attack already sent is counted, although the Target does not send it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from auditkit.catalog.linking.edit_distance import osa_counter
from auditkit.perturb.goals import Goal, Judgment, Ranking
from auditkit.perturb.threat_model import EditableText, ThreatModel, with_text
from auditkit.types import Request, Response

__all__ = ["FAILED", "UNANSWERED", "Attempt", "Outcome"]

FAILED = float("-inf")
UNANSWERED = ("target_error", "timeout")


@dataclass(frozen=True)
class Outcome:
    """What a search learns about one candidate text.

    Attributes:
        margin: margin to the goal; higher is nearer, minus infinity without information.
        reached: whether the goal is reached. near_tie: whether the result is within rounding error.
        breakdown: whether the response has no list.
    """

    margin: float
    reached: bool = False
    near_tie: bool = False
    breakdown: bool = False


_NOTHING = Outcome(FAILED)


class Attempt:
    """State of the attack on one request.

    Args:
        request: clean request with its instruction. clean: ranking of this request. text: text that
            may be edited.
        goal: what the attack is to achieve. threat: its limits.

    Attributes:
        queries: number of distinct texts sent so far. unanswered: number of these texts without a
            response.
        stopped: whether the budget of the whole run was used up before the attack ended.
        found: the text that reached the goal; None if no text has. near_tie: whether a text was
            within rounding error of the goal.
    """

    def __init__(
        self,
        request: Request,
        clean: Ranking,
        text: EditableText,
        goal: Goal,
        threat: ThreatModel,
    ) -> None:
        self.request, self.clean, self.text = request, clean, text
        self.goal, self.threat = goal, threat
        self.limit = threat.word_limit(len(text.words))
        self.clean_margin = goal.judge(clean, clean).margin
        self.queries = self.unanswered = 0
        self.near_tie = self.stopped = False
        self.found: str | None = None
        self.responses: dict[str, Response] = {}
        self._outcomes: dict[str, Outcome] = {
            text.text: Outcome(self.clean_margin),
        }

    @property
    def exhausted(self) -> bool:
        """Whether no more texts may be sent."""
        return self.stopped or self.queries >= self.threat.budget

    def allows(self, text: str) -> bool:
        """Whether a text contains the protected spans unchanged and is within the largest edit
        distance.
        """
        (distance,) = osa_counter()([text], [self.text.text], self.threat.max_chars)
        return distance <= self.threat.max_chars and self.text.keeps_protected(text)

    def wanted(self, texts: Iterable[str]) -> list[str]:
        """The distinct texts without an outcome, as many as the remaining budget allows."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._outcomes]
        return fresh[: self.threat.budget - self.queries]

    def request_for(self, text: str, *, repeat: int = 0) -> Request:
        """Build the request with an edited text. A nonzero `repeat` sends the request again
        although its response is known.
        """
        edited = with_text(self.request, self.threat, text, item=self.goal.item)
        return replace(edited, repeat=repeat)

    def note(self, text: str, response: Response) -> None:
        """Record the response to a text; a request that was not sent ends the attempt."""
        if response.reason == "not_run":
            self.stopped = True
            return
        self.queries += 1
        self.unanswered += response.status in UNANSWERED
        self.responses[text] = response
        self._outcomes[text] = self.outcome_of(response)

    def outcome(self, text: str) -> Outcome:
        """The outcome of a text; an empty outcome if the text has no response."""
        return self._outcomes.get(text, _NOTHING)

    def outcome_of(self, response: Response) -> Outcome:
        """Judge a response. A response without a list counts as reaching the goal of an untargeted
        attack, and as missing any other goal.
        """
        if response.status in UNANSWERED:
            return _NOTHING
        if not response.items:
            broken = self.goal.kind == "untargeted"
            return Outcome(1.0 if broken else FAILED, reached=broken, breakdown=True)
        found: Judgment = self.goal.judge(self.clean, Ranking.of(response, self.request))
        return Outcome(found.margin, found.reached, found.near_tie)

    def settle(self, texts: Iterable[str]) -> bool:
        """Set `found` to the first text that reaches the goal; return whether a text has been
        found.
        """
        for text in texts:
            outcome = self.outcome(text)
            self.near_tie |= outcome.near_tie
            if outcome.reached and self.found is None:
                self.found = text
        return self.found is not None
