"""Certified robustness: how many words may be replaced if masked copies of the request vote?

Every request is sent as masked copies that keep a few words of the instruction, and the first item
of each list gets a vote. The number of words whose replacement provably cannot change the winner
follows from a lower bound of the winner's share of the votes, which is exact if all possible copies
are sent. The certificate applies to the vote (`voted:TARGET`), not to the recommender itself, and
only to words replaced in place, not to inserted or removed words. `robustness.prompt.search`
measures attacks on the vote.

Source: Zeng et al. 2023 (RanMASK); `auditkit.metrics.certificate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from auditkit.errors import InvalidArgument
from auditkit.metrics.certificate import certified_words
from auditkit.probes.base import (
    NEVER_READS,
    Context,
    NotAssessable,
    User,
    finding,
    neutral_request,
    unit_of,
)
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.prompting.word_masks import WordMasks, words_of
from auditkit.recommenders.protocols import Recommends
from auditkit.recommenders.wrappers.masked_vote import KEPT_SHARE, item_key
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.stats.intervals import clopper_pearson
from auditkit.stats.rates import rate
from auditkit.types import Finding, Request, Response

__all__ = ["CertificateProbe", "certify"]


@dataclass(frozen=True)
class _Vote:
    """The vote of one user.

    Attributes:
        share: share of the copies that list the winner first; copies without a list count against
            the winner.
        certified: number of words that may be replaced; None if no majority is shown for the
            winner.
        kept_first: whether the winner is also first in the list of the whole request.
    """

    user: User
    share: float
    certified: int | None
    kept_first: bool


def certify(first: Sequence[str | None], masks: WordMasks, *, confidence: float) -> int | None:
    """Compute the number of words whose replacement cannot change the winner of a vote.

    If the copies are sampled, the first half determines the winner and the second half bounds the
    winner's share, so that the bound is valid for the chosen item.

    Args:
        first: first item of the list for each copy; None without a list.
        masks: the masks of these copies.
        confidence: confidence of the lower bound; not used if all possible copies were sent.

    Returns:
        Number in 0..`masks.words`; None if nothing is certified.
    """
    chosen = first if masks.exact else first[: len(first) // 2]
    counted = first if masks.exact else first[len(first) // 2 :]
    winner = _winner(chosen)
    if winner is None:
        return None
    votes = sum(item == winner for item in counted)
    low = votes / len(counted)
    if not masks.exact:
        low = clopper_pearson(votes, len(counted), confidence, side="lower").low
    return certified_words(low, words=masks.words, kept=masks.kept)


def _winner(first: Sequence[str | None]) -> str | None:
    counts = Counter(item for item in first if item is not None)
    return counts.most_common(1)[0][0] if counts else None


@dataclass(frozen=True, kw_only=True)
class CertificateProbe:
    """Number of words whose replacement provably cannot change the vote over masked copies.

    Attributes:
        n_users: number of users.
        copies: number of sampled copies of each request; if at most this number of copies is
            possible, all are sent.
        kept_share: share of the words that a copy keeps, in (0, 1].
        confidence: confidence of each user's certificate, if copies are sampled.
        most_words: largest number of replaced words that is reported, at least 1.
        k: length of the lists.
    """

    n_users: int = 30
    copies: int = 100
    kept_share: float = KEPT_SHARE
    confidence: float = 0.95
    most_words: int = 3
    k: int = 10
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        fractions = 0 < self.kept_share <= 1 and 0 < self.confidence < 1
        if min(self.n_users, self.most_words, self.k) < 1 or self.copies < 2 or not fractions:
            raise InvalidArgument(
                f"robustness.certificate got n_users={self.n_users}, copies={self.copies}, "
                f"kept_share={self.kept_share}, confidence={self.confidence}, "
                f"most_words={self.most_words}, k={self.k}. Give n_users, most_words and k of at "
                "least 1, copies of at least 2, and kept_share and confidence in (0, 1)."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send the whole requests and their copies, and certify each user's vote."""
        instruction = target.prompts.recommend[0]
        words = len(words_of(instruction))
        if not words:
            raise NotAssessable("the instruction of the recommender has no words to mask")
        users = context.sample_users(self.n_users)
        masks = [
            WordMasks.draw(
                words, share=self.kept_share, copies=self.copies, rng=context.rng(user.id)
            )
            for user in users
        ]
        clean = [
            replace(neutral_request(user, k=self.k), instruction=instruction) for user in users
        ]
        asked = [self._asked(request, mask) for request, mask in zip(clean, masks, strict=True)]
        responses = iter(target.recommend([one for row in asked for one in row]))
        rows = [[next(responses) for _ in row] for row in asked]
        votes = [
            self._vote(user, mask, row)
            for user, mask, row in zip(users, masks, rows, strict=True)
            if _first(row[0]) is not None
        ]
        for found in self._findings(context, votes, masks[0], len(users) - len(votes)):
            notes = found.notes if target.reads_prompt else (*found.notes, *NEVER_READS)
            yield replace(found, notes=notes)

    @staticmethod
    def _asked(request: Request, masks: WordMasks) -> list[Request]:
        """Return the whole request, then its copies."""
        copies = masks.copies(request.instruction)
        return [request, *(replace(request, instruction=text) for text in copies)]

    def _vote(self, user: User, masks: WordMasks, row: Sequence[Response]) -> _Vote:
        whole, *copies = map(_first, row)
        winner = _winner(copies)
        return _Vote(
            user=user,
            share=sum(item == winner for item in copies) / len(copies) if winner else 0.0,
            certified=certify(copies, masks, confidence=self.confidence),
            kept_first=winner == whole,
        )

    def _findings(
        self, context: Context, votes: Sequence[_Vote], masks: WordMasks, n_missing: int
    ) -> Iterator[Finding]:
        stated = {
            "words": masks.words, "kept": masks.kept, "copies": len(masks.chosen),
            "exact": masks.exact,
        }  # fmt: skip
        bound = "of all copies that exist" if masks.exact else f"with {self.confidence:.0%} each"
        for words in range(1, min(self.most_words, masks.words) + 1):
            held = [vote.certified is not None and vote.certified >= words for vote in votes]
            name = f"{context.probe_id}.certified_rate"
            unit, direction = unit_of(name)
            yield finding(
                context, name,
                rate(sum(held), len(held), unit=unit, direction=direction, n_missing=n_missing),
                group=f"words={words}", parameters={**stated, "replaced": words},
                units=[(v.user.id, float(h), 1.0) for v, h in zip(votes, held, strict=True)],
                notes=[f"certificates {bound}; they apply to words that are replaced in place"],
            )  # fmt: skip
        means = {
            "vote_share": [vote.share for vote in votes],
            "first_changed": [float(not vote.kept_first) for vote in votes],
        }
        for metric, values in means.items():
            name = f"{context.probe_id}.{metric}"
            unit, direction = unit_of(name)
            estimate = bootstrap_mean(
                values, rng=context.rng(name), unit=unit, direction=direction,
                n_missing=n_missing, limits=(0, 1),
            )  # fmt: skip
            yield finding(context, name, estimate, parameters=stated)


def _first(response: Response) -> str | None:
    """Return the first item of a list; None if there is none."""
    listed = response.status == "ok" and response.items
    return item_key(response.items[0]) if listed else None
