"""Decision of the gate, rule by rule: the content of `verdict.json`.

A decision has no clock time. `as_of` is present only if the policy has waivers, because the verdict
then depends on the day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from auditkit.errors import IntegrityError
from auditkit.security.escaping import format_number, terminal_text
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json

__all__ = ["EXIT_CODES", "VERDICT", "AppliedWaiver", "Decision", "RequirementCheck", "RuleVerdict"]

VERDICT = "verdict.json"
Word = Literal["pass", "fail", "inconclusive"]
Effect = Literal["passes", "fails", "blocks", "tolerated", "shown"]
EXIT_CODES: Mapping[str, int] = {"pass": 0, "fail": 10, "inconclusive": 11, "error_budget": 12}


@dataclass(frozen=True, kw_only=True)
class AppliedWaiver:
    """A waiver that was applied to a rule, and the limits that it replaced."""

    reason: str
    owner: str
    expires: str
    own_low_limit: float | None = None
    own_high_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class RuleVerdict:
    """Verdict of one rule on one group, with value, one-sided bounds, limit and effect.

    `effect` is the effect on the release: `fails` and `blocks` stop it, `tolerated` and `shown` do
    not. For an inconclusive verdict, `reason` is a word from a closed list and `detail` is a
    sentence; a pass has the reason `by_construction` if its rate can only be 0. For a baseline
    rule, `value` is the difference to the baseline; positive is worse.
    """

    rule: str
    metric: str
    group: str
    severity: str
    verdict: Word
    effect: Effect
    reason: str | None = None
    detail: str | None = None
    low_limit: float | None = None
    high_limit: float | None = None
    against_baseline: bool = False
    on_point: bool = False
    confidence: float
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_fail: float | None = None
    p_adjusted: float | None = None
    n: int | None = None
    n_missing: int | None = None
    unit: str
    waiver: AppliedWaiver | None = None
    line: int = 1

    @property
    def name(self) -> str:
        """`rule-id`, or `rule-id[group]` if the group is not `all`."""
        return self.rule if self.group == "all" else f"{self.rule}[{self.group}]"

    @property
    def dimension(self) -> str:
        """Dimension of the metric, the word before its first dot."""
        return self.metric.split(".", 1)[0]

    @property
    def passes_by_construction(self) -> bool:
        """Whether the rule passes because its rate can only be 0, without a measurement."""
        return self.verdict == "pass" and self.reason == "by_construction"

    @property
    def meets_own_limit(self) -> bool:
        """Whether the rule passed and would also pass without its waiver."""
        if self.verdict != "pass" or self.waiver is None:
            return self.verdict == "pass"
        low, high = self.waiver.own_low_limit, self.waiver.own_high_limit
        ends = (self.value, self.value) if self.on_point else (self.lower, self.upper)
        lower, upper = ends
        above = low is None or (lower is not None and lower >= low)
        return above and (high is None or (upper is not None and upper <= high))

    @property
    def limit_text(self) -> str:
        """The limit as text, such as `at most 0.05`."""
        low, high = format_number(self.low_limit), format_number(self.high_limit)
        if self.against_baseline:
            return f"at most {high} worse than the baseline"
        if self.low_limit is not None and self.high_limit is not None:
            return f"between {low} and {high}"
        return f"at least {low}" if self.high_limit is None else f"at most {high}"

    @property
    def sentence(self) -> str:
        """A sentence with value, bounds, limit, n and verdict, and without text of the model."""
        subject = self.metric if self.group == "all" else f"{self.metric} for {self.group}"
        why = f" ({self.reason}: {self.detail})" if self.detail else ""
        why = why or (f" ({self.reason})" if self.reason else "")
        if self.value is None:
            return f"{subject} has no usable value; limit {self.limit_text}: {self.verdict}{why}."
        if self.passes_by_construction:
            return f"{subject} is 0, limit {self.limit_text}: pass{why}."
        how = "decided on a point estimate" if self.on_point else (
            f"one-sided {self.confidence:.4g} bounds {format_number(self.lower)} to "
            f"{format_number(self.upper)}"
        )  # fmt: skip
        return (
            f"{subject} is {format_number(self.value)} ({how}, n = {self.n}), "
            f"limit {self.limit_text}: {self.verdict}{why}."
        )


@dataclass(frozen=True, kw_only=True)
class RequirementCheck:
    """Result of one requirement of the policy on the run as a whole."""

    name: str
    met: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Verdict on one run, with the verdicts of all rules."""

    verdict: Word
    exit_code: int
    reasons: tuple[str, ...]
    policy: str
    policy_source: str
    policy_sha256: str
    run_key: str
    evidence_root: str | None
    target: str
    target_fingerprint: str
    rules: tuple[RuleVerdict, ...]
    requirements: tuple[RequirementCheck, ...]
    warnings: tuple[str, ...] = ()
    as_of: str | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of rules by result: passed, failed, inconclusive, waived, tolerated, and passed by
        construction.
        """
        words = Counter[str](rule.verdict for rule in self.rules)
        return {
            "rules": len(self.rules),
            "pass": words["pass"],
            "fail": words["fail"],
            "inconclusive": words["inconclusive"],
            "waived": sum(rule.waiver is not None for rule in self.rules),
            "tolerated": sum(rule.effect == "tolerated" for rule in self.rules),
            "by_construction": sum(rule.passes_by_construction for rule in self.rules),
        }

    @property
    def summary(self) -> str:
        """The counts as a sentence."""
        counts = self.counts
        fixed = counts["by_construction"]
        text = (
            f"{counts['rules']} rule checks: {counts['pass']} pass"
            f"{f' (of which {fixed} by construction)' if fixed else ''}, {counts['fail']} fail, "
            f"{counts['inconclusive']} inconclusive, {counts['waived']} waived"
        )
        if counts["tolerated"]:
            text += f"; {counts['tolerated']} inconclusive tolerated by policy"
        return text

    def to_json(self) -> str:
        """Content of `verdict.json`."""
        return canonical_json(_adapter().dump_python(self, mode="json"), indent=1) + "\n"

    def write(self, run: Path) -> None:
        """Write `verdict.json` into a run folder."""
        write_atomically(run / VERDICT, self.to_json())

    @classmethod
    def read(cls, run: Path) -> Decision | None:
        """Read `verdict.json` of a run folder; None if no policy was applied.

        Raises:
            IntegrityError: the file is damaged.
        """
        path = run / VERDICT
        if not path.is_file():
            return None
        text = path.read_text(encoding="utf-8")
        try:
            read_json(text)
            return _adapter().validate_json(text)
        except (ValueError, ValidationError):
            raise IntegrityError(f"{path} is damaged. Run `auditkit gate` again.") from None

    def is_about(self, run_key: str, root: str) -> bool:
        """Whether the decision was made on the run with this key and this evidence root."""
        return self.run_key == run_key and self.evidence_root in (None, root)

    @classmethod
    def read_about(cls, run: Path, run_key: str, root: str) -> Decision | None:
        """Read `verdict.json` as `read` does; also returns None if the decision is about another
        state of the run.
        """
        decision = cls.read(run)
        return decision if decision is not None and decision.is_about(run_key, root) else None

    def as_text(self) -> str:
        """Text for a terminal, with one line per rule followed by the reasons; untrusted text is
        escaped.
        """
        width = max([len(terminal_text(rule.name, 44)) for rule in self.rules], default=0)
        lines = [f"{self.verdict.upper()} (exit {self.exit_code})  policy {self.policy}"]
        for rule in self.rules:
            mark = rule.verdict.upper() + (" (waived)" if rule.waiver else "")
            bounds = f"[{format_number(rule.lower)}, {format_number(rule.upper)}]"
            why = f" {rule.reason}" if rule.reason else " point estimate" if rule.on_point else ""
            lines.append(
                f"  {mark:<13} {terminal_text(rule.name, 44):<{width}}  "
                f"{format_number(rule.value)} {bounds} {rule.limit_text}{why}"
            )
        for check in self.requirements:
            if not check.met:
                lines.append(f"  UNMET         {check.name}: {terminal_text(check.detail)}")
        lines += [f"  because       {terminal_text(reason)}" for reason in self.reasons]
        lines += [f"  warning       {terminal_text(warning)}" for warning in self.warnings]
        lines.append(f"{self.summary}; evidence root {self.evidence_root or 'not verified'}")
        return "\n".join(lines)


@cache
def _adapter() -> TypeAdapter[Decision]:
    return TypeAdapter(Decision)
