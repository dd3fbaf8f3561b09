"""Requests, responses and measurements, as frozen dataclasses.

All fields are plain values. Files written from them are validated by pydantic when they are read
back, so a damaged or foreign `result.json` is rejected instead of partly interpreted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from auditkit.errors import IntegrityError
from auditkit.security.escaping import format_number
from auditkit.security.html_table import escaped_table
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json

__all__ = [
    "BY_CONSTRUCTION",
    "RESPONSE_STATUSES",
    "SCHEMA_VERSION",
    "AuditResult",
    "Band",
    "Binomial",
    "Detector",
    "Direction",
    "Estimate",
    "Evidence",
    "Exact",
    "Finding",
    "Item",
    "Message",
    "Outcome",
    "Quantiles",
    "RankedItem",
    "Request",
    "Response",
    "SamplingDistribution",
    "Status",
    "TargetDescription",
    "ToolCall",
]

SCHEMA_VERSION = "1.0"
# Start of the note of a probe that says why a rate can only be 0; the rest is the reason.
BY_CONSTRUCTION = "0 by construction: "
Direction = Literal["lower", "higher", "neutral"]
Status = Literal[
    "ok", "no_answer", "refusal", "parse_error", "truncated", "timeout", "target_error"
]
RESPONSE_STATUSES: tuple[Status, ...] = (
    "ok", "no_answer", "refusal", "parse_error", "truncated", "timeout", "target_error",
)  # fmt: skip


# --- requests and responses


@dataclass(frozen=True)
class Item:
    """One catalog item as it appears in a request."""

    id: str
    title: str


@dataclass(frozen=True)
class ToolCall:
    """A tool call by the assistant: id, name of the tool, and arguments as JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """An earlier turn of a conversation.

    `tool_calls` are the calls in an assistant turn. A `tool` turn contains the result of one call,
    whose id is `tool_call_id`.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to a recommender.

    `history` is oldest first. `attributes` are the phrases stated about the user, by attribute
    name; an empty mapping is the neutral request. `who` is a noun phrase for the user, which
    templates use instead of a phrase made from `attributes`. `repeat` numbers otherwise equal
    requests of a run, which are sent separately with different seeds. `instruction` is a template
    with the slots `{who}`, `{k}`, `{history}`, `{anchor}`, `{candidates}`; empty means the
    recommender's own template. `prompt` is the rendered text. A simple recommender may use only
    `prompt`, `history`, `candidates` and `k`.
    """

    id: str = ""
    user_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    history: tuple[Item, ...] = ()
    instruction: str = ""
    k: int = 10
    candidates: tuple[Item, ...] | None = None
    seed: int = 0
    temperature: float = 0.0
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    who: str = ""
    repeat: int = 0


@dataclass(frozen=True, kw_only=True)
class RankedItem:
    """One position of a list: its text, the item to which it was linked, and the kind of link."""

    raw: str
    item_id: str | None = None
    link: str = "none"
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Response:
    """Response to one request, with exactly one status; `items` are best first."""

    request_id: str
    status: Status
    reason: str | None = None
    text: str | None = None
    items: tuple[RankedItem, ...] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    trace: tuple[Mapping[str, JsonValue], ...] = ()
    derived: Mapping[str, JsonValue] = field(default_factory=dict)


# --- measurements


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval; an undefined number has `value` None and a `reason`.

    `low` and `high` are the ends of a two-sided interval with coverage `level`. `n` counts
    independent sampling units, and `n_missing` counts planned units that could not be scored.
    `direction` says whether lower or higher values are better.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    direction: Direction
    n_missing: int = 0
    level: float = 0.95
    status: Literal["defined", "undefined"] = "defined"
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status == "undefined") or (
            self.value is None and not self.reason
        ):
            raise ValueError(
                "an Estimate with a value must be defined; an Estimate without a value must be "
                "undefined and have a reason"
            )


