"""The protocol and the context of a probe, and findings with registered units."""

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
        """Call the target, compute metrics and yield findings.

        Raises:
            NotAssessable: the data or the target do not have what the probe requires.
        """
        ...


@runtime_checkable
class Adaptive(Protocol):
    """A probe whose requests depend on earlier responses."""

    def most_requests(self, n_users: int) -> int:
        """Return an upper bound on the number of distinct requests for `n_users` users in the
        data.
        """
        ...


@dataclass(frozen=True)
class Context:
    """Data and settings of a probe run.

    Attributes:
        dataset: users, histories and their catalog.
        seed: seed of the run; `rng` derives a separate generator from it for each purpose.
        probe_id: id of the running probe.
        manifest: the target's recommender.yaml; empty for a target that has none.
        users: the users of the data set, or a sample of them with `--limit`.
    """

    dataset: Dataset
    seed: int
    probe_id: str
    manifest: Mapping[str, JsonValue]
    users: Sequence[User]

    def rng(self, *names: str | int) -> np.random.Generator:
        """Create a random generator for one named purpose of this probe."""
        return generator(self.seed, self.probe_id, *names)

    def sample_users(self, n: int) -> list[User]:
        """Sample `n` users without replacement, or return all if there are fewer.

        Every probe of a run gets the same users.

        Raises:
            InvalidArgument: n < 1.
        """
        return [self.users[i] for i in self.sampled_rows(n)]

    def sampled_rows(self, n: int) -> list[int]:
        """Return the positions in `users` of the users that `sample_users` returns, in the same
        order.

        Raises:
            InvalidArgument: n < 1.
        """
        if n < 1:
            raise InvalidArgument(f"a probe got n_users={n}. Give at least 1 user.")
        order = generator(self.seed, "users").permutation(len(self.users))
        return [int(i) for i in order[:n]]

    def at_most(self, n: int | None) -> Sequence[User]:
        """Return all users in the order of the data, or a sample of `n` if there are more.

        With n = None, all users are returned.

        Raises:
            InvalidArgument: n < 1.
        """
        return self.users if n is None or len(self.users) <= n else self.sample_users(n)

    def sampled(self, n: int | None) -> tuple[str, ...]:
        """Return a note if `at_most` samples users; empty if it returns all users."""
        if n is None or len(self.users) <= n:
            return ()
        return (f"{n:,} of {len(self.users):,} users, sampled with seed {self.seed}",)


def require_unseen_test_items(context: Context) -> None:
    """Raise NotAssessable if the model declares training data that differ from the audited data.

    With another split or tie rule, the training data may contain the held-out items.
    """
    training = context.manifest.get("training")
    declared = training.get("data_sha256") if isinstance(training, dict) else None
    if declared is not None and declared != context.dataset.fingerprint:
        raise NotAssessable(
            "recommender.yaml declares training on other data, so held-out items and users may "
            "have been in the training data"
        )


def validation_context(context: Context) -> Context:
    """Return a context in which the validation items are held out.

    The users' histories end before these items.

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
    """Create the neutral request of a user: history, no stated attribute, default instruction."""
    return Request(user_id=user.id, history=user.history, k=k)


def unit_of(metric: str) -> tuple[str, Direction]:
    """Return the unit and the better direction of a registered metric."""
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
    """Create a finding of the running probe, with unit and direction of the registered metric.

    `n_cases` counts all recorded cases, of which `evidence` shows some.

    Raises:
        ConfigurationError: the metric id is not registered.
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
    """Return the token log-probabilities, nats, of the first continuation in a scoring response."""
    return cast(list[list[float]], response.derived["tokens"])[0]


def split_by_status(
    responses: Sequence[Response], accepted: Sequence[Status] = ("ok",)
) -> tuple[list[int], dict[str, int]]:
    """Return the indices of responses with an accepted status, and the counts of other statuses."""
    kept = [i for i, response in enumerate(responses) if response.status in accepted]
    missing: dict[str, int] = {}
    for response in responses:
        if response.status not in accepted:
            missing[response.status] = missing.get(response.status, 0) + 1
    return kept, missing
