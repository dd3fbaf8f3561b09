"""Findings of probing classifiers, by attribute, setting and layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.attribution.layer_probing import LayerProbe, Probing, probe_layers
from auditkit.probes.base import Context, finding, unit_of
from auditkit.stats.bootstrap import undefined
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.resampled_estimate import ResampledEstimate, with_quantiles
from auditkit.types import Estimate, Finding

__all__ = ["Decoded", "Setting", "States", "layer_findings"]

ACCURACY, SELECTIVITY = "explain.layers.balanced_accuracy", "explain.layers.selectivity"
Setting = Literal["stated", "inferred"]
States = Mapping[int, NDArray[np.float64]]
NOT_USED = (
    "a decodable attribute need not be used: explain.attributes measures the effect of an attribute"
)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Users whose value of one attribute is known, with their hidden states.

    Attributes:
        setting: whether the requests state the attributes.
        states: hidden states by layer, [users, width] each.
        labels: values of the attribute, [users].
        n_missing: number of other users.
        notes: notes on values and users that were left out.
    """

    attribute: str
    setting: Setting
    states: States
    labels: Sequence[str]
    n_missing: int
    notes: tuple[str, ...]


def layer_findings(
    context: Context,
    decoded: Decoded,
    *,
    shuffles: int,
    permutations: int,
    draws: int,
    min_class: int,
) -> Iterator[Finding]:
    """Yield balanced accuracy and selectivity of every layer.

    If fewer than two values have enough users, one undefined finding of each metric is yielded.
    """
    found = None
    if decoded.states:
        found = probe_layers(
            list(decoded.states.values()),
            decoded.labels,
            rng=context.rng(decoded.attribute, decoded.setting),
            draws=draws,
            shuffles=shuffles,
            permutations=permutations,
            min_class=min_class,
        )
    if found is None:
        reason = f"fewer than two values have {min_class} users with a state"
        for metric in (ACCURACY, SELECTIVITY):
            unit, direction = unit_of(metric)
            none = undefined(unit, direction, reason=reason, n_missing=decoded.n_missing)
            yield finding(context, metric, none, group=_group(decoded), notes=decoded.notes)
        return
    for layer, one in zip(decoded.states, found.layers, strict=True):
        yield from _of_layer(context, decoded, found, layer, one)


def _of_layer(
    context: Context, decoded: Decoded, found: Probing, layer: int, one: LayerProbe
) -> Iterator[Finding]:
    n = len(decoded.labels)
    parameters: dict[str, JsonValue] = {
        "layer": layer,
        "values": list(found.classes),
        "control_accuracy": one.control,
        "p_all_layers": found.p,
    }
    unit, direction = unit_of(ACCURACY)
    chance = Estimate(value=found.chance, low=None, high=None, n=n, unit=unit, direction=direction)
    for metric, value, drawn in (
        (ACCURACY, one.accuracy, one.accuracy_draws),
        (SELECTIVITY, one.selectivity, one.selectivity_draws),
    ):
        yield finding(
            context,
            metric,
            _measured(metric, value, drawn, n, decoded.n_missing),
            group=f"{_group(decoded)}&layer={layer}",
            parameters=parameters,
            baseline=chance if metric == ACCURACY else None,
            notes=[*decoded.notes, NOT_USED],
        )


def _measured(
    metric: str, value: float, drawn: NDArray[np.float64], n: int, n_missing: int
) -> ResampledEstimate:
    unit, direction = unit_of(metric)
    quantiles = np.quantile(drawn, quantile_levels())
    return with_quantiles(value, quantiles, n, len(drawn), unit, direction, n_missing)


def _group(decoded: Decoded) -> str:
    return f"attribute={decoded.attribute}&setting={decoded.setting}"
