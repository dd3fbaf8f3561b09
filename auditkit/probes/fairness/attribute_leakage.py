"""Attribute leakage: can an attribute be inferred from lists for requests that do not state it?

Attackers are trained on the lists, and on the embedding of the neutral request if the recommender
provides embeddings, and are evaluated on other users. The history alone already reveals part of the
attribute, so the same attackers are trained on the history as a baseline: a list that reveals no
more than the history does not add leakage. See docs/explain/fairness.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.metrics.attribute_leakage import Attack, attack_auc
from auditkit.metrics.groups import UNKNOWN
from auditkit.probes.base import (
    Context,
    NotAssessable,
    User,
    finding,
    item_ids,
    neutral_request,
    split_by_status,
    unit_of,
)
from auditkit.probes.fairness.group_gaps import choose_groupings
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Embeds, Recommends
from auditkit.stats.bootstrap import undefined
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.resampled_estimate import ResampledEstimate, with_quantiles
from auditkit.types import Finding

__all__ = ["AttributeLeakageProbe"]

METRIC = "fairness.leak.attack_auc"
CUTOFF = 10
_BATCH = 64
MOST_USERS = 2_000
_RARE = 0.02  # share of users; rarer items carry little information for attackers of histories


class _Known(NamedTuple):
    """Users whose value of one attribute is known, to whom the attackers are applied.

    Attributes:
        rows: indices of the users.
        values: value of the attribute for each row.
        n_missing: number of other users.
        small: values with too few users and their counts, as text.
    """

    rows: list[int]
    values: list[str]
    n_missing: int
    small: str


@dataclass(frozen=True, kw_only=True)
class AttributeLeakageProbe:
    """AUC with which the stronger of two attackers infers a user attribute from the list, or from
    the embedding of the request, compared with the attack on the user's history.

    Attributes:
        attributes: user attributes of the data set; empty for all with at least two values.
        n_users: largest number of users; from more users, a sample is taken with the seed of the
            run. None for all users.
        min_class: minimum number of users of a value; values with fewer users are omitted.
        draws: number of resamples of users.
    """

    attributes: tuple[str, ...] = ()
    n_users: int | None = MOST_USERS
    min_class: int = 20
    draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.min_class < 5 or self.draws < 1 or (self.n_users is not None and self.n_users < 1):
            raise InvalidArgument(
                "fairness.leak needs min_class of at least 5, and n_users and draws of at least 1."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request one list per user without attributes, then train and evaluate the attackers."""
        names = [g.name for g in choose_groupings(context.users, self.attributes, ())]
        if not names:
            raise NotAssessable("no user attribute has at least two known values")
        users = context.at_most(self.n_users)
        requests = [neutral_request(user, k=CUTOFF) for user in users]
        responses = target.recommend(requests)
        kept, _ = split_by_status(responses)
        asked = [users[i] for i in kept]
        inputs = {"list": _multi_hot([item_ids(responses[i])[:CUTOFF] for i in kept])}
        if isinstance(target.recommender, Embeds) and kept:
            texts = [target.render(requests[i]) for i in kept]
            inputs["representation"] = _embedded(target.recommender, texts)
        histories = _multi_hot(
            [[item.id for item in user.history] for user in asked], least=_RARE * len(asked)
        )
        for name in names:
            known = self._known(name, asked, n_failed=len(users) - len(asked))
            on_history = self._attack(context, name, "history", known, histories)
            for kind, table in inputs.items():
                yield self._finding(context, name, kind, known, table, on_history)

    def _known(self, attribute: str, users: Sequence[User], *, n_failed: int) -> _Known:
        values = [user.attributes.get(attribute) or UNKNOWN for user in users]
        sizes = Counter(values)
        large = {v for v, n in sizes.items() if n >= self.min_class and v != UNKNOWN}
        rows = [row for row, value in enumerate(values) if value in large]
        small = sorted(v for v in sizes if v not in large and v != UNKNOWN)
        return _Known(
            rows,
            [values[row] for row in rows],
            n_failed + len(values) - len(rows),
            ", ".join(f"{value} ({sizes[value]})" for value in small),
        )

    def _attack(
        self,
        context: Context,
        attribute: str,
        kind: str,
        known: _Known,
        table: NDArray[np.float64],
    ) -> Attack | None:
        if not table.shape[1]:
            return None
        return attack_auc(
            table[known.rows],
            known.values,
            rng=context.rng(attribute, kind),
            draws=self.draws,
            min_class=self.min_class,
        )

    def _finding(
        self,
        context: Context,
        attribute: str,
        kind: str,
        known: _Known,
        table: NDArray[np.float64],
        on_history: Attack | None,
    ) -> Finding:
        attack = self._attack(context, attribute, kind, known, table)
        notes = list(context.sampled(self.n_users))
        parameters: dict[str, JsonValue] = {}
        if known.small:
            notes.append(
                f"values with fewer than {self.min_class} users are omitted: {known.small}"
            )
        if attack is not None:
            parameters = {
                **_auc_by_attacker(attack),
                "values": list(attack.classes),
                "n_features": table.shape[1],
            }
        baseline = None
        if attack is not None and on_history is not None:
            baseline = self._measured(on_history, known).estimate
            parameters |= {
                f"history_{name}": value for name, value in _auc_by_attacker(on_history).items()
            }
            parameters |= {"history_auc": on_history.auc}
            notes.append(f"AUC of the same attackers on the users' histories: {on_history.auc:.3f}")
        return finding(
            context,
            METRIC,
            self._measured(attack, known),
            group=f"attribute={attribute}&input={kind}",
            parameters=parameters,
            baseline=baseline,
            notes=notes,
        )

    def _measured(self, attack: Attack | None, known: _Known) -> ResampledEstimate:
        unit, direction = unit_of(METRIC)
        n, n_missing = len(known.rows), known.n_missing
        if attack is None:
            reason = f"fewer than two values have {self.min_class} users with a list"
            return undefined(unit, direction, reason=reason, n=n, n_missing=n_missing)
        quantiles = _joint_quantiles(list(attack.draws.values()))
        return with_quantiles(attack.auc, quantiles, n, self.draws, unit, direction, n_missing)


