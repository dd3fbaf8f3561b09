"""Value functions: how strongly a recommender prefers an item, given only some spans of a request.

A game is one request with its spans and its candidate items. The required masks of all games are
measured in one call, so that the engine can share common prefixes; each mask of a game is measured
only once. Values are natural logarithms of probabilities (nats), or, for a recommender without
scores, come from the list that it returns. Source: section 2 of Cohen-Wang et al. 2024
(log-probability of the response), and the value functions of SHAP (Lundberg & Lee 2017).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.spans import Baseline, Span, masked
from auditkit.errors import InvalidArgument
from auditkit.recommenders.execution.item_identity import identity
from auditkit.recommenders.execution.target import Target
from auditkit.types import Item, Request, Response

__all__ = ["UNITS", "Game", "Row", "Source", "ValueKind", "ValueTable", "measure", "value_of"]

Source = Literal["logp", "score", "reciprocal_rank"]
ValueKind = Literal[
    "logp", "logp_mean", "contrast", "margin", "first_divergent", "score", "reciprocal_rank"
]
UNITS: Mapping[ValueKind, str] = {
    "logp": "nats",
    "logp_mean": "nats per token",
    "contrast": "nats",
    "margin": "nats",
    "first_divergent": "nats",
    "score": "score",
    "reciprocal_rank": "reciprocal rank",
}
_TOLERANCE = 2e-3  # nats; equal tokens of two batches differ by less in float32
_REPEATS = 5


class Row(NamedTuple):
    """Measurement under one mask: a value per candidate, or the reason why there are no values."""

    values: tuple[float, ...]
    tokens: tuple[tuple[float, ...], ...]
    requests: tuple[str, ...]
    reason: str | None = None


@dataclass(eq=False)
class Game:
    """One recommendation to explain.

    Attributes:
        request: the whole request.
        spans: removable spans of the request; bit i of a mask is span i.
        candidates: items whose values are measured; of equal values, the lower position ranks
            first.
        item: position of the explained item in `candidates`.
        source: measured quantity: log-probability, the recommender's own score, or reciprocal rank.
        rows: measurements so far, by mask.
    """

    request: Request
    spans: tuple[Span, ...]
    candidates: tuple[Item, ...]
    item: int = 0
    source: Source = "logp"
    baseline: Baseline = "delete"
    rows: dict[int, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.item < len(self.candidates):
            raise InvalidArgument(
                f"a game got item {self.item} of {len(self.candidates)} candidates. Give the "
                "position of the explained item."
            )

    @property
    def n(self) -> int:
        """Number of spans."""
        return len(self.spans)

    @property
    def everything(self) -> int:
        """The mask that keeps all spans."""
        return (1 << self.n) - 1

    def table(self, masks: Sequence[int]) -> ValueTable:
        """Collect the values of `masks`, in order; masks without a value are counted as missing.

        Raises:
            InvalidArgument: a mask was never passed to `measure`.
        """
        unknown = [mask for mask in masks if mask not in self.rows]
        if unknown:
            raise InvalidArgument(
                f"mask {unknown[0]} of user {self.request.user_id!r} was not measured. Call "
                "`measure` with it first."
            )
        known = [mask for mask in masks if self.rows[mask].reason is None]
        reasons = Counter(self.rows[m].reason or "" for m in masks if self.rows[m].reason)
        rows = [self.rows[mask] for mask in known]
        values = np.array([row.values for row in rows], dtype=np.float64)
        return ValueTable(
            game=self,
            masks=tuple(known),
            values=values.reshape(len(known), len(self.candidates)),
            n_missing=len(masks) - len(known),
            reasons=dict(reasons),
        )


@dataclass(frozen=True, eq=False)
class ValueTable:
    """Values of all candidates of a game under several masks.

    Attributes:
        masks: the m masks with a value.
        values: [m, candidates]; the sum of token log-probabilities in nats, a score, or a
            reciprocal rank in [0, 1], by `game.source`.
        n_missing: number of masks without a value.
        reasons: number of these masks by reason.
    """

    game: Game
    masks: tuple[int, ...]
    values: NDArray[np.float64]
    n_missing: int
    reasons: Mapping[str, int]

    def tokens(self, candidate: int) -> list[tuple[float, ...]]:
        """Return the log-probabilities of a candidate's tokens under every mask, nats."""
        return [self.game.rows[mask].tokens[candidate] for mask in self.masks]


