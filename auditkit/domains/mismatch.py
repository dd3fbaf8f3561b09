"""Signs that a domain pack does not fit: columns of another domain, or its words in a prompt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from auditkit.domains.pack import DomainPack
from auditkit.domains.shipped import DOMAINS, NEUTRAL, domain_pack

__all__ = ["domain_of", "mismatches"]

_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 2  # columns of another domain
_SHOWN = 3  # columns in a message


def mismatches(pack: DomainPack, predicates: Collection[str], prompts: Sequence[str]) -> list[str]:
    """Return one warning for each sign that the domain pack does not fit the catalog or the
    prompts.

    Args:
        pack: the domain pack in use.
        predicates: names of the catalog's predicates.
        prompts: prompt templates of the recommender; empty if it reads no text.
    """
    return [*_by_columns(pack, predicates), *_by_words(pack, prompts)]


def domain_of(columns: Collection[str]) -> tuple[str, list[str]] | None:
    """The domain to which most of the columns belong, with these columns; None if fewer than two
    columns belong to any domain.
    """
    names = {name.casefold() for name in columns}
    found = {name: names & set(domain_pack(name).columns) for name in DOMAINS}
    best = max(DOMAINS, key=lambda name: len(found[name]))
    return (best, sorted(found[best])) if len(found[best]) >= _ENOUGH else None


def _by_columns(pack: DomainPack, predicates: Collection[str]) -> Iterator[str]:
    found = domain_of(predicates)
    if {name.casefold() for name in predicates} & set(pack.columns) or found is None:
        return
    best, columns = found
    if best == pack.name:
        return
    listed = ", ".join(columns[:_SHOWN])
    said = "the catalog names no domain" if pack.name == NEUTRAL else f"the domain is {pack.name}"
    yield (
        f"domain: the columns {listed} belong to the domain {best}, but {said}. Set `domain: "
        f"{best}` in the mapping, or give --domain {best}."
    )


def _by_words(pack: DomainPack, prompts: Sequence[str]) -> Iterator[str]:
    """Yield a warning if a prompt contains nouns of another domain that the pack does not have."""
    used = {word.casefold() for text in prompts for word in _WORD.findall(text)}
    own = {*pack.words, *pack.item_words, pack.nouns.item, pack.nouns.items}
    for name in DOMAINS:
        other = domain_pack(name)
        if name != pack.name and (words := sorted(used & set(other.words) - own)):
            yield (
                f"domain: the prompts of the recommender contain {words[0]!r}, a word of the "
                f"domain {name}, but the domain is {pack.name}. Change the templates of the "
                f"recommender, or give --domain {name}."
            )
