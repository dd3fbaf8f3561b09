"""Registry of probes and metrics by id; their code is loaded only when it is used.

`registry.yaml` is the only list. `auditkit list`, recipes and policies look up complete ids, so a
misspelled name is an error and never a rule that checks nothing. Third parties add probes through
the entry point group `auditkit.probes`, each with a mapping of the same form.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any, get_args

import yaml

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.types import Direction

__all__ = [
    "OWN_CHECKS",
    "MetricSpec",
    "ProbeSpec",
    "load_object",
    "metric_spec",
    "metrics",
    "probe_spec",
    "probes",
]


OWN_CHECKS = "check"  # id of the probe that runs the checks of a recipe, as metrics check.<id>
_OWN_METRIC = re.compile(r"check\.[a-z0-9][a-z0-9_-]{0,59}")


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """Meaning of a metric id: description, unit, better direction, ideal value, and probe."""

    id: str
    probe: str
    unit: str
    direction: Direction
    about: str
    ideal: float | None = None


@dataclass(frozen=True, kw_only=True)
class ProbeSpec:
    """Location of a probe's code (`module:attribute`), its fixed parameters and its metrics."""

    id: str
    path: str
    about: str
    source: str
    metrics: tuple[MetricSpec, ...]
    version: int = 1
    preset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dimension(self) -> str:
        """Dimension of the probe, the first word of its id, such as `fairness`."""
        return self.id.split(".", 1)[0]


def _parse(probe_id: str, entry: Mapping[str, Any]) -> ProbeSpec:
    specs = []
    for name, fields in entry["metrics"].items():
        full = name if name.startswith(f"{probe_id.split('.', 1)[0]}.") else f"{probe_id}.{name}"
        if fields["direction"] not in get_args(Direction):
            raise ConfigurationError(
                f"metric {full} has direction {fields['direction']!r}. Use lower, higher or "
                "neutral."
            )
        specs.append(MetricSpec(id=full, probe=probe_id, **fields))
    rest = {key: value for key, value in entry.items() if key != "metrics"}
    return ProbeSpec(id=probe_id, metrics=tuple(specs), **rest)


@cache
def _file() -> Mapping[str, Any]:
    text = (files("auditkit") / "registry.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Any] = yaml.safe_load(text)
    return content


@cache
def probes() -> Mapping[str, ProbeSpec]:
    """Return every registered probe by id, in the order of `registry.yaml`."""
    entries: dict[str, Any] = dict(_file()["probes"])
    for point in entry_points(group="auditkit.probes"):
        entries.update(point.load())
    return {probe_id: _parse(probe_id, entry) for probe_id, entry in entries.items()}


@cache
def metrics() -> Mapping[str, MetricSpec]:
    """Return every registered metric by full id."""
    return {metric.id: metric for probe in probes().values() for metric in probe.metrics}


def probe_spec(probe_id: str) -> ProbeSpec:
    """Look up a probe by id; `check`, the probe of own checks, is found although not registered.

    Raises:
        ConfigurationError: the id is unknown.
    """
    if probe_id == OWN_CHECKS:
        return _parse(OWN_CHECKS, _file()["own_checks"])
    try:
        return probes()[probe_id]
    except KeyError:
        raise ConfigurationError(
            f"unknown probe {probe_id!r}.{did_you_mean(probe_id, probes())} `auditkit list "
            "probes` shows all probes."
        ) from None


def metric_spec(metric_id: str) -> MetricSpec:
    """Look up a metric by its full id.

    Every id of the form `check.<id>` is accepted, because only a recipe defines its own checks.

    Raises:
        ConfigurationError: the id is unknown.
    """
    if _OWN_METRIC.fullmatch(metric_id):
        return MetricSpec(
            id=metric_id,
            probe=OWN_CHECKS,
            unit="fraction",
            direction="lower",
            ideal=0,
            about="share of units that violate a check that the recipe states",
        )
    try:
        return metrics()[metric_id]
    except KeyError:
        raise ConfigurationError(
            f"unknown metric {metric_id!r}.{did_you_mean(metric_id, metrics())} `auditkit list "
            "metrics` shows all metrics."
        ) from None


def load_object(path: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
