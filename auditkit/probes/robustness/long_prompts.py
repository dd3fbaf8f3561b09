"""Robustness: does the recommender drop part of a long prompt without saying so?

Some servers cut a prompt that is longer than their context window and answer all the same, so the
instruction or the beginning of the history is lost in silence. Every user sends the request with a
longer and longer history. A prompt is read whole as long as the number of prompt tokens that the
recommender reports grows with its text. If it grows by less than four fifths of that, text was
dropped; an overflow error is the declared alternative.

Source: wrapper check of the robustness specification; docs/explain/robustness.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

from auditkit.errors import InvalidArgument
from auditkit.probes.base import (
    Context,
    NotAssessable,
    User,
    finding,
    neutral_request,
    unit_of,
)
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.rates import rate
from auditkit.types import Evidence, Finding, Request, Response

__all__ = ["LongPromptProbe"]

Outcome = Literal["whole", "declared", "silent", "unknown"]
_FEWEST_TOKENS = 0.8  # share of the tokens that added text needs; below it, text was dropped
_SHOWN = 3


class _Prompt(NamedTuple):
    """A rendered prompt of one user: its number of characters, and the response to it."""

    characters: int
    response: Response

    @property
    def tokens(self) -> int | None:
        """Prompt tokens that the recommender reports; None without a report."""
        return self.response.usage.get("prompt_tokens") or None


class _Verdict(NamedTuple):
    """What became of one user's prompts, and the prompt that shows it."""

    outcome: Outcome
    shown: _Prompt
    longest: int = 0  # tokens of the longest prompt that was read whole


@dataclass(frozen=True, kw_only=True)
class LongPromptProbe:
    """Share of users whose long prompts lose text without an error.

    Attributes:
        sizes: lengths of the history, in items, increasing; the first two, which should fit, tell
            how many tokens a character needs.
        n_users: number of users, with one request per size each.
        k: requested length of the lists.
    """

    sizes: tuple[int, ...] = (25, 50, 100, 200, 400)
    n_users: int = 20
    k: int = 5
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        ordered = all(a < b for a, b in pairwise((0, *self.sizes)))
        if len(self.sizes) < 3 or not ordered or min(self.n_users, self.k) < 1:
            raise InvalidArgument(
                f"robustness.overflow got sizes={list(self.sizes)}, n_users={self.n_users}, "
                f"k={self.k}. Give at least 3 increasing sizes, and at least 1 user and item."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send the prompts of increasing length and compare reported tokens with their text."""
        if not target.reads_prompt:
            raise NotAssessable("the recommender reads no prompt")
        users = context.sample_users(self.n_users)
        asked = [[self._request(target, context, user, n) for n in self.sizes] for user in users]
        responses = iter(target.recommend([one for row in asked for one in row]))
        sent = [[_Prompt(len(target.render(one)), next(responses)) for one in row] for row in asked]
        per_character = _tokens_per_character(sent)
        verdicts = [_verdict(prompts, per_character) for prompts in sent]
        known = [verdict for verdict in verdicts if verdict.outcome != "unknown"]
        if not known:
            raise NotAssessable(
                "the recommender reports neither the number of tokens of a prompt nor an overflow"
            )
        yield self._found(context, known, n_missing=len(verdicts) - len(known))

    def _request(self, target: Target, context: Context, user: User, n_items: int) -> Request:
        """The user's request after `n_items` items: random ones, then the own history."""
        own = user.history[-n_items:]
        rows = context.rng("older items", user.id).integers(
            len(target.catalog.items), size=max(self.sizes)
        )
        older = [target.catalog.items[row] for row in rows[: n_items - len(own)]]
        # In reverse order, so that a longer history ends with the shorter one.
        return replace(neutral_request(user, k=self.k), history=(*older[::-1], *own))

    def _found(self, context: Context, known: Sequence[_Verdict], *, n_missing: int) -> Finding:
        name = f"{context.probe_id}.silent_truncation_rate"
        unit, direction = unit_of(name)
        silent = [verdict for verdict in known if verdict.outcome == "silent"]
        measured = rate(
            len(silent), len(known), unit=unit, direction=direction, method="wilson",
            n_missing=n_missing, reason="no number of tokens was reported",
        )  # fmt: skip
        declared = sum(verdict.outcome == "declared" for verdict in known)
        longest = max(verdict.longest for verdict in known)
        return finding(
            context, name, measured, parameters={"sizes": list(self.sizes)},
            evidence=[
                Evidence(requests=(one.shown.response.request_id,), what=_what(one))
                for one in silent[:_SHOWN]
            ],
            n_cases=len(silent),
            notes=(
                f"longest prompt that was read whole: {longest:,} tokens" if longest else
                "no prompt is known to have been read whole",
                f"{declared} of {len(known)} users got an overflow error, which is not a fault",
            ),
        )  # fmt: skip


def _tokens_per_character(sent: Sequence[Sequence[_Prompt]]) -> float | None:
    """Tokens per character of the text by which the second prompts exceed the first, over all
    users. The difference leaves out what a server adds to every prompt. None if no user has both.
    """
    tokens = characters = 0
    for first, second, *_ in sent:
        if first.tokens is not None and second.tokens is not None:
            tokens += second.tokens - first.tokens
            characters += second.characters - first.characters
    return tokens / characters if tokens > 0 else None


def _verdict(prompts: Sequence[_Prompt], per_character: float | None) -> _Verdict:
    """The first prompt that was not read whole decides; without one, the longest was."""
    overflow = next((p for p in prompts if p.response.reason == "context_overflow"), None)
    _, before, *rest = prompts
    if per_character is None or before.tokens is None:
        return _Verdict("declared" if overflow else "unknown", overflow or before)
    for prompt in rest:
        if prompt is overflow:
            return _Verdict("declared", prompt, before.tokens or 0)
        if prompt.tokens is None:  # another error; the next prompt tells
            continue
        needed = per_character * (prompt.characters - before.characters)
        if prompt.tokens - (before.tokens or 0) < _FEWEST_TOKENS * needed:
            return _Verdict("silent", prompt, before.tokens or 0)
        before = prompt
    return _Verdict("whole", before, before.tokens or 0)


def _what(verdict: _Verdict) -> str:
    prompt = verdict.shown
    return (
        f"a prompt of {prompt.characters:,} characters was cut: the recommender counts "
        f"{prompt.tokens:,} tokens, fewer than its text needs; the longest prompt that was read "
        f"whole has {verdict.longest:,}"
    )
