"""Word sequences that occur in the history of exactly one training user.

A response with such a sequence repeats part of that user's history. Sequences that occur in a
catalog title, a prompt template or the prompt of the request are ignored. Only sequences from
responses are counted over users, so the required memory does not grow with the data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from auditkit.probes.base import Context
from auditkit.probes.privacy.records import seen_in_training
from auditkit.recommenders.prompting.prompts import Prompts

__all__ = ["repeats_one_user", "shingles"]

LENGTH = 8
_MARKER = re.compile(r"^\s*(?:[-*\u2022]|[0-9]{1,3}[.)])\s+", re.MULTILINE)
_WORD = re.compile(r"\w+")
Shingle = tuple[str, ...]


def shingles(text: str) -> Iterator[Shingle]:
    """Yield runs of 8 words, case folded, without numbers and bullets at the start of lines."""
    words = [word.casefold() for word in _WORD.findall(_MARKER.sub("", text))]
    return (tuple(words[at : at + LENGTH]) for at in range(len(words) - LENGTH + 1))


def repeats_one_user(
    texts: Sequence[tuple[str, str]],
    context: Context,
    prompts: Prompts,
    held_out: Collection[str],
) -> list[bool]:
    """Find the texts with a word sequence that occurs in the history of only one training user.

    Args:
        texts: pairs of a text and its prompt.
        context: context of the probe, with the users.
        prompts: templates of the recommender.
        held_out: ids of users that were not in the training data.
    """
    own = [set(shingles(text)) - set(shingles(prompt)) for text, prompt in texts]
    candidates = set().union(*own)
    candidates -= _shingles_of([*prompts.recommend, *prompts.describe])
    if candidates:
        candidates -= _shingles_of(item.display_title for item in context.dataset.catalog.items)
    n_users: Counter[Shingle] = Counter()
    for user in context.users if candidates else ():
        if user.id not in held_out:
            titles = "\n".join(item.title for item in seen_in_training(user, context))
            n_users.update(candidates.intersection(shingles(titles)))
    return [any(n_users[shingle] == 1 for shingle in found) for found in own]


def _shingles_of(texts: Iterable[str]) -> set[Shingle]:
    return {shingle for text in texts for shingle in shingles(text)}
