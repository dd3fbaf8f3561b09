"""Schema of a policy file: rules with limits on metrics, and waivers with an expiry date.

A rule is a condition on one finding and optionally on its groups. Anything that could make a rule
check nothing is rejected when the file is read: unknown keys and metric ids, contradictory limits,
waivers that tighten a limit.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.policy.conditions import BaselineMargin, Condition, GroupRule, Limited, Strict
from auditkit.policy.vocabulary import (
    DECIDING,
    Confidence,
    Count,
    Decide,
    Fraction,
    Group,
    Limits,
    MetricId,
    Number,
    OnInconclusive,
    OnSkipped,
    ProbeId,
    Severity,
)
from auditkit.registry import metric_spec
from auditkit.serialization.canonical_json import sha256_bytes
from auditkit.serialization.named_files import resolve_named_files
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = [
    "Defaults",
    "Policy",
    "PolicyFile",
    "Requirements",
    "Rule",
    "Waiver",
]


class Rule(Limited):
    """One condition on one metric, or several conditions that must all hold (`all_of`).

    `on_skipped: show` is for a metric that some targets or data cannot have, such as
    log-probabilities of a server or an attribute of users: if the probe was skipped, or measured
    only other groups, the rule is reported and does not block. `require_evidence` makes a rate that
    is 0 by construction inconclusive, because nothing was measured. `metric` is empty in a rule
    with `all_of`, whose conditions have their own.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
    metric: MetricId = ""
    all_of: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()
    baseline: BaselineMargin | None = None
    group: Group = "all"
    severity: Severity = "major"
    groups: GroupRule | None = None
    at: Mapping[str, str | int | float | bool] = Field(default_factory=dict)
    confidence: Confidence | None = None
    on_inconclusive: OnInconclusive | None = None
    on_skipped: OnSkipped = "block"
    min_coverage: Fraction | None = None
    min_n: Count | None = None
    decide: Decide = "bound"
    require_evidence: bool = False

    @model_validator(mode="after")
    def _one_condition(self) -> Rule:
        given = [
            name for name in ("max", "min", "range", "baseline") if getattr(self, name) is not None
        ]
        if self.all_of:
            own = sorted({*given, *({"metric", "group", "at", "groups"} & self.model_fields_set)})
            if own:
                raise ValueError(f"a rule with all_of takes {own[0]} only in its conditions")
            if len(self.all_of) < 2:
                raise ValueError(
                    "all_of needs at least two conditions; write a single condition without all_of"
                )
            return self
        if not self.metric:
            raise ValueError("a rule needs a metric, or conditions in all_of")
        if len(given) != 1:
            stated = " and ".join(given) if given else "none"
            raise ValueError(f"give exactly one of max, min, range, baseline (got {stated})")
        if self.baseline is not None:
            if metric_spec(self.metric).direction == "neutral":
                raise ValueError(
                    "a baseline rule needs a metric for which higher or lower values are better"
                )
            if self.decide == "point":
                raise ValueError(
                    "a baseline rule is always decided by its bound; remove `decide: point`"
                )
            if self.groups is not None and self.groups.limits() is not None:
                raise ValueError(
                    "groups of a baseline rule use the margin of the rule; remove their limits"
                )
        return self

    def limits_of(self, *, is_group: bool) -> Limits:
        """Limits of the rule itself or, with `is_group`, of its groups; a baseline margin is an
        upper limit on the difference.
        """
        if self.baseline is not None:
            return Limits(None, self.baseline.non_inferior)
        own = self.groups.limits() if is_group and self.groups else None
        return own or self.limits() or Limits(None, None)


class Waiver(Strict):
    """A looser limit for one rule until an expiry date (inclusive, UTC), with an owner."""

    rule: str
    group: str | None = None
    max: Number | None = None
    min: Number | None = None
    reason: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    expires: datetime.date

    @model_validator(mode="after")
    def _has_limit(self) -> Waiver:
        if self.max is None and self.min is None:
            raise ValueError("a waiver needs its own max or min; it never removes a limit")
        return self

    def applies_to(self, rule: Rule, group: str) -> bool:
        """Whether the waiver applies to this rule and group; a waiver without a group applies to
        the rule itself.
        """
        return self.rule == rule.id and (self.group or rule.group) == group

    def loosen(self, limits: Limits) -> Limits:
        """Return the limits of a rule, in which the limits that the waiver states are replaced."""
        low = limits.low if self.min is None else self.min
        return Limits(low, limits.high if self.max is None else self.max)