def measure(target: Target, plans: Sequence[tuple[Game, Sequence[int]]]) -> None:
    """Measure masks of games in one call of the target; masks that were measured are not repeated.

    Raises:
        InvalidArgument: a game uses placeholders, but the recommender reads items as tokens.
    """
    wanted = [
        (game, mask) for game, masks in plans for mask in dict.fromkeys(masks)
        if mask not in game.rows
    ]  # fmt: skip
    scored = [(game, mask) for game, mask in wanted if game.source == "logp"]
    listed = [(game, mask) for game, mask in wanted if game.source != "logp"]
    for game, _ in wanted:
        if game.baseline == "replace" and target.prompts.history == "item_tokens":
            raise InvalidArgument(
                "baseline 'replace' needs titles in the prompt, but this recommender reads item "
                "tokens. Use baseline 'delete'."
            )
    if scored:
        _measure_scores(target, scored)
    if listed:
        _measure_lists(target, listed)


def _measure_scores(target: Target, wanted: Sequence[tuple[Game, int]]) -> None:
    requests = []
    for game, mask in wanted:
        request = masked(game.request, game.spans, mask, baseline=game.baseline)
        requests.append(replace(request, prompt=target.render(request)))
    texts = [[target.reference(item) for item in game.candidates] for game, _ in wanted]
    for (game, mask), response in zip(wanted, target.score(requests, texts), strict=True):
        game.rows[mask] = _score_row(response)


def _score_row(response: Response) -> Row:
    if response.status != "ok":
        return Row((), (), (response.request_id,), response.reason or response.status)
    listed = cast(list[list[float]], response.derived["tokens"])
    tokens = tuple(tuple(float(value) for value in row) for row in listed)
    return Row(tuple(float(sum(row)) for row in tokens), tokens, (response.request_id,))


def _measure_lists(target: Target, wanted: Sequence[tuple[Game, int]]) -> None:
    requests, owners = [], []
    for game, mask in wanted:
        request = masked(game.request, game.spans, mask, baseline=game.baseline)
        repeats = range(1 if request.temperature == 0 or game.source == "score" else _REPEATS)
        requests += [replace(request, repeat=repeat) for repeat in repeats]
        owners += [(game, mask)] * len(repeats)
    answers: dict[tuple[int, int], list[Response]] = {}
    for (game, mask), response in zip(owners, target.recommend(requests), strict=True):
        answers.setdefault((id(game), mask), []).append(response)
    for game, mask in wanted:
        game.rows[mask] = _list_row(game, answers[id(game), mask])


def _list_row(game: Game, responses: Sequence[Response]) -> Row:
    """Average lists over repeats; an item that is not listed has reciprocal rank 0 and no score.

    Ranks do not count items of the user's history, because a suggestion of an item that was just
    removed does not concern the other items.
    """
    seen = {key for item in game.request.history for key in (item.id, identity(item.title))}
    ids = tuple(response.request_id for response in responses)
    failed = [r for r in responses if r.status not in ("ok", "no_answer", "truncated")]
    if failed:
        return Row((), (), ids, failed[0].reason or failed[0].status)
    values = []
    for candidate in game.candidates:
        found = [_place(candidate, response) for response in responses]
        if game.source == "reciprocal_rank":
            ranks = [
                None if at is None else _rank(at, response, seen)
                for at, response in zip(found, responses, strict=True)
            ]
            values.append(float(np.mean([0.0 if rank is None else 1 / rank for rank in ranks])))
            continue
        score = None if found[0] is None else responses[0].items[found[0]].score
        if score is None or not np.isfinite(score):
            return Row((), (), ids, "no score for a candidate")
        values.append(float(score))
    return Row(tuple(values), (), ids)


