"""Training rows: seeded samples of histories and catalog items, rendered as prompts in batches.

`TrainingRows` also provides the data that tasks need to render a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from auditkit.catalog.dataset import Dataset
from auditkit.domains.shipped import domain_pack
from auditkit.recommenders.prompting.attribute_phrases import known_values
from auditkit.recommenders.prompting.prompts import Prompts, describe_user
from auditkit.recommenders.prompting.token_encoding import encode
from auditkit.seeding import generator
from auditkit.training.rows.batches import AnyRow, Row
from auditkit.training.rows.history_sampling import (
    Fit,
    HistorySampler,
    HistoryWindow,
    training_histories,
)
from auditkit.training.rows.tasks import TASKS
from auditkit.training.rows.user_tasks import MASK_ITEM
from auditkit.types import Item

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

__all__ = ["TrainingRows", "corpus", "description_values"]


def description_values(dataset: Dataset, item: int) -> dict[str, str]:
    """Return the genres, in catalog order, and the year of an item, or "unknown" if missing."""
    entry = dataset.catalog.items[item]
    return {"genres": ", ".join(entry.genres) or "unknown", "year": str(entry.year or "unknown")}


def corpus(dataset: Dataset, prompts: Prompts) -> list[str]:
    """Return the texts that train the tokenizer: templates, attribute phrases, genres and titles.

    User histories are not included. Templates and phrases are repeated 100 times, because every
    training row contains them, whereas a title occurs in few rows.
    """
    phrases = sorted({describe_user(attributes) for attributes in dataset.interactions.attributes})
    catalog = dataset.catalog
    descriptions = [
        prompts.description.format(**description_values(dataset, row))
        for row in range(len(catalog.items))
    ]
    titles = [item.title for item in catalog.items]
    taught = [text for task in prompts.tasks.values() for text in (*task.ask, *task.options)]
    wordings = [*prompts.recommend, *prompts.describe, *taught, *phrases]
    return [*(wordings * 100), *descriptions, *titles]


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Training rows of a recipe, as a pure function of seed and step.

    Attributes:
        tokens: item id -> token ids; empty for models that read titles.
        encoder_decoder: whether the model is an encoder-decoder.
        holdout: indices of users that are excluded from training.
        window: maximum length of a history window in a row, in items.
        counterfactuals: whether rows include a counterfactual row.
        attribute_masking: probability that a row states no attribute.
        labeled: attribute whose value is the label of a row; empty for none.
        item_weights: target weights, [catalog items]; None if all are 1.
        bucketing: whether samples of similar length are batched together.
        unlearned: indices of users whose targets have the weight `-ascent`; at least a quarter of
            the rows belong to these users.
    """

    dataset: Dataset
    prompts: Prompts
    tokenizer: PreTrainedTokenizerFast
    tokens: Mapping[str, tuple[int, ...]]
    encoder_decoder: bool = False
    holdout: frozenset[int]
    fit: Fit
    window: int
    seed: int
    counterfactuals: bool = False
    attribute_masking: float = 0.0
    labeled: str = ""
    item_weights: NDArray[np.float64] | None = None
    bucketing: bool = False
    unlearned: frozenset[int] = frozenset()
    ascent: float = 0.0

    # --- samples

    @property
    def items_noun(self) -> str:
        """Plural noun for the items in the catalog's domain, such as "films"."""
        return domain_pack(self.dataset.catalog.domain).nouns.items

    @cached_property
    def _histories(self) -> dict[int, NDArray[np.int32]]:
        histories = enumerate(training_histories(self.dataset, fit=self.fit))
        return {
            user: items for user, items in histories if user not in self.holdout and len(items) > 1
        }

    @cached_property
    def draws(self) -> HistorySampler:
        """Sampler for the tasks."""
        return HistorySampler(
            histories=self._histories,
            n_items=len(self.dataset.catalog.items),
            window=self.window,
            seed=self.seed,
            bucketing=self.bucketing,
            repeats=self._repeats,
        )

    @property
    def _repeats(self) -> dict[int, int]:
        """Number of repeats by which a quarter of the windows belong to unlearned users."""
        theirs = sum(len(self._histories[user]) for user in self.unlearned)
        others = sum(map(len, self._histories.values())) - theirs
        return dict.fromkeys(self.unlearned, max(1, round(others / (3 * max(1, theirs)))))

    def batches(self, tasks: Mapping[str, int], *, first_step: int) -> Iterator[list[AnyRow]]:
        """Yield batches endlessly, starting at a given step.

        Steps before `first_step` are not rendered, so a run resumes within milliseconds.

        Args:
            tasks: number of rows of each task in a batch.
            first_step: step of the first batch.
        """
        streams = {
            name: self.draws.stream(TASKS[name].source, name, size)
            for name, size in tasks.items()
            if size
        }
        for step in itertools.count():
            drawn = {name: next(stream) for name, stream in streams.items()}
            if step >= first_step:
                rng = generator(self.seed, "batch", step)
                yield [self._made(name, draw, rng) for name in drawn for draw in drawn[name]]

    def _made(self, name: str, drawn: HistoryWindow | int, rng: np.random.Generator) -> AnyRow:
        """Build a row from a sample, with the label or the negative weight of the sample's user."""
        row = TASKS[name].make(self, drawn, rng)
        if not isinstance(row, Row) or not isinstance(drawn, HistoryWindow):
            return row
        if drawn.user in self.unlearned:
            return row._replace(weights=(-self.ascent,) * (len(row.ids) - row.first_target))
        return row._replace(label=self._labels[drawn.user]) if self.labeled else row

    @cached_property
    def _labels(self) -> list[int]:
        """Index of every user's value of the attribute `labeled`; -1 if the value is unknown."""
        values = self._values.get(self.labeled, [])
        described = self.dataset.interactions.attributes
        stated = [attributes.get(self.labeled, "") for attributes in described]
        return [values.index(value) if value in values else -1 for value in stated]

    @property
    def label_counts(self) -> list[int]:
        """Number of training users with each known value of the attribute `labeled`."""
        own = [self._labels[user] for user in self._histories]
        return [own.count(label) for label in range(max(own, default=-1) + 1)]

    def fixed_rows(self) -> list[Row]:
        """Return the fixed rows of differentially private training, which are units or parts of
        units.

        Every row has its own generator, so adding or removing a row does not change the others.
        """
        entries = [
            (row, generator(self.seed, "fixed row", "item", item.id))
            for row, item in enumerate(self.dataset.catalog.items)
        ]
        made = [TASKS["describe"].make(self, row, rng) for row, rng in entries]
        own = [row for rows in self.fixed_rows_by_user().values() for row in rows]
        return [*own, *(row for row in made if isinstance(row, Row))]

    def fixed_rows_by_user(self) -> dict[int, list[Row]]:
        """Return the fixed rows about users, by user; a user without two interactions is absent."""
        users = self.dataset.interactions.user_ids
        found: dict[int, list[Row]] = {}
        for drawn in self.draws.fixed():
            rng = generator(self.seed, "fixed row", "user", users[drawn.user], drawn.begin)
            row = TASKS["recommend"].make(self, drawn, rng)
            if isinstance(row, Row):
                found.setdefault(drawn.user, []).append(row)
        return found

    # --- data for tasks

    @cached_property
    def _items(self) -> list[Item]:
        return [Item(entry.id, entry.display_title) for entry in self.dataset.catalog.items]

    def item(self, row: int) -> Item:
        """Return the item of a catalog row number."""
        return self._items[row]

    def row_of(self, item: Item) -> int:
        """Return the catalog row number of an item."""
        return self.dataset.catalog.index[item.id]

    def items_of(self, drawn: HistoryWindow) -> list[Item]:
        """Return the items of a history window, oldest first."""
        rows = self._histories[drawn.user][drawn.begin : drawn.end]
        return [self._items[row] for row in rows]

    def ratings_of(self, drawn: HistoryWindow) -> NDArray[np.float32]:
        """Return the ratings of the interactions in a history window, oldest first."""
        begin = int(self.dataset.interactions.offsets[drawn.user])
        return self.dataset.interactions.rating[begin + drawn.begin : begin + drawn.end]

    def stated(self, user: int, rng: np.random.Generator) -> dict[str, str]:
        """Sample the stated attributes of a user, each with probability one half.

        A masked row states no attribute and uses the neutral phrase instead (train-side masking,
        LMRec, Shen et al. 2022).
        """
        if self.attribute_masking and rng.random() < self.attribute_masking:
            return {}
        attributes = self.dataset.interactions.attributes[user]
        return {name: value for name, value in attributes.items() if rng.random() < 0.5}

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        return known_values(self.dataset.interactions.attributes)

    def counterfactual(
        self, stated: Mapping[str, str], rng: np.random.Generator
    ) -> dict[str, str] | None:
        """Change one stated attribute of a user to another value, or leave it out.

        Attribute and value are sampled uniformly. Leaving the attribute out is one of the values,
        because SNSR compares stated attributes with the neutral request. The result is None if the
        data have no attributes.
        """
        if not self._values:
            return None
        name = list(self._values)[rng.integers(len(self._values))]
        others = [value for value in (None, *self._values[name]) if value != stated.get(name)]
        drawn = others[rng.integers(len(others))]
        changed = {**stated, name: drawn}
        return {name: value for name in self._values if (value := changed.get(name)) is not None}

    def candidates(self, user: int, target: Item, n: int, rng: np.random.Generator) -> list[Item]:
        """Return n candidates in random order: the target and random items that the user has not
        consumed.
        """
        known = {self._items[row].id for row in self._histories[user]}
        drawn = [self._items[row] for row in rng.permutation(len(self._items))[: n + len(known)]]
        others = [item for item in drawn if item.id not in known][: n - 1]
        listed = [target, *others]
        return [listed[i] for i in rng.permutation(len(listed))]

    def facts(self, item: Item) -> dict[str, tuple[str, ...]]:
        """Return the named values of an item, by predicate, for predicates with complete values."""
        if item.id not in self._facts:
            graph = self.dataset.catalog.graph
            values = {name: graph.values(item.id, name) for name in self._complete}
            self._facts[item.id] = {name: found for name, found in values.items() if found}
        return self._facts[item.id]

    @cached_property
    def _facts(self) -> dict[str, dict[str, tuple[str, ...]]]:
        return {}

    @cached_property
    def _complete(self) -> list[str]:
        """Predicates that have no unknown or unnamed values and do not relate items to items."""
        return [
            one.name
            for one in self.dataset.catalog.graph.predicates
            if one.world != "open" and one.labeled and one.type != "item"
        ]

    def genres(self, item: Item) -> set[str]:
        """Return the genres of an item."""
        return set(self.dataset.catalog.items[self.row_of(item)].genres)

    def one_genre(self, item: Item, rng: np.random.Generator) -> str:
        """Sample a genre of an item; "anything" if the item has no genre."""
        genres = sorted(self.genres(item))
        return genres[rng.integers(len(genres))] if genres else "anything"

    def values(self, row: int) -> dict[str, str]:
        """Return the description values of a catalog row; see `description_values`."""
        return description_values(self.dataset, row)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Share of every item in the training interactions with add-one smoothing, [items]."""
        counts = np.ones(len(self._items))
        for history in self._histories.values():
            np.add.at(counts, history, 1)
        return np.asarray(counts / counts.sum())

    # --- tokens

    @property
    def mask(self) -> int:
        """Token id of the mask token."""
        return int(self.tokenizer.mask_token_id)

    @cached_property
    def _references(self) -> dict[str, tuple[int, ...]]:
        if not self.tokens:
            return {}
        return {**self.tokens, MASK_ITEM: (self.tokenizer.mask_token_id,)}

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text that may contain item references."""
        return encode(self.tokenizer, text, self._references)

    def encode_prompt(self, text: str) -> list[int]:
        """Return the token ids of a prompt, encoded as in an audit."""
        if self.encoder_decoder:
            return [*self.encode(text), self.tokenizer.eos_token_id]
        start = self.tokenizer.bos_token_id
        return self.encode(text) if start is None else [start, *self.encode(text)]

    def encode_items(self, items: Sequence[Item]) -> list[int]:
        """Return the token ids of items, in order."""
        return [token for item in items for token in self.tokens[item.id]]

    def weights_of(self, items: Sequence[Item]) -> tuple[float, ...]:
        """Return the target weights of the items' tokens; empty if all are 1."""
        if self.item_weights is None:
            return ()
        weights = self.item_weights
        return tuple(
            float(weights[self.row_of(item)]) for item in items for _ in self.tokens[item.id]
        )

    def ask(
        self, task: str, user: int, rng: np.random.Generator, **slots: str | Item | Sequence[Item]
    ) -> str:
        """Render a task with a random template; state each attribute with probability 1/2."""
        wording = int(rng.integers(len(self.prompts.tasks[task].ask)))
        who = describe_user(self.stated(user, rng))
        return self.prompts.ask(task, wording=wording, who=who, **slots)

    def item_row(
        self,
        task: str,
        target: Item,
        user: int,
        rng: np.random.Generator,
        **slots: str | Item | Sequence[Item],
    ) -> Row:
        """Build a row with a prompt and one item as its target."""
        begin = self.encode_prompt(self.ask(task, user, rng, **slots))
        row = Row((*begin, *self.encode_items([target])), len(begin))
        return row._replace(weights=self.weights_of([target]))

    def text_row(self, question: str, answer: str) -> Row:
        """Build a row with a question as prompt and a text as its target."""
        begin = self.encode_prompt(question)
        stop = self.tokenizer.eos_token_id
        return Row((*begin, *self.encode(answer), stop), len(begin))