class Defaults(Strict):
    """Default settings of rules.

    An inconclusive blocker or major rule stops the release, unless the policy states `warn` or
    `pass` for it, because a missing measurement must not count as a pass.
    """

    confidence: Confidence = 0.95
    correction: Literal["holm", "none"] = "holm"
    on_inconclusive: OnInconclusive = "fail"
    min_coverage: Fraction = 0.95
    min_n: Count = 30


class Requirements(Strict):
    """Requirements that the run as a whole must meet.

    Attributes:
        probes: probes that must have run. probes_if_assessable: probes that must have run, unless
            they were skipped because the target lacks a capability or the data do not allow the
            measurement.
    """

    probes: tuple[ProbeId, ...] = ()
    probes_if_assessable: tuple[ProbeId, ...] = ()
    fingerprint: Literal["verified", "any"] = "any"
    max_error_rate: Fraction = 0.02


class PolicyFile(Strict):
    """Content of a policy file."""

    version: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    defaults: Defaults = Defaults()
    require: Requirements = Requirements()
    baseline: str | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    waivers: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> PolicyFile:
        ids = [rule.id for rule in self.rules]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(
                f"rule ids must be unique, but these occur more than once: {', '.join(twice)}"
            )
        if not any(rule.severity in DECIDING for rule in self.rules):
            raise ValueError("no rule has the severity blocker or major, so no run could fail")
        for waiver in self.waivers:
            for rule in self.rules:
                if waiver.rule == rule.id:
                    if rule.all_of:
                        raise ValueError(
                            f"the waiver of {rule.id} cannot state which condition of all_of it "
                            "loosens; write the conditions as separate rules"
                        )
                    _check_looser(waiver, rule)
        return self


def _check_looser(waiver: Waiver, rule: Rule) -> None:
    is_group = waiver.group is not None and waiver.group != rule.group
    own = rule.limits_of(is_group=is_group)
    waived = waiver.loosen(own)
    if (
        waived == own
        or not own.within(waived)
        or (own.low is None) != (waived.low is None)
        or ((own.high is None) != (waived.high is None))
    ):
        raise ValueError(
            f"the waiver of {rule.id} must state a looser value of the limit that the rule has "
            "(max or min)"
        )


_ADAPTER = TypeAdapter(PolicyFile)


@dataclass(frozen=True)
class Policy:
    """A policy file that was read: its content, its path, and the line of each rule."""

    file: PolicyFile
    source: str
    sha256: str
    rule_lines: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, *, allow_outside: bool = False) -> Policy:
        """Read and check a policy.

        Args:
            path: the YAML file.
            allow_outside: whether the baseline that the policy names may be outside the policy's
                folder and the current folder.

        Raises:
            ConfigurationError: the file is unreadable or has errors; all are listed with lines.
        """
        document = load_yaml(path)
        folders = [path.parent, Path.cwd()]
        outside = resolve_named_files(
            document, [["baseline"]], folders=folders, allow_outside=allow_outside
        )
        file = validate(document, _ADAPTER, others=outside)
        lines = {rule.id: document.line(["rules", i, "id"]) for i, rule in enumerate(file.rules)}
        return cls(file, str(path), sha256_bytes(path.read_bytes()), lines)

    def baseline_path(self) -> Path | None:
        """Path of the baseline that the policy names, in the policy's folder or in the current
        folder; None if the policy names no baseline.
        """
        named = self.file.baseline
        return None if named is None else Path(self.source).parent / named

    def rule(self, rule_id: str) -> Rule:
        """Look a rule up by id.

        Raises:
            ConfigurationError: no rule has this id.
        """
        for rule in self.file.rules:
            if rule.id == rule_id:
                return rule
        known = [rule.id for rule in self.file.rules]
        raise ConfigurationError(f"unknown rule {rule_id!r}.{did_you_mean(rule_id, known)}")
