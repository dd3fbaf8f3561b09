"""Schema of a domain pack: nouns, wordings, predicates and constraints of one kind of item.

A pack is data (`auditkit/domains/*.yaml`, or a file of the user). Templates of prompts contain
nouns in square brackets, such as `[items]`, so that one template serves every domain; a pack may
also replace a template. Predicates say how texts state a fact: its type, its names in catalogs, the
cue phrases of each language, and words for values. See docs/how-to/add-a-domain.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from auditkit.serialization.canonical_json import sha256_json

__all__ = [
    "Cues", "DomainPack", "Fact", "Language", "PackConstraint", "PackPredicate", "PredicateType",
]  # fmt: skip

Language = Literal["en", "de"]
PredicateType = Literal["entity", "text", "quantity", "price", "size", "date", "year"]
Short = Annotated[str, Field(min_length=1, max_length=200)]
Template = Annotated[str, Field(min_length=1, max_length=2_000)]
_NOUN = re.compile(r"\[([A-Za-z]{1,20})\]")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nouns(_Section):
    """Words for the items.

    `item` and `items`: singular and plural. `verb`, `done`, `doing`: what a user does with an item
    ("buy", "bought", "buying"). `see` and `seen` default to `verb` and `done`. `history`: modifies
    "history" ("purchase"). `listing` and `entry`: what a list and one line of it contain.
    `subject`: the item in a question to a judge. `german`: the plural in German.
    """

    item: Short
    items: Short
    verb: Short
    done: Short
    doing: Short
    see: Short = ""
    seen: Short = ""
    history: Short = "item"
    listing: Short = "titles"
    entry: Short = "the title"
    subject: Short = ""
    german: Short = "Artikel"

    def words(self) -> dict[str, str]:
        """Nouns by their names in templates; a capitalized name gives the capitalized noun."""
        found = self.model_dump()
        found |= {"see": self.see or self.verb, "seen": self.seen or self.done}
        found["subject"] = self.subject or self.item
        return found | {name.capitalize(): _capitalized(word) for name, word in found.items()}


class Cues(_Section):
    """Cue phrases that name a predicate, before its value or after it."""

    before: tuple[Short, ...] = ()
    after: tuple[Short, ...] = ()


class PackPredicate(_Section):
    """How texts state the value of one predicate.

    Attributes:
        type: type of its values. An `entity` is a name; a `text` is a word such as a color.
        names: other names of this predicate in catalogs; its own name always counts.
        cues: phrases that name the predicate, by language.
        values: synonyms of values; the values of the catalog are always recognized.
        nouns: words that, after a value, show that the item has it, such as "finish".
        apart: phrases that, next to a value, show that it belongs to something else.
        free: whether a value without a cue phrase counts anywhere in a clause about one item;
            otherwise it must be next to a word for the item, or after "in" or "is".
        unit: unit of numbers that the catalog writes without a unit, such as `EUR`.
    """

    type: PredicateType
    names: tuple[Short, ...] = ()
    cues: Mapping[Language, Cues] = {}
    values: Mapping[Short, tuple[Short, ...]] = {}
    nouns: tuple[Short, ...] = ()
    apart: tuple[Short, ...] = ()
    free: bool = False
    unit: Short | None = None


class PackConstraint(_Section):
    """Phrases for constraints on one predicate, by operator; `{value}` is replaced by the value."""

    predicate: Short
    equal: Short | None = Field(default=None, alias="=")
    below: Short | None = Field(default=None, alias="<")
    above: Short | None = Field(default=None, alias=">")


class Fact(_Section):
    """A fact that is added to a candidate in a prompt: a predicate, and the phrase for its
    value.
    """

    predicate: Short
    form: Short = "{value}"


class DomainPack(_Section):
    """The words and facts of one domain.

    Attributes:
        name: name of the pack, in reports and messages.
        words: nouns of the domain; if a recommender's prompt contains one under another pack, this
            is reported as a mismatch.
        columns: predicates that only catalogs of this domain have.
        wordings: prompt texts that replace the default texts, by name (`wordings.yaml`).
        templates: prompt templates that replace the shipped templates, by file and key.
        constraints: constraints that requests may state. facts: facts that are shown with
            candidates.
        grammar: `films` if the claim rules for films apply to English texts.
        item_words: further words that denote the item in texts, besides `nouns`.
        parts: words for parts of an item, by language; the values of a part are not values of the
            item. In a pack with such words, other nouns that do not denote the item count as parts
            too.
    """

    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    nouns: Nouns
    words: tuple[Short, ...] = ()
    columns: tuple[Short, ...] = ()
    wordings: Mapping[Short, Template] = {}
    templates: Mapping[Short, Mapping[Short, Template | tuple[Template, ...]]] = {}
    constraints: tuple[PackConstraint, ...] = ()
    facts: tuple[Fact, ...] = ()
    predicates: Mapping[Short, PackPredicate] = {}
    grammar: Literal["films"] | None = None
    item_words: tuple[Short, ...] = ()
    parts: Mapping[Language, tuple[Short, ...]] = {}

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole pack, for the identity of a run."""
        return sha256_json(self.model_dump(mode="json", by_alias=True))

    def filled(self, template: str) -> str:
        """Replace `[items]` and similar slots of a template by the nouns of the domain."""
        words = self.nouns.words()
        return _NOUN.sub(lambda match: words.get(match[1], match[0]), template)


def _capitalized(word: str) -> str:
    return word[:1].upper() + word[1:]
