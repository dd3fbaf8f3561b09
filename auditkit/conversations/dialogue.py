"""Run conversations: each turn is sent with the assistant's own answers to the previous turns.

Every turn is one recorded request, and every round of tool calls is one more request. A request
depends only on the answers so far, so a resumed run repeats no finished turn. Conversations run in
lock-step: a batch contains the next request of each. A conversation ends at a request without an
answer; its later turns are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from auditkit.conversations.scenario import Scenario, Turn
from auditkit.conversations.tool_log import ToolLog, ToolRecord, recorded_calls
from auditkit.conversations.toolbox import Toolbox
from auditkit.recommenders.execution.target import Target
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import Item, Message, RankedItem, Request, Response, Status, ToolCall

__all__ = ["Dialogue", "HeldTurn", "hold", "item_key"]

_ANSWERED: tuple[Status, ...] = ("ok", "no_answer", "refusal", "truncated", "parse_error")
_MOST_ROUNDS = 4
_NOTHING_LISTED = "what you suggested"


def item_key(item: RankedItem) -> str:
    """Identity of a listed item across lists: its catalog id or, if it has none, its text."""
    return item.item_id or f"raw:{' '.join(item.raw.casefold().split())}"


@dataclass
class HeldTurn:
    """One turn of a conversation with its answer.

    Attributes:
        turn: the turn of the scenario. user: the text that was sent for it.
        rejected: keys of the items that the user rejects or forbids in this turn.
        requests: ids of the requests of this turn, in order. calls: tool calls of this turn, in
            order.
        response: the final answer; None if no answer was received.
        exhausted: whether the turn ended because the limit of rounds of tool calls was reached.
    """

    turn: Turn
    user: str
    rejected: frozenset[str] = frozenset()
    requests: list[str] = field(default_factory=list)
    calls: list[ToolRecord] = field(default_factory=list)
    response: Response | None = None
    exhausted: bool = False

    @property
    def text(self) -> str:
        """Text of the final answer."""
        return (self.response.text or "") if self.response else ""

    @property
    def items(self) -> tuple[RankedItem, ...]:
        """Items of the final answer."""
        return self.response.items if self.response else ()


@dataclass
class Dialogue:
    """The state of one conversation.

    Attributes:
        unit: the sampling unit, such as a user id. history: history of this user.
        opening: turns before the user's first turn, such as the system turn.
        toolbox: tools that the assistant may call; None without tools.
        repeat: number that distinguishes repetitions of a conversation, which are sent separately.
        held: finished turns. failed: whether a request was not answered. reason: why it was not
            answered.
    """

    unit: str
    scenario: Scenario
    opening: tuple[Message, ...] = ()
    toolbox: Toolbox | None = None
    history: tuple[Item, ...] = ()
    repeat: int = 0
    most_rounds: int = _MOST_ROUNDS
    held: list[HeldTurn] = field(default_factory=list)
    failed: bool = False
    reason: str | None = None
    _messages: list[Message] = field(default_factory=list)
    _log: ToolLog | None = None

    def __post_init__(self) -> None:
        self._messages = list(self.opening)

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """Descriptions of the tools that the assistant may call."""
        return self.toolbox.descriptions if self.toolbox else ()

    def answered(self) -> list[HeldTurn]:
        """The turns with a final answer, in order."""
        return [one for one in self.held if one.response is not None]

    def next_request(self) -> Request | None:
        """The next request; None if the conversation has ended."""
        current = self.held[-1] if self.held else None
        continues = current is not None and current.response is None and not current.exhausted
        if self.failed or (not continues and len(self.held) == len(self.scenario.turns)):
            return None
        prompt = ""
        if current is None or not continues:
            current = self._begin(self.scenario.turns[len(self.held)])
            prompt = current.user
        return Request(
            user_id=self.unit, history=self.history, k=current.turn.k, repeat=self.repeat,
            messages=tuple(self._messages), prompt=prompt,
        )  # fmt: skip

    def _begin(self, turn: Turn) -> HeldTurn:
        """Start the next turn, with the titles that it rejects in its text."""
        listed = next((one.items for one in reversed(self.held) if one.turn.k and one.items), ())
        chosen = {"none": (), "first": listed[:1], "all": listed}[turn.rejects]
        named = ", ".join(f'"{item.raw}"' for item in chosen) or _NOTHING_LISTED
        user = turn.user.replace("{rejected}", named)
        if not self.held and self.scenario.goal:
            user = f"{self.scenario.goal} {user}"
        held = HeldTurn(turn, user, frozenset([*map(item_key, chosen), *turn.forbids]))
        self.held.append(held)
        self._log = self.toolbox.log() if self.toolbox else None
        return held

    def take(self, request: Request, response: Response) -> None:
        """Process the response to the request that `next_request` returned."""
        held = self.held[-1]
        if request.prompt:
            self._messages.append(Message("user", request.prompt))
        if response.status not in _ANSWERED:
            self.failed, self.reason = True, response.reason
            return
        held.requests.append(response.request_id)
        calls = recorded_calls(response)
        asked = [call for call in calls if call.result is None]
        held.calls += [replace(c, order=len(held.calls) + c.order) for c in calls if c not in asked]
        if not asked or self._log is None:
            held.calls += asked
            held.response = response
            self._messages.append(Message("assistant", response.text or ""))
            return
        self._execute(held, self._log, asked, response.text or "")

    def _execute(
        self, held: HeldTurn, log: ToolLog, asked: Sequence[ToolRecord], text: str
    ) -> None:
        """Execute the calls of one round, and append them and their results to the messages."""
        before = sum(len(message.tool_calls) for message in self._messages)
        written = tuple(
            ToolCall(f"call{before + place:05d}", call.name, call.arguments or canonical_json({}))
            for place, call in enumerate(asked)
        )
        self._messages.append(Message("assistant", text, written))
        for call in written:
            record = log.call(call.name, call.arguments)
            held.calls.append(replace(record, order=len(held.calls)))
            self._messages.append(Message("tool", record.result or "", (), call.id))
        held.exhausted = len(held.requests) >= self.most_rounds


def hold(target: Target, dialogues: Sequence[Dialogue]) -> None:
    """Run all conversations to their ends; the answers are stored in `dialogues`."""
    while True:
        waiting = [(d, request) for d in dialogues if (request := d.next_request()) is not None]
        if not waiting:
            return
        groups: dict[str, list[tuple[Dialogue, Request]]] = {}
        for one, request in waiting:
            groups.setdefault(canonical_json([*one.tools]), []).append((one, request))
        for members in groups.values():
            tools = members[0][0].tools
            responses = target.converse([request for _, request in members], tools=tools)
            for (one, request), response in zip(members, responses, strict=True):
                one.take(request, response)
