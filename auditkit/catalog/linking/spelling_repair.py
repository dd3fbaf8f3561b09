"""Which titles may a misspelt query mean, once single words are repaired?

Only words are repaired, never digits, and a token that is a word is left alone unless enough of the
title stands beside it: a real word that is changed turns one film into another. Source:
hallucination recipe 3.4, stages 7 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from auditkit.catalog.linking.normalize import key_of_tokens
from auditkit.catalog.linking.vocabulary import Neighbour

__all__ = ["Repair", "repairs", "tokens_to_look_up"]

MAX_EDITS = 2
MAX_TOKENS = 32  # a longer text is no title with a typing error
_ROBUST_LETTERS = 8  # a token so long may be repaired by two edits with no word beside it
_DROPPED = frozenset(("the", "a", "an", "and"))  # where one of these appears, the key is made anew
_CONTENT_BESIDE = 3  # words that must stay where a word becomes another
_FUNCTION_WORDS = frozenset(
    "the a an of and in on to for at with from is it my by no de la le you your his her i".split()  # noqa: SIM905  # one line reads better than twenty-six
)
Near = Mapping[str, Sequence[Neighbour]]


class Repair(NamedTuple):
    """A full key that the query may mean, and the edits that lie between."""

    key: str
    edits: int


def tokens_to_look_up(
    tokens: Sequence[str], is_word: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """The tokens whose neighbours `repairs` asks for: strange ones (2 edits) and words (1)."""
    strange = _strange(tokens, is_word)
    if len(strange) > MAX_EDITS or len(tokens) > MAX_TOKENS:
        return [], []
    words = [t for i, t in enumerate(tokens) if i not in strange and not t.isdigit()]
    return [tokens[i] for i in strange], words if _may_change_words(tokens, strange) else []


def repairs(tokens: Sequence[str], is_word: Callable[[str], bool], near: Near) -> Iterator[Repair]:
    """Repaired keys of a query, those of strange tokens only (stage 7) first.

    Args:
        tokens: of the query's full key.
        is_word: is this token a word of the catalog or of English?
        near: words of the catalog near each token that `tokens_to_look_up` named.
    """
    strange = _strange(tokens, is_word)
    if len(strange) > MAX_EDITS or len(tokens) > MAX_TOKENS:
        return
    if strange:
        yield from _of_strange(tokens, strange, is_word, near)
    if _may_change_words(tokens, strange):
        yield from _of_words(tokens, strange, near)


def _strange(tokens: Sequence[str], is_word: Callable[[str], bool]) -> list[int]:
    return [i for i, t in enumerate(tokens) if not t.isdigit() and not is_word(t)]


def _may_change_words(tokens: Sequence[str], strange: Sequence[int]) -> bool:
    return len(tokens) > 1 and len(strange) <= 1


def _of_strange(
    tokens: Sequence[str], strange: Sequence[int], is_word: Callable[[str], bool], near: Near
) -> Iterator[Repair]:
    beside_word = any(is_word(t) and not t.isdigit() for t in tokens)
    choices = [
        [
            other
            for other in near.get(tokens[i], ())
            if other.distance == 1 or beside_word or len(tokens[i]) >= _ROBUST_LETTERS
        ]
        for i in strange
    ]
    for chosen in product(*choices):
        edits = sum(other.distance for other in chosen)
        if edits <= MAX_EDITS:
            yield _repaired(tokens, dict(zip(strange, chosen, strict=True)), edits)


def _of_words(tokens: Sequence[str], strange: Sequence[int], near: Near) -> Iterator[Repair]:
    content = {
        i for i, t in enumerate(tokens)
        if i not in strange and not t.isdigit() and t not in _FUNCTION_WORDS
    }  # fmt: skip
    beside: list[dict[int, Neighbour]] = [{}]
    if strange:
        only = strange[0]
        beside = [{only: other} for other in near.get(tokens[only], ()) if other.distance == 1]
    for i, token in enumerate(tokens):
        if i in strange or token.isdigit():
            continue
        enough = len(content - {i}) >= _CONTENT_BESIDE
        for other in near.get(token, ()):
            if other.distance == 1 and (enough or other.word in _FUNCTION_WORDS):
                for repaired in beside:
                    yield _repaired(tokens, {**repaired, i: other}, 1 + len(repaired))


def _repaired(tokens: Sequence[str], changed: Mapping[int, Neighbour], edits: int) -> Repair:
    parts, renewed = list(tokens), False
    for i, other in changed.items():
        parts[i] = other.word
        renewed = renewed or other.word in _DROPPED
    return Repair(key_of_tokens(parts) if renewed else " ".join(parts), edits)