def _rank(place: int, response: Response, seen: Collection[str]) -> int:
    """Return the rank, from 1, of the item at position `place` among the items that are not in
    `seen`.
    """
    before = (one.item_id or identity(one.raw) for one in response.items[:place])
    return 1 + sum(key not in seen for key in before)


def _place(item: Item, response: Response) -> int | None:
    """Return the position of an item in a list, by catalog id, or by title for an item without an
    id.
    """
    for place, listed in enumerate(response.items):
        if (listed.item_id or identity(listed.raw)) in (item.id, identity(item.title)):
            return place
    return None


def value_of(
    table: ValueTable, kind: ValueKind = "logp", *, item: int | None = None
) -> NDArray[np.float64]:
    """Compute v(S) of one item for every mask of a table, [m].

    Args:
        table: values of all candidates by mask.
        kind: `logp` is the log-probability of the item, and `logp_mean` its mean per token.
            `contrast` is the log-probability minus that of the strongest rival under the whole
            request, `margin` minus that of the strongest rival under the same mask.
            `first_divergent` is the log-probability ratio of the first token in which the item and
            the rival of `contrast` differ. `score` and `reciprocal_rank` are for lists.
        item: position among the candidates; None for the explained item.

    Raises:
        InvalidArgument: the kind needs another measured quantity (`game.source`), a second
            candidate, or the measurement of the whole request; or the tokens of item and rival
            never differ.
    """
    game, y = table.game, table.game.item if item is None else item
    own = "logp" if kind not in ("score", "reciprocal_rank") else kind
    if game.source != own and not (kind in ("contrast", "margin") and game.source == "score"):
        raise InvalidArgument(
            f"value {kind!r} needs a game with source {own!r}, not {game.source!r}. Build the game "
            "with that source."
        )
    values = table.values[:, y]
    if kind == "logp_mean":
        lengths = np.array([len(tokens) for tokens in table.tokens(y)], dtype=np.float64)
        return np.asarray(values / lengths)
    if kind not in ("contrast", "margin", "first_divergent"):
        return values
    if len(game.candidates) < 2:
        raise InvalidArgument(
            f"value {kind!r} compares the item with a rival, but the game has one candidate. Give "
            "at least 2 candidates."
        )
    if kind == "margin":
        return np.asarray(values - np.delete(table.values, y, axis=1).max(axis=1))
    rival = _rival(game, y)
    if kind == "contrast":
        return np.asarray(values - table.values[:, rival])
    return _first_divergent(table.tokens(y), table.tokens(rival))


def _rival(game: Game, y: int) -> int:
    """Return the candidate with the highest value under the whole request, other than y."""
    whole = game.rows.get(game.everything)
    if whole is None or whole.reason is not None:
        raise InvalidArgument(
            "the strongest rival is chosen by the values of the whole request, which are missing. "
            "Measure the mask `game.everything` first."
        )
    others = [i for i in range(len(game.candidates)) if i != y]
    return max(others, key=lambda i: (whole.values[i], -i))


def _first_divergent(
    own: Sequence[tuple[float, ...]], rival: Sequence[tuple[float, ...]]
) -> NDArray[np.float64]:
    """Log-probability ratio of the first token in which the item and its rival differ.

    Equal leading tokens have equal log-probabilities under every mask, up to rounding.
    """
    shortest = min((min(len(a), len(b)) for a, b in zip(own, rival, strict=True)), default=0)
    for d in range(shortest):
        ratio = np.array([a[d] - b[d] for a, b in zip(own, rival, strict=True)])
        if np.abs(ratio).max() > _TOLERANCE:
            return ratio
    raise InvalidArgument(
        "the item and its rival have equal tokens as far as both go. Use the value `contrast`."
    )