def _auc_by_attacker(attack: Attack) -> dict[str, JsonValue]:
    """Return the name of the stronger attacker and the AUC of each attacker, as parameters."""
    aucs = {f"auc_{name}": auc for name, auc in attack.by_attacker.items()}
    return {"attacker": attack.attacker, **aucs}


def _joint_quantiles(draws: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return quantiles of the AUC of the stronger attacker, for its bounds.

    The error probability of each tail is divided by the number of attackers, because the maximum of
    two AUCs exceeds 0.5 by chance more often than one AUC does.
    """
    levels = np.asarray(quantile_levels())
    share = len(draws)
    lower = [np.quantile(own, levels / share, method="lower") for own in draws]
    upper = [np.quantile(own, 1 - (1 - levels) / share, method="higher") for own in draws]
    ends: NDArray[np.float64] = np.where(levels < 0.5, np.max(lower, 0), np.max(upper, 0))
    return ends


def _multi_hot(lists: Sequence[Sequence[str]], *, least: float = 0) -> NDArray[np.float64]:
    """Encode lists as multi-hot vectors, [users, items], with items in at least `least` lists."""
    counts = Counter(item for own in lists for item in set(own))
    kept = sorted(item for item, n in counts.items() if n >= least)
    column = {item: i for i, item in enumerate(kept)}
    table = np.zeros((len(lists), len(column)))
    for row, own in enumerate(lists):
        table[row, [column[item] for item in own if item in column]] = 1.0
    return table


def _embedded(recommender: Embeds, texts: Sequence[str]) -> NDArray[np.float64]:
    """Compute embeddings of texts in batches, [texts, width]."""
    parts = [recommender.embed(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
    return np.concatenate(parts).astype(np.float64)
