"""Spelling correction of single words in a query (stages 7 and 8 of title linking).

Only words are corrected, never digits. A token that is a word is not changed unless enough other
words of the title match, because changing a real word makes it the title of another film.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from auditkit.catalog.linking.normalize import key_of_tokens
from auditkit.catalog.linking.vocabulary import Neighbor

__all__ = ["Repair", "repairs", "tokens_to_look_up"]

MAX_EDITS = 2
MAX_TOKENS = 32  # a longer text is not a misspelled title
_ROBUST_LETTERS = 8  # a token of this length may get two edits without a known word in the title
_DROPPED = frozenset(("the", "a", "an", "and"))  # if a correction is one of these, rebuild the key
_CONTENT_BESIDE = 3  # content words that must be unchanged if a word becomes another word
_FUNCTION_WORDS = frozenset(
    "the a an of and in on to for at with from is it my by no de la le you your his her i".split()  # noqa: SIM905  # one line reads better than twenty-six
)
Near = Mapping[str, Sequence[Neighbor]]


class Repair(NamedTuple):
    """A normalized title that a misspelled query may mean, and its edit distance in letters."""

    key: str
    edits: int


def tokens_to_look_up(
    tokens: Sequence[str], is_word: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """Tokens whose neighbors `repairs` needs: (unknown tokens, up to 2 edits; known words, up to 1
    edit).
    """
    strange = _strange(tokens, is_word)
    if len(strange) > MAX_EDITS or len(tokens) > MAX_TOKENS:
        return [], []
    words = [t for i, t in enumerate(tokens) if i not in strange and not t.isdigit()]
    return [tokens[i] for i in strange], words if _may_change_words(tokens, strange) else []


def repairs(tokens: Sequence[str], is_word: Callable[[str], bool], near: Near) -> Iterator[Repair]:
    """Yield corrected keys of a query (stage 7); keys in which only unknown tokens change come
    first.

    Args:
        tokens: tokens of the query's full key.
        is_word: tells whether a token is a word of the catalog or of English.
        near: catalog words near each token that `tokens_to_look_up` returned.
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
    beside: list[dict[int, Neighbor]] = [{}]
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


def _repaired(tokens: Sequence[str], changed: Mapping[int, Neighbor], edits: int) -> Repair:
    parts, renewed = list(tokens), False
    for i, other in changed.items():
        parts[i] = other.word
        renewed = renewed or other.word in _DROPPED
    return Repair(key_of_tokens(parts) if renewed else " ".join(parts), edits)
