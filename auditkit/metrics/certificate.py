"""Certificate of a vote over masked copies of a text: how many words may be replaced.

The recommender answers copies of the text that keep `kept` of its `words`, drawn uniformly, and the
items that come first vote. Replacing `changed` words in place leaves every copy as it was that
keeps none of them, so no vote share moves by more than the share of the other copies. An item with
more than half of the votes after that loss is still first.

Source: Levine & Feizi 2020 (randomized ablation), Zeng et al. 2023 (RanMASK, masked words); the
vote needs the majority as in Cohen et al. 2019.
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
        Value in [0, 1], 0 for no changed word.

    Raises:
        InvalidArgument: numbers that do not fit each other.
    """
    if words < 1 or not 0 <= kept <= words or not 0 <= changed <= words:
        raise InvalidArgument(
            f"reached_share got words={words}, kept={kept}, changed={changed}. Give at least 1 "
            "word, and 0 to that many kept and changed ones."
        )
    return 1 - comb(words - changed, kept) / comb(words, kept)


def certified_words(share_low: float, *, words: int, kept: int) -> int | None:
    """Largest number of words whose replacement cannot change which item wins the vote.

    Args:
        share_low: lower bound of the winner's share of the votes, in [0, 1]. The certificate holds
            with the confidence of this bound, and surely if it is the exact share of all copies.
        words, kept: as in `reached_share`.

    Returns:
        0 to `words`; None if the winner is not shown to have more than half of the votes, so
        nothing is certified.

    Raises:
        InvalidArgument: a share outside [0, 1], or numbers that do not fit each other.
    """
    if not 0 <= share_low <= 1:
        raise InvalidArgument(f"certified_words got a share of {share_low}. Give one in [0, 1].")
    held = [
        changed
        for changed in range(words + 1)
        if share_low - reached_share(words=words, kept=kept, changed=changed) > 0.5
    ]
    return max(held, default=None)
