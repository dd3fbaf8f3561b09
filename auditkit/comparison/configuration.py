"""Differences of configuration and identity between two runs, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from auditkit.comparison.recorded_run import RecordedRun
from auditkit.policy.baseline import differences
from auditkit.serialization.canonical_json import canonical_json

__all__ = ["Changed", "changed_settings"]

_ABSENT = "not stated"
# Stated once, as a condition or with the target, and not again as a fingerprint.
_STATED = {
    "recipe": frozenset({"data", "seed"}),
    "catalog": frozenset({"sha256", "data_sha256"}),
    "fingerprint": frozenset(
        {"target", "recipe", "catalog", "data", "seed", "version", "schema_version"}
    ),
}
_MAX_TEXT = 300


class Changed(NamedTuple):
    """A setting or fingerprint with its value in each run, as text.

    `comparable` is False if this change makes the numbers of the two runs incomparable.
    """

    name: str
    baseline: str
    candidate: str
    comparable: bool = True


def changed_settings(baseline: RecordedRun, candidate: RecordedRun) -> tuple[Changed, ...]:
    """All settings that differ: first the conditions of the measurement, then target, recipe,
    fingerprints and package versions.
    """
    old, new = baseline.result, candidate.result
    rows = [
        Changed(found.name, _text(found.baseline), _text(found.run), comparable=False)
        for found in differences(new, old, ())
    ]
    for prefix, ours, theirs in (
        ("target", _target(candidate), _target(baseline)),
        ("recipe", new.recipe, old.recipe),
        ("catalog", new.catalog, old.catalog),
        ("fingerprint", candidate.manifest.get("fingerprints", {}),
         baseline.manifest.get("fingerprints", {})),
        ("version", new.environment, old.environment),
    ):  # fmt: skip
        told = _STATED.get(prefix, frozenset())
        before, after = ({k: v for k, v in m.items() if k not in told} for m in (theirs, ours))
        rows += _compared(prefix, before, after)
    if baseline.status != candidate.status:
        rows.append(Changed("status of the run", baseline.status, candidate.status))
    return tuple(rows)


def _target(run: RecordedRun) -> dict[str, object]:
    target = run.result.target
    return {
        "name": target.name,
        "kind": target.kind,
        "fingerprint": target.fingerprint,
        "verified": target.verified,
        "capabilities": list(target.capabilities),
        "notes": list(target.notes),
        "recommender.yaml": dict(target.manifest),
    }


def _compared(place: str, old: object, new: object) -> Iterator[Changed]:
    """Yield the leaves at which two JSON values differ; lists are compared as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*map(str, old), *map(str, new)}):
            yield from _compared(f"{place}.{name}", old.get(name), new.get(name))
    elif old != new:
        yield Changed(place, _text(old), _text(new))


def _text(value: object) -> str:
    if value is None:
        return _ABSENT
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "\u2026"
