"""Utility of answers about one item at a time: is a like foreseen, a rating, the next item?

These stand where a recommender makes no lists (yes/no models), or beside its lists. Examples are
interactions that were not trained on: of held-out users the last four, else every user's test item.
Source: TALLRec (Bao et al. 2023) for likes by the logits of yes and no; P5 (Geng et al. 2022) for
ratings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.pointwise import (
    auc_over_users,
    mae_over_users,
    perplexity_over_users,
    rmse_over_users,
)
from auditkit.probes.base import (
    Context,
    NotAssessable,
    finding,
    neutral_request,
    refuse_foreign_training,
    split_by_status,
    token_scores,
    unit_of,
)
from auditkit.recommenders.protocols import Judges, Renders, Scores
from auditkit.recommenders.target import Target
from auditkit.stats.bootstrap import bootstrap_mean, bootstrap_statistic
from auditkit.types import Finding, Item, Request, Response

__all__ = ["LikelihoodProbe", "LikesProbe", "RatingsProbe"]

_PER_HELD_OUT_USER = 4
_RECENT = 10
_LIKED = 3.0


class Example(NamedTuple):
    """One interaction, with the ten before it."""

    user: str
    row: int
    history: tuple[Item, ...]
    ratings: tuple[float, ...]
    item: Item
    rating: float


@dataclass(frozen=True, kw_only=True)
class LikesProbe:
    """AUC of "will the user like this item?", by the difference of the two answers' logits.

    Attributes:
        n_examples: at most so many interactions, whole users at a time.
    """

    n_examples: int = 600
    needs: ClassVar[tuple[type, ...]] = (Scores, Judges)

    def __post_init__(self) -> None:
        _check(self.n_examples, "utility.likes")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask about every example; the item's mean rating stands beside the model."""
        examples = _examples(context, self.n_examples)
        judge, requests, options = cast(Judges, target.recommender), [], []
        for example in examples:
            pairs = list(zip(example.history, example.ratings, strict=True))
            liked = tuple(item for item, stars in pairs if stars > _LIKED)[-5:]
            disliked = tuple(item for item, stars in pairs if stars <= _LIKED)[-5:]
            request = Request(user_id=example.user, history=liked)
            asked = judge.item_question("like", request, example.item, disliked=disliked)
            if asked is None or len(asked.options) != 2:
                raise NotAssessable("the recommender was not taught to say yes or no to an item")
            requests.append(_about(request, example, asked.prompt))
            options.append(asked.options)
        kept, values, n_missing = _answered(target, requests, options)
        asked_about = [examples[i] for i in kept]
        labels = np.array([example.rating > _LIKED for example in asked_about])
        means = _item_means(context, asked_about)
        for group, scores in (
            ("all", values[:, 0] - values[:, 1]), ("baseline=item mean rating", means),
        ):  # fmt: skip
            unit, direction = unit_of("utility.likes.auc")
            n, statistic = auc_over_users([e.user for e in asked_about], scores, labels)
            yield finding(
                context,
                "utility.likes.auc",
                bootstrap_statistic(
                    n, statistic, rng=context.rng("auc", group), unit=unit, direction=direction,
                    draws=2_000, n_missing=n_missing, reason="one class only",
                ),
                group=group,
                parameters={"n_examples": len(asked_about), "liked": int(labels.sum())},
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RatingsProbe:
    """RMSE and MAE of the expected rating under the model's distribution over the answers.

    Attributes:
        n_examples: at most so many interactions, whole users at a time.
    """

    n_examples: int = 600
    needs: ClassVar[tuple[type, ...]] = (Scores, Judges)

    def __post_init__(self) -> None:
        _check(self.n_examples, "utility.ratings")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask for every example's rating; item mean and user mean stand beside the model."""
        examples = _examples(context, self.n_examples)
        judge, requests, options = cast(Judges, target.recommender), [], []
        for example in examples:
            request = Request(user_id=example.user, history=example.history)
            asked = judge.item_question("rating", request, example.item)
            if asked is None:
                raise NotAssessable("the recommender was not taught to rate an item")
            requests.append(_about(request, example, asked.prompt))
            options.append(asked.options)
        kept, values, n_missing = _answered(target, requests, options)
        asked_about = [examples[i] for i in kept]
        stars = np.array([[float(option) for option in options[i]] for i in kept])
        weights = np.exp(values - values.max(axis=1, keepdims=True))
        expected = (weights * stars).sum(axis=1) / weights.sum(axis=1)
        truth = np.array([example.rating for example in asked_about])
        users = [example.user for example in asked_about]
        predictions = {
            "all": expected,
            "baseline=item mean": _item_means(context, asked_about),
            "baseline=user mean": _user_means(context, asked_about),
        }
        for group, predicted in predictions.items():
            for name, metric in (("rmse", rmse_over_users), ("mae", mae_over_users)):
                unit, direction = unit_of(f"utility.ratings.{name}")
                n, statistic = metric(users, predicted - truth)
                yield finding(
                    context,
                    f"utility.ratings.{name}",
                    bootstrap_statistic(
                        n, statistic, rng=context.rng(name, group), unit=unit,
                        direction=direction, draws=2_000, n_missing=n_missing,
                    ),
                    group=group,
                    parameters={"n_examples": len(asked_about)},
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LikelihoodProbe:
    """How surprising is the held-out item? Nats per item compare across tokenizers, perplexity
    within one.

    Attributes:
        n_users: users asked, sampled with the run's seed.
    """

    n_users: int = 200
    needs: ClassVar[tuple[type, ...]] = (Scores, Renders)

    def __post_init__(self) -> None:
        _check(self.n_users, "utility.likelihood")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score every user's test item behind the plain request."""
        refuse_foreign_training(context)
        users = [user for user in context.sample_users(self.n_users) if user.test_item]
        requests = [neutral_request(user, k=10) for user in users]
        asked = [
            Request(user_id=r.user_id, history=r.history, k=r.k, prompt=target.render(r))
            for r in requests
        ]
        options = [[target.reference(user.test_item)] for user in users if user.test_item]
        responses = target.score(asked, options)
        kept, missing = split_by_status(responses)
        tokens = [token_scores(responses[i]) for i in kept]
        nats = -np.array([sum(row) for row in tokens])
        unit, direction = unit_of("utility.likelihood.nats_per_item")
        n_missing = sum(missing.values())
        yield finding(
            context,
            "utility.likelihood.nats_per_item",
            bootstrap_mean(
                nats, rng=context.rng("nats"), unit=unit, direction=direction, n_missing=n_missing
            ),
        )
        unit, direction = unit_of("utility.likelihood.perplexity")
        n, statistic = perplexity_over_users(nats, [len(row) for row in tokens])
        yield finding(
            context,
            "utility.likelihood.perplexity",
            bootstrap_statistic(
                n, statistic, rng=context.rng("perplexity"), unit=unit, direction=direction,
                draws=2_000, n_missing=n_missing,
            ),
            notes=["per token of the model's own tokenizer"],
        )  # fmt: skip


def _check(n: int, probe: str) -> None:
    if n < 1:
        raise InvalidArgument(f"{probe} got a sample of {n}. Give at least 1.")


def _held_out(context: Context) -> set[str]:
    training = context.manifest.get("training")
    named = training.get("holdout_users") if isinstance(training, dict) else None
    return set(cast(Sequence[str], named or ()))


def _examples(context: Context, n: int) -> list[Example]:
    """Interactions that were not trained on, whole users in the run's seeded order."""
    refuse_foreign_training(context)
    held_out, rows = _held_out(context), context.dataset.interactions
    items = [Item(entry.id, entry.display_title) for entry in context.dataset.catalog.items]
    found: list[Example] = []
    for user in context.sample_users(len(context.users)):
        if held_out and user.id not in held_out:
            continue
        begin, end = int(rows.offsets[user.index]), int(rows.offsets[user.index + 1])
        test = begin + len(rows.history(user.index, until="test"))
        first, last = (end - _PER_HELD_OUT_USER, end) if held_out else (test, min(test + 1, end))
        for row in range(max(first, begin + 1), last):
            before = range(max(begin, row - _RECENT), row)
            found.append(
                Example(
                    user=user.id,
                    row=row,
                    history=tuple(items[rows.item_index[i]] for i in before),
                    ratings=tuple(float(rows.rating[i]) for i in before),
                    item=items[rows.item_index[row]],
                    rating=float(rows.rating[row]),
                )
            )
        if len(found) >= n:
            break
    if not found:
        raise NotAssessable("no user has an interaction that was not trained on")
    return found


def _about(request: Request, example: Example, prompt: str) -> Request:
    return Request(user_id=request.user_id, history=request.history, k=1, prompt=prompt)


def _answered(
    target: Target, requests: Sequence[Request], options: Sequence[Sequence[str]]
) -> tuple[list[int], NDArray[np.float64], int]:
    """Which requests were answered, nats [n, options] of each answer, and how many were not."""
    responses = target.score(requests, options)
    kept, missing = split_by_status(responses)
    table = np.array([_totals(responses[i]) for i in kept]).reshape(len(kept), -1)
    return kept, table, sum(missing.values())


def _totals(response: Response) -> list[float]:
    return [sum(tokens) for tokens in cast(list[list[float]], response.derived["tokens"])]


def _known(context: Context, examples: Sequence[Example]) -> NDArray[np.bool_]:
    """Interactions that a baseline may read: not the examples, and nobody's test item."""
    rows = context.dataset.interactions
    known = np.ones(len(rows), dtype=bool)
    known[rows.split().test] = False
    if rows.cuts is not None:
        known &= rows.timestamp < rows.cuts[1]
    known[[example.row for example in examples]] = False
    return known


def _item_means(context: Context, examples: Sequence[Example]) -> NDArray[np.float64]:
    """Mean known rating of each example's item, the overall mean where it has none."""
    rows, known = context.dataset.interactions, _known(context, examples)
    n = len(context.dataset.catalog.items)
    counts = np.bincount(rows.item_index[known], minlength=n)
    sums = np.bincount(rows.item_index[known], weights=rows.rating[known], minlength=n)
    overall = float(rows.rating[known].mean()) if known.any() else 0.0
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return np.array([means[rows.item_index[example.row]] for example in examples])


def _user_means(context: Context, examples: Sequence[Example]) -> NDArray[np.float64]:
    """Mean of everything that each user rated before the example."""
    rows = context.dataset.interactions
    begins = rows.offsets[rows.user_index[[example.row for example in examples]]]
    return np.array(
        [
            float(rows.rating[begin : example.row].mean())
            for begin, example in zip(begins, examples, strict=True)
        ]
    )
