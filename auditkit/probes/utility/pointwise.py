"""Pointwise utility: how well does the recommender predict a like, a rating, or the next item?

These probes also apply to recommenders that do not return lists (yes/no models). A user can have
several examples, so the sampling unit is the user: users are resampled and counted, and a user
without any response is missing. Source: TALLRec (Bao et al. 2023) for likes predicted from the
logits of yes and no; P5 (Geng et al. 2022) for ratings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

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
    require_unseen_test_items,
    split_by_status,
    token_scores,
    unit_of,
)
from auditkit.probes.utility.held_out_examples import (
    ask_about,
    draw_examples,
    item_means,
    user_means,
)
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Judges, Renders, Scores
from auditkit.stats.bootstrap import bootstrap_mean, bootstrap_statistic
from auditkit.stats.resampled_estimate import NOTHING
from auditkit.types import Finding, Request

__all__ = ["LikelihoodProbe", "LikesProbe", "RatingsProbe"]

_LIKED = 3.0


@dataclass(frozen=True, kw_only=True)
class LikesProbe:
    """AUC of the logit difference between yes and no for "will the user like this item?"

    Attributes:
        n_examples: approximate number of interactions; all examples of a user are used.
    """

    n_examples: int = 600
    needs: ClassVar[tuple[type, ...]] = (Scores, Judges)

    def __post_init__(self) -> None:
        _check_size(self.n_examples, "utility.likes")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score every example; the baseline is the mean rating of the item."""
        examples = draw_examples(context, self.n_examples)
        judge, requests, options = cast(Judges, target.recommender), [], []
        for example in examples:
            pairs = list(zip(example.history, example.ratings, strict=True))
            liked = tuple(item for item, stars in pairs if stars > _LIKED)[-5:]
            disliked = tuple(item for item, stars in pairs if stars <= _LIKED)[-5:]
            request = Request(user_id=example.user, history=liked)
            asked = judge.item_question("like", request, example.item, disliked=disliked)
            if asked is None or len(asked.options) != 2:
                raise NotAssessable("the recommender was not trained on yes/no answers for items")
            requests.append(replace(request, k=1, prompt=asked.prompt))
            options.append(asked.options)
        answers = ask_about(target, examples, requests, options)
        users = [example.user for example in answers.examples]
        labels = np.array([example.rating > _LIKED for example in answers.examples], dtype=bool)
        means = item_means(context, answers.examples)
        for group, scores in (
            ("all", answers.nats[:, 0] - answers.nats[:, 1]),
            ("baseline=item mean rating", means),
        ):
            unit, direction = unit_of("utility.likes.auc")
            n, statistic = auc_over_users(users, scores, labels)
            yield finding(
                context,
                "utility.likes.auc",
                bootstrap_statistic(
                    n, statistic, rng=context.rng("auc", group), unit=unit, direction=direction,
                    draws=2_000, n_missing=answers.users_missing,
                    reason="one class only" if users else NOTHING, limits=(0, 1),
                ),
                group=group,
                parameters={**answers.parameters, "liked": int(labels.sum())},
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RatingsProbe:
    """RMSE and MAE of the expected rating under the model's distribution over the answers.

    Attributes:
        n_examples: approximate number of interactions; all examples of a user are used.
    """

    n_examples: int = 600
    needs: ClassVar[tuple[type, ...]] = (Scores, Judges)

    def __post_init__(self) -> None:
        _check_size(self.n_examples, "utility.ratings")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Predict the rating of every example; baselines are the item mean and the user mean."""
        examples = draw_examples(context, self.n_examples)
        judge, requests, options = cast(Judges, target.recommender), [], []
        for example in examples:
            request = Request(user_id=example.user, history=example.history)
            asked = judge.item_question("rating", request, example.item)
            if asked is None:
                raise NotAssessable("the recommender was not trained to predict ratings")
            requests.append(replace(request, k=1, prompt=asked.prompt))
            options.append(asked.options)
        answers = ask_about(target, examples, requests, options)
        stars = np.array([[float(option) for option in row] for row in answers.options])
        weights = np.exp(answers.nats - answers.nats.max(axis=1, keepdims=True))
        expected = (weights * stars.reshape(weights.shape)).sum(axis=1) / weights.sum(axis=1)
        truth = np.array([example.rating for example in answers.examples])
        users = [example.user for example in answers.examples]
        predictions = {
            "all": expected,
            "baseline=item mean": item_means(context, answers.examples),
            "baseline=user mean": user_means(context, answers.examples),
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
                        direction=direction, draws=2_000, n_missing=answers.users_missing,
                        limits=(0.0, float(np.ptp(stars)) if stars.size else 0.0),
                    ),
                    group=group,
                    parameters=answers.parameters,
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LikelihoodProbe:
    """Negative log-likelihood and perplexity of the held-out item.

    Nats per item are comparable across tokenizers; perplexity is comparable only within one
    tokenizer.

    Attributes:
        n_users: number of users, sampled with the seed of the run.
    """

    n_users: int = 200
    needs: ClassVar[tuple[type, ...]] = (Scores, Renders)

    def __post_init__(self) -> None:
        _check_size(self.n_users, "utility.likelihood")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score the test item of every user as the continuation of the neutral request."""
        require_unseen_test_items(context)
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


def _check_size(n: int, probe: str) -> None:
    if n < 1:
        raise InvalidArgument(f"{probe} got a sample size of {n}. Give at least 1.")
