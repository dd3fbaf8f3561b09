"""Texts about metrics: the result in a sentence, the consequence for users, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, TypeAdapter

from auditkit.registry import metrics
from auditkit.reporting.statements.numbers import in_words
from auditkit.serialization.strict_yaml import parse_yaml
from auditkit.serialization.yaml_errors import validate
from auditkit.types import Estimate

__all__ = ["Wording", "clause", "means", "remedy", "wording"]


class Wording(BaseModel):
    """Content of `wording.yaml`: texts by metric id or by a prefix of metric ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    says: dict[str, str]
    means: dict[str, str]
    remedy: dict[str, str]


@cache
def wording() -> Wording:
    """Read the shipped `wording.yaml`."""
    text = (files("auditkit.reporting.statements") / "wording.yaml").read_text(encoding="utf-8")
    return validate(parse_yaml(text, source="wording.yaml"), TypeAdapter(Wording))


def clause(metric: str, group: str, estimate: Estimate) -> str:
    """Describe the value of a finding in a clause without a full stop.

    Args:
        metric: id of the metric.
        group: `all`, an attribute, or `attribute=value`.
        estimate: estimate with a value.
    """
    assert estimate.value is not None
    value = in_words(estimate.value, estimate.unit, low=estimate.low, high=estimate.high)
    shown = group.replace("=", " = ").replace("&", " and ")
    template = wording().says.get(metric)
    if template is None:
        spec = metrics().get(metric)
        about = spec.about if spec else "share of units that violate a check that the recipe states"
        return f"{metric}{'' if group == 'all' else f' for {shown}'} is {value}: {about}"
    said = template.format(value=value, group=shown)
    return said if group == "all" or "{group}" in template else f"{said} ({shown})"


def means(metric: str) -> str:
    """Return what users notice if the metric is bad; empty if there is no such text."""
    return _longest(wording().means, metric)


def remedy(metric: str) -> str:
    """Return what to try next, with the measured effect if there is one; may be empty."""
    return _longest(wording().remedy, metric)


def _longest(texts: Mapping[str, str], metric: str) -> str:
    fitting = [prefix for prefix in texts if f"{metric}.".startswith(f"{prefix}.")]
    return texts[max(fitting, key=len)] if fitting else ""