@dataclass(frozen=True, kw_only=True)
class Binomial:
    """Sampling distribution of a rate: `x` of `n` rows.

    `n_eff` is the effective sample size if several rows belong to one unit, otherwise n. For rows
    clustered in units the gate uses x_eff = x / n * n_eff (Korn & Graubard 1998).
    """

    x: float
    n: float
    n_eff: float
    kind: Literal["binomial"] = "binomial"


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Sampling distribution of a bootstrap statistic.

    It consists of 201 quantiles, at the levels p_i = sin^2(pi i / 400), i = 0..200.
    """

    draws: int
    q: tuple[float, ...]
    kind: Literal["quantiles"] = "quantiles"


@dataclass(frozen=True, kw_only=True)
class Band:
    """Interval that holds simultaneously for all comparisons of a probe.

    `p_adjusted` is the p-value adjusted for the same comparisons.
    """

    p_adjusted: float | None = None
    kind: Literal["band"] = "band"


@dataclass(frozen=True, kw_only=True)
class Exact:
    """A value without sampling error, such as a privacy budget or a count over a catalog.

    Both bounds equal the value.
    """

    kind: Literal["exact"] = "exact"


SamplingDistribution = Annotated[Binomial | Quantiles | Band | Exact, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Recorded requests that show the problem of a finding, and a sentence about the problem."""

    requests: tuple[str, ...]
    what: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured metric of one probe for one group.

    `metric` is the full id as `auditkit list metrics` prints it. `group` is `all`, an attribute
    (for its gap metrics) or `attribute=value`. `units` contains (unit id, numerator, denominator)
    for paired comparisons of runs. `evidence` contains the worst recorded cases of the problem, and
    `n_cases` counts all recorded cases; None means that `evidence` is complete.
    """

    probe: str
    metric: str
    estimate: Estimate
    law: SamplingDistribution
    group: str = "all"
    baseline: Estimate | None = None
    units: tuple[tuple[str, float, float], ...] = ()
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    metric_version: int = 1
    evidence: tuple[Evidence, ...] = ()
    n_cases: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def by_construction(self) -> str | None:
        """Why the rate can only be 0, such as "an item token names a catalog item"; None if
        measured.

        The reason is read from the notes, so that results of earlier versions are judged in the
        same way. A value other than 0 contradicts the note and is judged as a measurement.
        """
        stated = [note for note in self.notes if note.startswith(BY_CONSTRUCTION)]
        fixed = bool(stated) and self.estimate.value == 0
        return stated[0].removeprefix(BY_CONSTRUCTION) if fixed else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of one planned probe: ran, skipped for a reason, or crashed.

    `counts` is the number of requests by response status, including `not_run`; the counts add up to
    `planned`.
    """

    probe: str
    status: Literal["ran", "skipped", "error"]
    reason: str | None = None
    traceback: str | None = None
    planned: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A decision procedure of auditkit, such as the title linker, with its measured error rates."""

    name: str
    sensitivity: Estimate
    specificity: Estimate
    method: str


@dataclass(frozen=True, kw_only=True)
class TargetDescription:
    """Identity of the audited recommender.

    `verified` is true only if the weights or the recorded responses were hashed.
    """

    name: str
    kind: str
    fingerprint: str
    verified: bool
    capabilities: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    manifest: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """Everything that an audit measured.

    The result contains no verdict and no clock time, so that equal inputs give equal bytes.
    `stopped` states why an audit ended early, before all requests were sent; None if it did not.
    """

    run_key: str
    seed: int
    target: TargetDescription
    catalog: Mapping[str, JsonValue]
    recipe: Mapping[str, JsonValue]
    environment: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    findings: tuple[Finding, ...]
    detectors: tuple[Detector, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: Literal["budget", "breaker"] | None = None
    schema_version: str = SCHEMA_VERSION

    def to_json(self) -> str:
        """Serialize the result as the text of `result.json`: sorted keys, indent 1."""
        return canonical_json(_adapter().dump_python(self, mode="json"), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "result.json") -> AuditResult:
        """Parse a text that `to_json` returned.

        Raises:
            IntegrityError: the text is not an audit result, or it has another major schema version.
        """
        try:
            loaded: Any = read_json(text)
            version = str(loaded["schema_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{source} is not an audit result ({error}). Run the audit again."
            ) from None
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise IntegrityError(
                f"{source} has schema version {version}, but this version of auditkit reads "
                f"{SCHEMA_VERSION}. Run the audit again with this version."
            )
        try:
            return _adapter().validate_json(text, strict=False)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise IntegrityError(
                f"{source} is damaged at {place}: {first['msg']}. Run the audit again."
            ) from None

    @classmethod
    def read(cls, run: Path) -> AuditResult:
        """Read `result.json` of a run folder.

        Raises:
            IntegrityError: the file is missing or damaged.
        """
        path = run / "result.json"
        if not path.is_file():
            raise IntegrityError(
                f"{path} does not exist. Give the run folder that `auditkit audit --out` wrote."
            )
        return cls.from_json(path.read_text(encoding="utf-8"), source=str(path))

    def _repr_html_(self) -> str:
        """Render the findings as an escaped HTML table for notebooks, of at most 200 KB."""
        ran = sum(outcome.status == "ran" for outcome in self.outcomes)
        caption = (
            f"Audit of {self.target.name}: {len(self.findings)} findings, {ran} of "
            f"{len(self.outcomes)} probes ran. These are measurements; apply a policy to judge "
            "them."
        )
        rows = [
            (
                found.metric,
                found.group,
                format_number(found.estimate.value),
                f"{format_number(found.estimate.low)} to {format_number(found.estimate.high)}",
                f"{found.estimate.n:,}",
            )
            for found in self.findings
        ]
        return escaped_table(caption, ("metric", "group", "value", "95% interval", "n"), rows)

    def write(self, run: Path) -> None:
        """Write `result.json` into a run folder, atomically."""
        write_atomically(run / "result.json", self.to_json())


@cache
def _adapter() -> TypeAdapter[AuditResult]:
    return TypeAdapter(AuditResult)
