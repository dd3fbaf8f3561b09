"""Run folders of one recommender before and after a change, with units, evidence and records."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from pathlib import Path

from run_folder import FILMS, estimate, record

from auditkit.evidence.manifest import OUTPUTS_OF, seal_manifest, verify_run
from auditkit.evidence.run_log import RunLog
from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.serialization.canonical_json import sha256_json
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import (
    AuditResult,
    Binomial,
    Evidence,
    Finding,
    Outcome,
    TargetDescription,
)

USERS = tuple(f"u{i:02d}" for i in range(40))
INVENTED = "The Silent Orchard (1987)"
PROBE, RATE = "hallucination.catalog", "hallucination.catalog.out_of_catalog_rate"
HITS = "utility.ranking.hr@10"
POLICY = """version: 1
name: nightly
rules:
  - {id: out-of-catalog, metric: hallucination.catalog.out_of_catalog_rate, max: 0.3}
"""


def request_of(user: str) -> str:
    """Request id of a user, equal in every run."""
    return f"{int(user[1:]):016x}"


def _binary(metric: str, bad: Collection[str], **fields: object) -> Finding:
    x, n = len(bad), len(USERS)
    low, high = clopper_pearson(x, n)
    return Finding(
        probe=PROBE if metric == RATE else "utility.ranking",
        metric=metric,
        estimate=estimate(metric, x / n, n, low=low, high=high),
        law=Binomial(x=x, n=n, n_eff=n),
        units=tuple((user, float(user in bad), 1.0) for user in USERS),
        **fields,  # type: ignore[arg-type]
    )


def result_of(
    *, invented: Collection[str], hits: Collection[str] = (), shown: int = 3, **changes: object
) -> AuditResult:
    """Measurements of a recommender that invents a title for some users and hits for others.

    Args:
        shown: number of cases that the evidence holds; `n_cases` counts all.
        changes: fields of the result.
    """
    cases = [
        Evidence(requests=(request_of(user),), what=f"user {user}: 1 of 4 titles is invented")
        for user in sorted(invented)
    ]
    fields: dict[str, object] = {
        "run_key": sha256_json([sorted(invented), sorted(hits), str(changes)]),
        "seed": 7,
        "target": TargetDescription(
            name="films-v1", kind="folder", fingerprint="sha256:11", verified=True
        ),
        "catalog": {"name": "films", "sha256": "77" * 32},
        "recipe": {"name": "nightly", "data": "films", "probes": {PROBE: {"n_users": 40}}},
        "environment": {"auditkit": "0.1.0", "python": "3.11.7"},
        "outcomes": (
            Outcome(probe=PROBE, status="ran", planned=40, counts={"ok": 40}),
            Outcome(probe="utility.ranking", status="ran", planned=40, counts={"ok": 40}),
        ),
        "findings": (
            _binary(RATE, invented, evidence=tuple(cases[:shown]), n_cases=len(cases)),
            _binary(HITS, hits),
        ),
    }
    return AuditResult(**{**fields, **changes})  # type: ignore[arg-type]


def write_listed(
    run: Path,
    result: AuditResult,
    *,
    invented: Collection[str],
    finished: str = "2026-06-01T10:00:00Z",
    silent: Collection[str] = (),
    policy: str | None = None,
) -> Path:
    """Write a sealed run folder in which every user was asked for one list.

    Args:
        silent: users whose request got no answer.
        policy: text of a policy that judges the run.
    """
    log = RunLog(run, result.run_key)
    bodies = []
    for user in USERS:
        titles = [*FILMS[:3], INVENTED if user in invented else FILMS[3]]
        body = record(request_of(user), PROBE, user, f"Films for {user}?", titles)
        if user in silent:
            body.update(status="no_answer", text="", items=[])
        bodies.append(body)
    log.append(bodies)
    log.close()
    result.write(run)
    seal_manifest(
        run,
        run_key=result.run_key,
        status="complete",
        fingerprints={"target": result.target.fingerprint},
        volatile={"finished": finished},
        written=OUTPUTS_OF["audit"],
    )
    if policy is not None:
        path = run.parent / "nightly.yaml"
        path.write_text(policy, encoding="utf-8")
        decision = decide(
            result,
            Policy.read(path),
            verification=verify_run(run),
            as_of=datetime.date(2026, 6, 1),
        )
        decision.write(run)
        seal_manifest(run, written=("verdict.json",))
    return run


def write_pair(folder: Path, **candidate: object) -> tuple[Path, Path]:
    """A baseline that invents titles for 4 users, and a candidate that does for 24.

    Of the 4 users, 2 are fixed in the candidate; 22 of the 24 are new.
    """
    before, after = USERS[:4], USERS[2:26]
    old = result_of(invented=before, hits=USERS[:20])
    new = result_of(
        invented=after,
        hits=USERS[:10],
        **{
            "target": TargetDescription(
                name="films-v2", kind="folder", fingerprint="sha256:22", verified=True
            ),
            **candidate,
        },
    )
    return (
        write_listed(folder / "v1", old, invented=before, policy=POLICY),
        write_listed(
            folder / "v2",
            new,
            invented=after,
            silent=USERS[38:],
            finished="2026-06-02T10:00:00Z",
            policy=POLICY,
        ),
    )
