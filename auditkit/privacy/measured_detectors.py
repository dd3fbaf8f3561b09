"""Sensitivity and specificity of the detectors of personal data, measured on generated texts.

The counts are in `measured_detectors.json`. tests/privacy/test_detectors.py measures them again and
fails if they differ. The report of a privacy scan shows them.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Detector, Estimate

__all__ = ["measured_detectors"]

_METHOD = (
    "generated values of this kind, in sentences and lists, must be found; similar texts, and "
    "lists with years, prices, times and ISBNs, must not be reported"
)


@cache
def measured_detectors() -> tuple[Detector, ...]:
    """Return one detector per kind of personal data, with its measured error rates."""
    text = (files("auditkit.privacy") / "measured_detectors.json").read_text(encoding="utf-8")
    return tuple(
        Detector(
            name=f"personal data: {kind}",
            sensitivity=_share(*row["found"]),
            specificity=_share(*row["refused"]),
            method=_METHOD,
        )
        for kind, row in json.loads(text).items()
    )


def _share(x: int, n: int) -> Estimate:
    low, high = clopper_pearson(x, n)
    return Estimate(
        value=x / n, low=low, high=high, n=n, unit="fraction of texts", direction="higher"
    )
