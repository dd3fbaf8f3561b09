"""The Probe protocol, the Context of a probe, and findings with registered units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, cast, runtime_checkable

import numpy as np
from pydantic import JsonValue

from auditkit.catalog.dataset import Dataset
from auditkit.errors import InvalidArgument
from auditkit.probes.users import User, Users, load_users
from auditkit.recommenders.execution.item_identity import identity, item_ids
from auditkit.recommenders.execution.target import Target
from auditkit.registry import metric_spec
from auditkit.seeding import generator
from auditkit.types import (
    BY_CONSTRUCTION,
    Direction,
    Estimate,
    Evidence,
    Finding,
    Request,
    Response,
    SamplingDistribution,
    Status,
)

__all__ = [
    "NEVER_READS",
    "UTILITY_STATUSES",
    "Adaptive",
    "Context",
    "NotAssessable",
    "Probe",
    "User",
    "finding",
    "identity",
    "item_ids",
    "load_users",
    "neutral_request",
    "require_unseen_test_items",
    "split_by_status",
    "token_scores",
    "unit_of",
    "validation_context",
]

NEVER_READS = (f"{BY_CONSTRUCTION}this recommender never reads the prompt text",)
UTILITY_STATUSES: tuple[Status, ...] = ("ok", "no_answer", "refusal", "truncated", "parse_error")


class NotAssessable(Exception):
    """The probe cannot measure this target; the report lists the reason under "not tested"."""


class Probe(Protocol):
    """A probe: a dataclass whose fields are the parameters, with a method `run`."""

    needs: ClassVar[tuple[type, ...]]

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Call the target, compute metrics, yield findings.

        Raises:
            NotAssessable: the data or the target lack something that the probe requires.
        """
        ...


@runtime_checkable
class Adaptive(Protocol):
    """A probe whose requests depend on earlier responses."""

    def most_requests(self, n_users: int) -> int:
        """Upper bound on the number of its distinct requests, with `n_users` users in the data."""
        ...


@dataclass(frozen=True)
class Context:
    """Data and settings of a probe run.

    Attributes:
        dataset: users, histories and their catalog.
        seed: seed of the run; `rng` derives a separate generator from it for each purpose.
        probe_id: id of the running probe.
        manifest: the target's recommender.yaml; empty for a target without one.
        users: `load_users(dataset)`, or a part of them.
    """

    dataset: Dataset
    seed: int
    probe_id: str
    manifest: Mapping[str, JsonValue]
    users: Sequence[User]

    def rng(self, *names: str | int) -> np.random.Generator:
        """A random generator for one named purpose of this probe."""
        return generator(self.seed, self.probe_id, *names)

    def sample_users(self, n: int) -> list[User]:
        """Sample `n` users without replacement (all, if there are fewer), the same for every probe
        of a run.

        Raises:
            InvalidArgument: n < 1.
        """
        return [self.users[i] for i in self.sampled_rows(n)]

    def sampled_rows(self, n: int) -> list[int]:
        """Positions in `users` of the users that `sample_users` returns, in the same order.

        Raises:
            InvalidArgument: n < 1.
        """
        if n < 1:
            raise InvalidArgument(f"a probe got n_users={n}. Give at least 1.")
        order = generator(self.seed, "users").permutation(len(self.users))
        return [int(i) for i in order[:n]]

    def at_most(self, n: int | None) -> Sequence[User]:
        """All users in the order of the data, or a sample of `n` if there are more; None for all.

        Raises:
            InvalidArgument: n < 1.
        """
        return self.users if n is None or len(self.users) <= n else self.sample_users(n)

    def sampled(self, n: int | None) -> tuple[str, ...]:
        """A note that `at_most` took a sample; empty if it took all users."""
        if n is None or len(self.users) <= n:
            return ()
        return (f"{n:,} of {len(self.users):,} users, sampled with seed {self.seed}",)


def require_unseen_test_items(context: Context) -> None:
    """Raise NotAssessable if the model declares that it was trained on other data than the audited.

    If the training used another split or tie rule, its data may contain the held-out items.
    """
    training = context.manifest.get("training")
    declared = training.get("data_sha256") if isinstance(training, dict) else None
    if declared is not None and declared != context.dataset.fingerprint:
        raise NotAssessable(
            "recommender.yaml declares training on other data, so held-out items and users may "
            "have been in the training data"
        )


def validation_context(context: Context) -> Context:
    """The context for an evaluation in which the validation items are the held-out items; histories
    end before them.

    Raises:
        NotAssessable: the model does not declare that it was trained without validation items.
    """
    require_unseen_test_items(context)
    training = context.manifest.get("training")
    fit = training.get("fit") if isinstance(training, dict) else None
    if fit != "all_but_validation":
        raise NotAssessable(
            "recommender.yaml does not declare `fit: all_but_validation`, so validation items may "
            "have been in the training data"
        )
    earlier = Dataset(context.dataset.catalog, context.dataset.interactions.without_test())
    audited = context.users
    rows = audited.rows if isinstance(audited, Users) else [user.index for user in audited]
    return replace(context, dataset=earlier, users=load_users(earlier, rows))


def neutral_request(user: User, *, k: int) -> Request:
    """The neutral request of a user: history, no stated attribute, default wording."""
    return Request(user_id=user.id, history=user.history, k=k)


def unit_of(metric: str) -> tuple[str, Direction]:
    """Unit and direction of a registered metric."""
    spec = metric_spec(metric)
    return spec.unit, spec.direction


def finding(
    context: Context,
    metric: str,
    measured: tuple[Estimate, SamplingDistribution],
    *,
    group: str = "all",
    parameters: Mapping[str, JsonValue] | None = None,
    baseline: Estimate | None = None,
    units: Sequence[tuple[str, float, float]] = (),
    evidence: Sequence[Evidence] = (),
    n_cases: int | None = None,
    notes: Sequence[str] = (),
) -> Finding:
    """A Finding of the running probe, with the unit and direction of the registered metric; an
    unregistered metric id raises an error. `n_cases` counts the recorded cases of which `evidence`
    shows some.
    """
    metric_spec(metric)
    estimate, law = measured
    return Finding(
        probe=context.probe_id,
        metric=metric,
        estimate=estimate,
        law=law,
        group=group,
        parameters=dict(parameters or {}),
        baseline=baseline,
        units=tuple(units),
        evidence=tuple(evidence),
        n_cases=n_cases,
        notes=tuple(notes),
    )


def token_scores(response: Response) -> list[float]:
    """Token log-probabilities, in nats, of the first continuation of a `Target.score` response."""
    return cast(list[list[float]], response.derived["tokens"])[0]


def split_by_status(
    responses: Sequence[Response], accepted: Sequence[Status] = ("ok",)
) -> tuple[list[int], dict[str, int]]:
    """Indices of responses with an accepted status, and counts of the other statuses."""
    kept = [i for i, response in enumerate(responses) if response.status in accepted]
    missing: dict[str, int] = {}
    for response in responses:
        if response.status not in accepted:
            missing[response.status] = missing.get(response.status, 0) + 1
    return kept, missing
