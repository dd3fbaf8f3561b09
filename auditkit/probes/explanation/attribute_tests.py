"""Tests of attribute importance: effect of each edit minus that of placebo edits, paired by
user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from auditkit.probes.base import Context, unit_of
from auditkit.probes.explanation.attribute_edits import Change, Edit, placebos
from auditkit.probes.explanation.top_items import Explained
from auditkit.stats.bootstrap import ResampledEstimate, bootstrap_mean
from auditkit.stats.multiplicity import benjamini_hochberg
from auditkit.stats.paired import sign_flip_p

__all__ = ["EFFECT", "Measured", "Tested", "tests_of_edits"]

EFFECT = "explain.attribute_effect"
ALPHA = 0.05


@dataclass(frozen=True)
class Measured:
    """All measurements on attributes in a run.

    Attributes:
        names: attributes, without the placebos.
        explained, changes: recommendation, and changes by edit, of each user with a recommendation.
        reasons: stated reasons by user; None if the recommender states none.
    """

    names: Sequence[str]
    n_users: int
    explained: Sequence[Explained]
    changes: Sequence[Mapping[Edit, Change]]
    source: Literal["scores", "lists"]
    missing: Mapping[str, int]
    reasons: Mapping[str, str] | None


class Tested(NamedTuple):
    """Excess of one edit over the placebo edits, with a p-value adjusted over all attributes."""

    units: list[tuple[str, float, float]]
    measured: ResampledEstimate
    adjusted: float

    @property
    def found(self) -> bool:
        """Whether the attribute changes the recommendation significantly more than a placebo
        does.
        """
        low = self.measured.estimate.low
        return self.adjusted <= ALPHA and (low is None or low > 0)


def _excess(measured: Measured, name: str, edit: str) -> dict[str, float]:
    """Return by user the change from an edit minus the mean change from this edit of placebos.

    By lists, the change is the loss of overlap instead of nats.
    """

    def size(change: Change) -> float:
        return change.size if measured.source == "scores" else 1 - change.overlap

    found = {}
    for one, own in zip(measured.explained, measured.changes, strict=True):
        controls = [size(own[placebo, edit]) for placebo in placebos() if (placebo, edit) in own]
        if (name, edit) in own and controls:
            found[one.user.id] = size(own[name, edit]) - float(np.mean(controls))
    return found


def tests_of_edits(context: Context, measured: Measured, *, draws: int) -> dict[Edit, Tested]:
    """Test the deletion and the exchange of all attributes by one-sided sign flips over users.

    The p-values are adjusted over all attributes by the method of Benjamini and Hochberg.
    """
    unit, direction = unit_of(EFFECT)
    edits: list[Edit] = [(name, kind) for name in measured.names for kind in ("delete", "swap")]
    excess = {edit: _excess(measured, *edit) for edit in edits}
    p_values = [
        sign_flip_p(
            list(own.values()),
            rng=context.rng("sign flips", *edit),
            draws=draws,
            alternative="greater",
        )
        for edit, own in excess.items()
    ]
    adjusted = benjamini_hochberg(p_values)
    return {
        edit: Tested(
            [(user, value, 1.0) for user, value in own.items()],
            bootstrap_mean(
                list(own.values()),
                rng=context.rng("effect", *edit),
                unit=unit,
                direction=direction,
                n_missing=measured.n_users - len(own),
                reason="no user has both a known value and a measured change",
            ),
            p,
        )
        for (edit, own), p in zip(excess.items(), adjusted, strict=True)
    }
