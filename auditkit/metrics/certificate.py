"""Certificate of a vote over masked copies of a text: how many words may be replaced.

The recommender answers masked copies of the text. Each copy keeps `kept` of the `words`, sampled
uniformly, and votes for the item that is first in its list. Replacing `changed` words in place
affects only copies that keep at least one of these words, so no vote share changes by more than the
share of these copies. An item that still has more than half of the votes after losing this share
remains first.

Source: Levine & Feizi 2020 (randomized ablation), Zeng et al. 2023 (RanMASK, masked words); the
vote requires a majority, as in Cohen et al. 2019.
"""

from __future__ import annotations

from math import comb

from auditkit.errors import InvalidArgument

__all__ = ["certified_words", "reached_share"]


def reached_share(*, words: int, kept: int, changed: int) -> float:
    """Share of the masked copies that keep at least one of the changed words.

    1 - C(words - changed, kept) / C(words, kept).

    Args:
        words: number of words of the text, at least 1.
        kept: number of words that each copy keeps, 0 to `words`.
        changed: number of replaced words, 0 to `words`.

    Returns:
        Fraction in [0, 1]; 0 if no word is changed.

    Raises:
        InvalidArgument: numbers that do not fit each other.
    """
    if words < 1 or not 0 <= kept <= words or not 0 <= changed <= words:
        raise InvalidArgument(
            f"reached_share got words={words}, kept={kept}, changed={changed}. Give at least 1 "
            "word, and numbers of kept and changed words from 0 to the number of words."
        )
    return 1 - comb(words - changed, kept) / comb(words, kept)


def certified_words(share_low: float, *, words: int, kept: int) -> int | None:
    """Largest number of words whose replacement cannot change which item wins the vote.

    Args:
        share_low: lower bound of the winner's share of the votes, in [0, 1]. The certificate holds
            with the confidence of this bound, or with certainty if `share_low` is the exact share
            over all copies.
        words, kept: as in `reached_share`.

    Returns:
        Number in 0..`words`; None if `share_low` is at most one half, so that nothing is certified.

    Raises:
        InvalidArgument: a share outside [0, 1], words < 1, or `kept` outside 0..`words`.
    """
    if not 0 <= share_low <= 1:
        raise InvalidArgument(f"certified_words got share_low={share_low}. Give a share in [0, 1].")
    held = [
        changed
        for changed in range(words + 1)
        if share_low - reached_share(words=words, kept=kept, changed=changed) > 0.5
    ]
    return max(held, default=None)
