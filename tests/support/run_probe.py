"""Ask a recommender, or run one probe against it, on the small world."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from small_world import world

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.evidence.run_log import RunLog, read_log
from auditkit.probes.base import Context, load_users
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.registry import load_object, probe_spec
from auditkit.types import Finding

RUN_KEY = "0" * 64


def target_for(
    recommender: object, folder: Path, *, catalog: Catalog | None = None, **options: Any
) -> Target:
    """A Target with an open log in `folder`; a log that is there is resumed."""
    return Target(
        recommender,
        catalog=catalog or world().catalog,
        log=RunLog(folder, RUN_KEY),
        **{"seed": 0, "fingerprint": "f", **options},
    )


@dataclass(frozen=True)
class ProbeRun:
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    asked: frozenset[str]

    def one(self, metric: str, group: str = "all") -> Finding:
        found = [f for f in self.findings if f.metric == metric and f.group == group]
        assert len(found) == 1, f"{len(found)} findings of {metric} for {group}"
        return found[0]


def run_probe(
    probe_id: str,
    recommender: object,
    *,
    seed: int = 0,
    manifest: Mapping[str, Any] | None = None,
    dataset: Dataset | None = None,
    max_error_rate: float = 0.05,
    **parameters: Any,
) -> ProbeRun:
    """Run one registered probe with its preset, on the small world by default; it is stopped if
    more than `max_error_rate` of its requests fail.
    """
    data = dataset or world()
    spec = probe_spec(probe_id)
    probe = load_object(spec.path)(**{**spec.preset, **parameters})
    with tempfile.TemporaryDirectory() as folder:
        stop = StopRule(max_error_rate=max_error_rate)
        target = target_for(recommender, Path(folder), seed=seed, stop=stop)
        bound = target.for_probe(spec)
        context = Context(data, seed, probe_id, manifest or {}, load_users(data))
        findings = tuple(probe.run(bound, context))
        recorded, _ = read_log(Path(folder), RUN_KEY)
        asked = frozenset(body["request_id"] for body in recorded)
        return ProbeRun(findings, bound.status_counts(), asked)
