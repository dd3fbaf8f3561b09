"""Probing of hidden states: which user attributes can be decoded from a model's layers?

Two settings are reported separately: requests that state the attributes, and requests with the
history only. Shuffled labels are the control. An attribute that can be decoded is not necessarily
used by the model; `explain.attributes` measures the effect of attributes. Source: Hewitt & Liang
2019; see docs/explain/explanations.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from auditkit.errors import InvalidArgument
from auditkit.metrics.groups import UNKNOWN
from auditkit.probes.base import Context, NotAssessable, User, neutral_request, split_by_status
from auditkit.probes.explanation.layer_findings import (
    Decoded,
    Setting,
    States,
    layer_findings,
)
from auditkit.probes.fairness.group_gaps import choose_groupings
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Differentiable, Generates
from auditkit.types import Finding, Request

if TYPE_CHECKING:
    from auditkit.recommenders.adapters.language_model import LanguageModel

__all__ = ["LayerProbingProbe"]

_K = 10


@dataclass(frozen=True, kw_only=True)
class LayerProbingProbe:
    """Balanced accuracy and selectivity of linear classifiers of each attribute, by layer.

    Attributes:
        attributes: user attributes of the data set; empty for all with at least two values.
        n_users: largest number of users, sampled with the seed of the run.
        n_layers: number of evenly spaced layers, including the last.
        min_class: minimum number of users of a value; values with fewer users are omitted.
        shuffles: number of shuffled labelings for the control.
        permutations: number of permutations for the p-value over all layers.
        draws: number of resamples of users.
    """

    attributes: tuple[str, ...] = ()
    n_users: int = 500
    n_layers: int = 3
    min_class: int = 20
    shuffles: int = 5
    permutations: int = 200
    draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Generates, Differentiable)

    def __post_init__(self) -> None:
        least = min(self.n_users, self.n_layers, self.shuffles, self.permutations, self.draws)
        if self.min_class < 5 or least < 1:
            raise InvalidArgument(
                "explain.layers needs min_class of at least 5, and n_users, n_layers, shuffles, "
                "permutations and draws of at least 1."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Generate one token for every prompt, and decode attributes from the states of these
        prompts.
        """
        recommender = _model_of(target)
        names = [g.name for g in choose_groupings(context.users, self.attributes, ())]
        if not names:
            raise NotAssessable("no user attribute has at least two known values")
        users = context.at_most(self.n_users)
        for setting in ("inferred", "stated"):
            requests = [_request(user, names, setting) for user in users]
            rendered = [replace(one, prompt=target.render(one)) for one in requests]
            if setting == "stated" and not _differ(target, rendered, users):
                continue  # the prompts do not state attributes, so there is nothing to decode
            kept, _ = split_by_status(
                target.generate(rendered, max_new_tokens=1), ("ok", "no_answer", "truncated")
            )
            states = _states(recommender, [rendered[i].prompt for i in kept], self.n_layers)
            for name in names:
                yield from self._findings(context, name, setting, users, kept, states)

    def _findings(
        self,
        context: Context,
        name: str,
        setting: Setting,
        users: Sequence[User],
        kept: Sequence[int],
        states: States,
    ) -> Iterator[Finding]:
        values = [users[i].attributes.get(name) or UNKNOWN for i in kept]
        sizes = Counter(values)
        large = {v for v, n in sizes.items() if n >= self.min_class and v != UNKNOWN}
        rows = [row for row, value in enumerate(values) if value in large]
        small = sorted(v for v in sizes if v not in large and v != UNKNOWN)
        notes = list(context.sampled(self.n_users))
        if small:
            stated = ", ".join(f"{value} ({sizes[value]})" for value in small)
            notes.append(f"values with fewer than {self.min_class} users are omitted: {stated}")
        yield from layer_findings(
            context,
            Decoded(
                attribute=name,
                setting=setting,
                states={layer: table[rows] for layer, table in states.items()},
                labels=[values[row] for row in rows],
                n_missing=len(users) - len(rows),
                notes=tuple(notes),
            ),
            shuffles=self.shuffles,
            permutations=self.permutations,
            draws=self.draws,
            min_class=self.min_class,
        )


def _model_of(target: Target) -> LanguageModel:
    from auditkit.recommenders.adapters.language_model import LanguageModel

    if not isinstance(target.recommender, LanguageModel):
        raise NotAssessable("this probe needs the hidden layers of a local language model")
    return target.recommender


def _request(user: User, names: Sequence[str], setting: Setting) -> Request:
    bare = neutral_request(user, k=_K)
    known = {name: user.attributes.get(name, "") for name in names}
    stated = {name: value for name, value in known.items() if value not in ("", UNKNOWN)}
    return replace(bare, attributes=stated) if setting == "stated" else bare


def _differ(target: Target, stated: Sequence[Request], users: Sequence[User]) -> bool:
    """Whether stating attributes in a request changes the prompt of any user."""
    return any(
        one.prompt != target.render(neutral_request(user, k=_K))
        for one, user in zip(stated, users, strict=True)
    )


def _states(recommender: LanguageModel, prompts: Sequence[str], n_layers: int) -> States:
    from auditkit.attribution.hidden_states import mean_states

    return mean_states(recommender, prompts, n_layers) if prompts else {}
