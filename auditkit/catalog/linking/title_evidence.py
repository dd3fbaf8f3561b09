"""Evidence of a misspelled text for one catalog title, as log-odds in nats.

Two explanations of a text are compared. Either a title of the catalog was meant and a few letters
were changed, or a title outside the catalog was meant that is similar to a catalog title by chance.
The log-odds of the first explanation are

    nats of the text - nats of the edits - ln(number of titles that are searched) + prior.

The more informative a text is, the less likely another title is as similar by chance; the more
titles are searched, the more likely this is. The nats of the edits follow from random edits: one of
four kinds (leave out, swap with the next, put in, replace), one of the letters of the title, and
for the last two kinds one of 26 letters; a letter that only moved costs no choice. The nats of the
text and the prior are fitted (docs/explain/title-linking.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import log

__all__ = ["MARGIN", "edit_nats", "prior_log_odds", "text_nats"]

MARGIN = log(10)  # a second title that is at most this much less likely makes a text ambiguous
_NATS_PER_LETTER = 2.0  # of titles, spaces included
_NATS_PER_WORD = log(15_000)  # at most, if the word is one of 15,000
# One title in so many is misspelled so that only words are left; with a year, without one.
_ONLY_WORDS_DATED, _ONLY_WORDS = log(2_000), log(60_000)
_FEWEST_OF_YEAR, _FEWEST = 100, 1_000  # titles that may be meant, even if the catalog has fewer
_FITTED_DATED, _FITTED = 6.0, 1.5
_KINDS, _LETTERS = 4, 26


def text_nats(key: str, is_word: Callable[[str], bool], *, dated: bool) -> float:
    """Evidence, in nats, that a text gives about the title that it means.

    A text of ordinary words may be the correct title of another item and gives less evidence. A
    single word gives none.

    Args:
        key: full key of the text.
        is_word: whether a token is a word of the catalog or of English.
        dated: whether a year is stated.

    Returns:
        Nats, at least 0.
    """
    tokens = key.split()
    known = [is_word(token) for token in tokens]
    if len(tokens) == 1 and known[0]:
        return 0.0
    nats = -_NATS_PER_LETTER  # there is one space less than tokens
    for token, word in zip(tokens, known, strict=True):
        spelled = _NATS_PER_LETTER * (len(token) + 1)
        nats += min(spelled, _NATS_PER_WORD) if word else spelled
    if all(known):
        nats -= _ONLY_WORDS_DATED if dated else _ONLY_WORDS
    return max(0.0, nats)


def edit_nats(key: str, title: str, edits: int) -> float:
    """Cost, in nats, of the edits that turn a title into a text: minus the log of their
    probability.

    Args:
        key, title: full keys.
        edits: number of edits between them.

    Returns:
        Nats, at least 0; 0 without edits.
    """
    added = (Counter(key) - Counter(title)).total() if edits else 0
    return edits * log(_KINDS * max(1, len(title))) + added * log(_LETTERS)


def prior_log_odds(n_titles: int, *, dated: bool) -> float:
    """Prior log-odds, in nats, that a text means one particular title among those searched.

    Args:
        n_titles: number of titles that are searched.
        dated: whether only titles of the stated year are searched.
    """
    if dated:
        return _FITTED_DATED - log(max(n_titles, _FEWEST_OF_YEAR))
    return _FITTED - log(max(n_titles, _FEWEST))
