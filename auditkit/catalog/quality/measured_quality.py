"""Recall and specificity of the title linker and the claim reader on labeled texts.

The counts are in `measured_quality.json`; tests/catalog/quality/test_measured_quality.py measures
them again and fails if they differ. Every report shows them with the rates on the audited catalog.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Detector, Estimate

__all__ = ["measured_quality"]


@cache
def measured_quality() -> tuple[Detector, ...]:
    """Read the shipped error rates of auditkit's detectors, measured on labeled texts."""
    text = (files("auditkit.catalog.quality") / "measured_quality.json").read_text(encoding="utf-8")
    return tuple(
        Detector(
            name=row["name"],
            sensitivity=_share(*row["found"], unit=row["unit"]),
            specificity=_share(*row["refused"], unit=row["unit"]),
            method=row["method"],
        )
        for row in json.loads(text)
    )


def _share(x: int, n: int, *, unit: str) -> Estimate:
    low, high = clopper_pearson(x, n)
    return Estimate(value=x / n, low=low, high=high, n=n, unit=unit, direction="higher")
