"""Character-based similarity of a text before and after edits.

Source: chrF (Popovic 2015) as computed by sacrebleu 2; cosine of character trigram counts.
"""

from __future__ import annotations

import math
from collections import Counter

__all__ = ["chrf", "trigram_cosine"]

_LONGEST, _BETA = 6, 2.0


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score: precision and recall of n-grams, averaged over n = 1..6.

    (1 + b^2) P R / (b^2 P + R) with b = 2, so recall counts twice as much. Whitespace is removed;
    the averages leave out values of n for which a text has no n-gram.

    Args:
        text: the edited text.
        reference: the text before the edits.

    Returns:
        Fraction in [0, 1]; 1 for equal texts (ideal), also if both are empty; 0 without a common
        character.

    Source: Popovic 2015; sacrebleu gives 100 times this value.

    Example:
        >>> round(chrf("abc", "abd"), 4)
        0.3889
    """
    edited, original = "".join(text.split()), "".join(reference.split())
    if edited == original:
        return 1.0
    precisions, recalls = [], []
    for n in range(1, min(_LONGEST, len(edited), len(original)) + 1):
        ours, theirs = _grams(edited, n), _grams(original, n)
        common = (ours & theirs).total()
        precisions.append(common / ours.total())
        recalls.append(common / theirs.total())
    if not precisions or not sum(precisions):
        return 0.0
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return (1 + _BETA**2) * p * r / (_BETA**2 * p + r)


def trigram_cosine(left: str, right: str) -> float:
    """Cosine of the counts of character trigrams.

    Returns:
        Value in [0, 1]; ideal 1, for equal texts, even if both are shorter than three characters; 0
        without a common trigram.

    Example:
        >>> trigram_cosine("abcd", "abce")
        0.5
    """
    if left == right:
        return 1.0
    a, b = _grams(left, 3), _grams(right, 3)
    if not a or not b:
        return 0.0
    dot = sum(count * b[gram] for gram, count in a.items())
    lengths = math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return min(1.0, dot / lengths)


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))
