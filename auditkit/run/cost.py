"""Cost of the planned calls: tokens, minutes and money, before an audit runs.

By default, a prompt is assumed to have one token per four characters, which is typical of English
text, and a response is assumed to reach the token limit. With `--time-calls N`, N planned calls are
sent, and their token usage and duration are extrapolated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from auditkit.recommenders.execution.calls import Call
from auditkit.recommenders.loading.target_card import Price
from auditkit.recommenders.prompting.prompts import as_text
from auditkit.recommenders.protocols import Generates, Recommends, Staged
from auditkit.recommenders.remote.request_limits import RequestLimits
from auditkit.types import Response

__all__ = ["CallCost", "TimedCall", "estimate_cost", "time_calls"]

_CHARACTERS_PER_TOKEN = 4.0
_MILLION = 1e6
_LIMIT = 512  # tokens of a list without a stated limit


@dataclass(frozen=True, kw_only=True)
class CallCost:
    """Estimated cost of all calls.

    Attributes:
        calls: number of calls.
        timed: number of calls that were sent to measure the cost.
        input_tokens, output_tokens: sums over all calls; without timed calls, `output_tokens` is
            the maximum that the token limits allow.
        longest_prompt: number of tokens of the longest prompt.
        minutes: duration at the concurrency of the run; None without timed calls.
        money: price of all tokens, in `currency`; None without a price.
    """

    calls: int
    timed: int
    input_tokens: float
    output_tokens: float
    longest_prompt: float
    minutes: float | None = None
    money: float | None = None
    currency: str | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The fields whose value is not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class TimedCall:
    """A call that was sent to measure its cost."""

    call: Call
    response: Response
    seconds: float


def time_calls(recommender: object, calls: Sequence[Call], n: int) -> list[TimedCall]:
    """Send up to n of the planned calls one by one, evenly spread over the plan.

    Calls that only score text are not sent. The duration of failed calls counts.
    """
    able = [call for call in calls if _can_be_sent(recommender, call)]
    chosen = able[:: max(1, len(able) // n)][:n]
    timed = []
    for call in chosen:
        request, started = call.identified(0), time.monotonic()
        if call.operation == "recommend" and isinstance(recommender, Recommends):
            (answer,) = recommender.recommend([request])
        elif isinstance(recommender, Generates):
            (answer,) = recommender.generate(
                [as_text(request.messages) + request.prompt],
                max_new_tokens=call.parameters["max_new_tokens"],
                temperature=request.temperature,
                seeds=[request.seed],
            )
        response = (
            answer
            if isinstance(answer, Response)
            else Response(request_id=request.id, status="ok", text=str(answer))
        )
        timed.append(TimedCall(call, response, time.monotonic() - started))
    return timed


def estimate_cost(
    recommender: object,
    calls: Sequence[Call],
    *,
    timed: Sequence[TimedCall] = (),
    price: Price | None = None,
) -> CallCost:
    """Extrapolate tokens, minutes and money to all calls.

    Args:
        recommender: the recommender that would get the calls.
        calls: all planned calls.
        timed: result of `time_calls`.
        price: price of a million tokens; None if unknown.
    """
    letters = [_letters(recommender, call) for call in calls]
    per_letter = _tokens_per_letter(recommender, timed)
    limit = float(getattr(recommender, "max_tokens", _LIMIT))
    written = [
        used for one in timed if (used := one.response.usage.get("completion_tokens")) is not None
    ]
    outputs = [
        sum(written) / len(written)
        if written
        else float(call.parameters.get("max_new_tokens", limit))
        for call in calls
        if call.operation != "score"
    ]
    limits = getattr(recommender, "request_limits", None)
    n_parallel = limits.max_connections if isinstance(limits, RequestLimits) else 1
    tokens = sum(letters) * per_letter, float(sum(outputs))
    money = None if price is None else (
        tokens[0] * price.input + tokens[1] * price.output
    ) / _MILLION  # fmt: skip
    seconds = sum(one.seconds for one in timed) / len(timed) if timed else None
    return CallCost(
        calls=len(calls),
        timed=len(timed),
        input_tokens=round(tokens[0]),
        output_tokens=round(tokens[1]),
        longest_prompt=round(max(letters, default=0) * per_letter),
        minutes=None if seconds is None else seconds * len(calls) / n_parallel / 60,
        money=money,
        currency=None if price is None else price.currency,
    )


def _letters(recommender: object, call: Call) -> int:
    """Number of characters that are sent for a call; those of pipeline candidates are an
    average.
    """
    prompt = call.request.prompt
    if isinstance(recommender, Staged):
        prompt = recommender.planned_prompt(call.request)
    return len(as_text(call.request.messages)) + len(prompt)


def _tokens_per_letter(recommender: object, timed: Sequence[TimedCall]) -> float:
    pairs = [
        (used, _letters(recommender, one.call))
        for one in timed
        if (used := one.response.usage.get("prompt_tokens")) is not None
    ]
    letters = sum(n for _, n in pairs)
    return sum(used for used, _ in pairs) / letters if letters else 1 / _CHARACTERS_PER_TOKEN


def _can_be_sent(recommender: object, call: Call) -> bool:
    return (call.operation == "recommend" and isinstance(recommender, Recommends)) or (
        call.operation == "generate" and isinstance(recommender, Generates)
    )
