"""Search methods: generators that yield candidate edits and receive their outcomes.

A search depends on its own user only and does not use the Target, so a driver can run many searches
at once. A search ends when it has no more candidates; the driver ends it at the first success or
when the budget is spent. Every random choice comes from the generator of the user.

Sources: importance by deletion and greedy edits as in DeepWordBug (Gao et al. 2018) and TextBugger
(Li et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from auditkit.perturb.attempt import Outcome
from auditkit.perturb.span_edits import Edits, SpanEdit, deletion, proposals, random_edit
from auditkit.perturb.threat_model import EditableText, Span

__all__ = ["SEARCHES", "Search", "SearchSpace", "Searching", "Try"]

_RANDOM_TRIES = 10


class Try(NamedTuple):
    """Candidates whose outcomes a search needs in its next step.

    Attributes:
        candidates: for each candidate, its edits of the original text. final: whether they may be
            the result of the attack; False for texts that only measure the importance of words.
    """

    candidates: tuple[Edits, ...]
    final: bool = True


class SearchSpace(NamedTuple):
    """The text and the limits within which a search proposes edits.

    Attributes:
        text: text to edit. limit: largest number of edited words. operators: kinds of edits.
        clean_margin: margin of the unedited text.
    """

    text: EditableText
    limit: int
    operators: tuple[str, ...]
    clean_margin: float

    def random_edits(
        self, words: Sequence[Span], count: int, rng: np.random.Generator
    ) -> list[SpanEdit]:
        """Draw random edits of `count` of the words, each by a random operator."""
        chosen = [words[i] for i in rng.permutation(len(words))[:count].tolist()]
        edits = [random_edit(self.text, word, self.operators, rng) for word in chosen]
        return [edit for edit in edits if edit is not None]


Searching: TypeAlias = Generator[Try, list[Outcome], None]
Search: TypeAlias = Callable[[SearchSpace, np.random.Generator], Searching]


def random_stop(space: SearchSpace, rng: np.random.Generator) -> Searching:
    """Propose ten candidates for each number of random edits from 1 to the limit."""
    yield from _random_tries(space, rng)


def _random_tries(
    space: SearchSpace, rng: np.random.Generator
) -> Generator[Try, list[Outcome], tuple[Edits, float]]:
    """Random edits; returns the best of them and their margin."""
    best: Edits = ()
    highest = -np.inf
    for _ in range(_RANDOM_TRIES):
        count = int(rng.integers(1, space.limit + 1))
        edits = tuple(sorted(space.random_edits(space.text.words, count, rng)))
        (outcome,) = yield Try((edits,))
        if outcome.margin > highest:
            best, highest = edits, outcome.margin
    return best, float(highest)


def greedy(space: SearchSpace, rng: np.random.Generator) -> Searching:
    """Order the words by how much their deletion raises the margin; then edit them in this order,
    and keep the edits that raise it.
    """
    words = space.text.words
    without = yield Try(tuple((deletion(word),) for word in words), final=False)
    order = sorted(range(len(words)), key=lambda i: (-without[i].margin, i))
    kept: Edits = ()
    highest = space.clean_margin
    for i in order:
        if len(kept) == space.limit:
            return
        edits = proposals(space.text, words[i], space.operators, rng)
        if not edits:
            continue
        options = tuple((*kept, edit) for edit in edits)
        outcomes = yield Try(options)
        best = max(range(len(options)), key=lambda j: (outcomes[j].margin, -j))
        if outcomes[best].margin > highest:
            kept, highest = options[best], outcomes[best].margin


def local(space: SearchSpace, rng: np.random.Generator) -> Searching:
    """Begin with random edits as in `random_stop`; then change one edit at a time, and accept a
    change that is at least as good.

    Unlike a search by word importance, this search spends no query on words that it does not edit.
    """
    kept, highest = yield from _random_tries(space, rng)
    while True:
        edits = list(kept)
        if len(edits) == space.limit or (edits and rng.random() < 0.5):
            edits.pop(int(rng.integers(len(edits))))
        used = {(edit.begin, edit.end) for edit in edits}
        free = [word for word in space.text.words if word not in used]
        candidate = tuple(sorted([*edits, *space.random_edits(free, 1, rng)]))
        (outcome,) = yield Try((candidate,))
        if outcome.margin >= highest:
            kept, highest = candidate, outcome.margin


SEARCHES: Mapping[str, Search] = MappingProxyType(
    {"random_stop": random_stop, "greedy": greedy, "local": local}
)
