"""A realistic run folder: every dimension, skipped and crashed probes, references, hostile text."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np

from auditkit.evidence.manifest import OUTPUTS_OF, seal_manifest, verify_run
from auditkit.evidence.run_log import RunLog
from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.registry import metrics, probes
from auditkit.reporting.junit import render_junit
from auditkit.reporting.sarif import render_sarif
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import (
    AuditResult,
    Band,
    Binomial,
    Detector,
    Estimate,
    Evidence,
    Exact,
    Finding,
    Outcome,
    Quantiles,
    TargetDescription,
)

RUN_KEY = "4f1c9d2e" * 8
AS_OF = datetime.date(2026, 6, 1)
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> </style></title>"
    "{{ 7919*7907 }} \u202eevil\u202c a\u200bb \x1b[31mred\x07 & ]]> <!-- --> "
    "=HYPERLINK(1) ::error::x"
)
FILMS = [
    "Fargo (1996)",
    "Heat (1995)",
    "Toy Story (1995)",
    "Alien (1979)",
    "Brazil (1985)",
    "Casablanca (1942)",
    "Vertigo (1958)",
    "Rear Window (1954)",
    "Amadeus (1984)",
    "Jaws (1975)",
]


def estimate(metric: str, value: float | None, n: int = 200, **changes: object) -> Estimate:
    spec = metrics()[metric]
    fields: dict[str, object] = {
        "value": value,
        "low": None,
        "high": None,
        "n": n,
        "unit": spec.unit,
        "direction": spec.direction,
    }
    return Estimate(**{**fields, **changes})  # type: ignore[arg-type]


def rate(metric: str, x: int, n: int, **fields: object) -> Finding:
    """A binomial finding with its exact interval."""
    low, high = clopper_pearson(x, n)
    n_missing = int(fields.pop("n_missing", 0))  # type: ignore[call-overload]
    return Finding(
        probe=metrics()[metric].probe,
        metric=metric,
        estimate=estimate(metric, x / n, n, low=low, high=high, n_missing=n_missing),
        law=Binomial(x=x, n=n, n_eff=n),
        **fields,  # type: ignore[arg-type]
    )


def drawn(metric: str, value: float, spread: float, n: int = 200, **fields: object) -> Finding:
    """A finding with bootstrap quantiles of a normal law."""
    from scipy.stats import norm

    levels = np.clip(quantile_levels(), 1e-5, 1 - 1e-5)
    q = (value + spread * norm.ppf(levels)).tolist()
    low, high = value - 1.96 * spread, value + 1.96 * spread
    return Finding(
        probe=metrics()[metric].probe,
        metric=metric,
        estimate=estimate(metric, value, n, low=low, high=high),
        law=Quantiles(draws=10_000, q=tuple(q)),
        **fields,  # type: ignore[arg-type]
    )


def band(metric: str, value: float, low: float, high: float, n: int, **fields: object) -> Finding:
    p = fields.pop("p_adjusted", None)
    return Finding(
        probe=metrics()[metric].probe,
        metric=metric,
        estimate=estimate(metric, value, n, low=low, high=high),
        law=Band(p_adjusted=p),  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def exact(metric: str, value: float, **fields: object) -> Finding:
    return Finding(
        probe=metrics()[metric].probe,
        metric=metric,
        estimate=estimate(metric, value, 1, low=value, high=value),
        law=Exact(),
        **fields,  # type: ignore[arg-type]
    )


def record(
    request_id: str, probe: str, unit: str, prompt: str, titles: list[str], **request: object
) -> dict[str, object]:
    """One evidence body as the run log stores it."""
    known = [title in FILMS for title in titles]
    return {
        "request_id": request_id,
        "probe": probe,
        "unit": unit,
        "repeat": 0,
        "status": "ok",
        "reason": None,
        "text": "\n".join(titles),
        "seed": 41,
        "usage": {"tokens": 96},
        "derived": {},
        "request": {
            "op": "recommend",
            "user_id": unit,
            "attributes": {},
            "k": len(titles),
            "history": [{"id": str(i), "title": title} for i, title in enumerate(FILMS[:4])],
            "instruction": "",
            "candidates": None,
            "seed": 41,
            "temperature": 0.0,
            "messages": [],
            "prompt": prompt,
            **request,
        },
        "items": [
            {
                "raw": title,
                "item_id": str(FILMS.index(title)) if fits else None,
                "link": "exact" if fits else "none",
                "score": -0.4 - i,
            }
            for i, (title, fits) in enumerate(zip(titles, known, strict=True))
        ],
    }


def _records(hostile: str) -> list[dict[str, object]]:
    base = (
        "A user watched Fargo (1996), Heat (1995), Toy Story (1995) and Alien (1979).\n"
        "Recommend 5 further films, best first, one per line."
    )
    scored = record("cc01", "explain.attribution", "u7", base, [], op="score")
    scored["request"]["continuations"] = ["Brazil (1985)", "Jaws (1975)"]  # type: ignore[index]
    scored["derived"] = {"drop": [0.8, 0.1], "note": hostile}
    return [
        record(
            "aa01",
            "hallucination.catalog",
            "u1",
            base,
            [*FILMS[4:6], "The Silent Orchard (1987)", hostile, FILMS[6]],
        ),
        record("bb01", "robustness.prompt.typo", "u2", base, FILMS[4:9]),
        record(
            "bb02",
            "robustness.prompt.typo",
            "u2",
            base.replace("Recommend", "Recomend"),
            [FILMS[8], FILMS[4], *FILMS[:3]],
        ),
        record("dd01", "fairness.counterfactual", "u3", base, FILMS[4:9]),
        record(
            "dd02",
            "fairness.counterfactual",
            "u3",
            base.replace("A user", "A woman " + hostile),
            [FILMS[9], *FILMS[4:8]],
            attributes={"gender": "a woman"},
        ),
        scored,
    ]


def findings(hostile: str = HOSTILE) -> tuple[Finding, ...]:
    """Measurements of every dimension."""
    rows = []
    for name, spread, numbers in (
        ("hr@10", 0.02, (0.142, 0.118, 0.131, 0.127)),
        ("ndcg@10", 0.009, (0.0713, 0.058, 0.0662, 0.0649)),
        ("mrr@10", 0.008, (0.0502, 0.041, 0.0467, 0.0455)),
    ):
        groups = ("all", "baseline=popularity", "baseline=item-knn", "baseline=transitions")
        for group, number in zip(groups, numbers, strict=True):
            rows.append(drawn(f"utility.ranking.{name}", number, spread, 943, group=group))
    catalog, edit = "hallucination.catalog", "robustness.prompt"
    rows += [
        rate(
            f"{catalog}.out_of_catalog_rate",
            61,
            1000,
            n_missing=20,
            evidence=(
                Evidence(
                    requests=("aa01",), what=f"2 of 5 titles are not in the catalog: {hostile}"
                ),
            ),
        ),
        rate(f"{catalog}.invented_rate", 12, 1000, n_missing=20),
        rate(
            f"{catalog}.year_conflict_rate",
            0,
            1000,
            notes=("0 by construction: the model ranks item tokens",),
        ),
        rate(f"{catalog}.duplicate_rate", 3, 1000),
        rate(f"{catalog}.consumed_rate", 44, 939),
        rate(f"{catalog}.wrong_count_rate", 9, 100),
        rate(
            f"{edit}.typo.asr",
            66,
            200,
            evidence=(
                Evidence(requests=("bb01", "bb02"), what="one typing error replaces 3 of 5 items"),
            ),
        ),
        rate(f"{edit}.case.asr", 21, 200),
        rate(f"{edit}.space.asr", 12, 200),
        rate("robustness.unicode.homoglyph.asr", 71, 200),
        drawn(f"{edit}.typo.net_asr", 0.24, 0.04),
        drawn(f"{edit}.case.net_asr", 0.04, 0.03),
        drawn(f"{edit}.space.net_asr", 0.0, 0.02),
        drawn("robustness.unicode.homoglyph.net_asr", 0.29, 0.04),
        band(
            "fairness.counterfactual.snsr",
            0.031,
            0.0,
            0.047,
            120,
            group="gender",
            p_adjusted=0.4,
            evidence=(
                Evidence(requests=("dd01", "dd02"), what="naming the gender moves every item"),
                Evidence(requests=("dd01", "gone"), what="a request whose record is missing"),
            ),
        ),
        band(
            "fairness.counterfactual.snsr", 0.142, 0.108, 0.181, 120, group="age", p_adjusted=0.002
        ),
        band(
            "fairness.counterfactual.snsr",
            0.088,
            0.04,
            0.13,
            120,
            group="occupation",
            p_adjusted=0.02,
        ),
        band("fairness.counterfactual.missing_gap", 0.01, 0.0, 0.03, 120, group="gender"),
        band("fairness.group_utility.ndcg_gap", 0.012, 0.0, 0.034, 943, group="gender"),
        band("fairness.group_utility.ndcg@10", 0.074, 0.06, 0.088, 670, group="gender=M"),
        band("fairness.group_utility.ndcg@10", 0.062, 0.04, 0.081, 273, group="gender=F"),
        band("fairness.group_utility.ndcg@10", 0.051, 0.0, 0.19, 12, group=f"gender={hostile}"),
        exact("privacy.claim.epsilon", 7.98, parameters={"delta": 1e-5, "unit": "user"}),
        exact("privacy.claim.delta", 1e-5, parameters={"unit": "user"}),
        drawn("privacy.membership.auc", 0.534, 0.018, 400, group="attack=loss"),
        rate("privacy.membership.tpr_at_fpr_0.01", 6, 200, group="attack=loss"),
        drawn(
            "privacy.membership.auc",
            0.502,
            0.018,
            400,
            group="attack=blind",
            notes=("control that never sees the model",),
        ),
        drawn(
            "explain.comprehensiveness",
            0.41,
            0.09,
            60,
            evidence=(
                Evidence(
                    requests=("cc01",), what="without Fargo (1996) the top item loses 0.8 nats"
                ),
            ),
        ),
    ]
    undefined = estimate(
        "explain.attribution.top_effect",
        None,
        0,
        n_missing=60,
        status="undefined",
        reason="no user has two history items",
    )
    rows.append(
        Finding(
            probe="explain.attribution",
            metric="explain.attribution.top_effect",
            estimate=undefined,
            law=Exact(),
        )
    )
    return tuple(rows)


def outcome(probe: str, n: int = 200, **fields: object) -> Outcome:
    counts = {"ok": n - 6, "refusal": 2, "parse_error": 3, "target_error": 1}
    base: dict[str, object] = {"probe": probe, "status": "ran", "planned": n, "counts": counts}
    return Outcome(**{**base, **fields})  # type: ignore[arg-type]


def outcomes(hostile: str = HOSTILE) -> tuple[Outcome, ...]:
    """Every registered probe: most ran, one crashed, two were skipped."""
    special = {
        "robustness.unicode.zerowidth": outcome(
            "robustness.unicode.zerowidth",
            status="error",
            planned=200,
            counts={"not_run": 200},
            reason=f"ValueError: {hostile}",
            traceback=f"Traceback (most recent call last)\n{hostile}",
        ),
        "hallucination.claims": outcome(
            "hallucination.claims",
            status="skipped",
            planned=0,
            counts={},
            reason="needs Generates",
        ),
        "robustness.order.history": outcome(
            "robustness.order.history",
            status="skipped",
            planned=0,
            counts={},
            reason="not part of this recipe",
        ),
    }
    return tuple(special.get(name) or outcome(name) for name in probes())


def audit_result(hostile: str = HOSTILE, **changes: object) -> AuditResult:
    """A whole result; `changes` replace fields."""
    sensitivity = Estimate(
        value=0.972, low=0.951, high=0.986, n=400, unit="fraction", direction="higher"
    )
    result = AuditResult(
        run_key=RUN_KEY,
        seed=20260601,
        target=TargetDescription(
            name=f"smollm2-135m-lora {hostile}" if hostile else "smollm2-135m-lora",
            kind="folder",
            fingerprint="sha256:9c41" + "ab" * 14,
            verified=True,
            capabilities=("Recommends", "Scores"),
            notes=("merged adapter, float32",),
        ),
        catalog={"name": "ml-100k", "sha256": "77" * 32, "items": 1682, "overlap": 0.997},
        recipe={"version": 1, "probes": ["hallucination.catalog"], "note": hostile},
        environment={"auditkit": "0.1.0", "python": "3.11.7"},
        outcomes=outcomes(hostile),
        findings=findings(hostile),
        detectors=(
            Detector(
                name="title linker",
                sensitivity=sensitivity,
                specificity=sensitivity,
                method="400 titles linked by hand",
            ),
        ),
        notes=("sampled: 100 of 943 users",),
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def write_policy(folder: Path) -> Path:
    """The shipped policy with two waivers: one in force, one expired."""
    shipped = Path(__file__).parents[2] / "recipes" / "policy" / "release.yaml"
    waivers = """
waivers:
  - {rule: out-of-catalog, max: 0.10, reason: "Titles of 1997 missing, T-231", owner: ana@example.org, expires: 2027-01-31}
  - {rule: typing-error, max: 0.50, reason: "being retrained", owner: ben@example.org, expires: 2026-01-31}
"""  # noqa: E501 - a YAML flow mapping on one line, as people write it
    path = folder / "policy.yaml"
    path.write_text(shipped.read_text(encoding="utf-8") + waivers, encoding="utf-8")
    return path


def write_run(
    run: Path,
    result: AuditResult | None = None,
    *,
    policy: Path | None = None,
    hostile: str = HOSTILE,
) -> Path:
    """Write a complete, sealed run folder; with `policy` also the gate's outputs."""
    result = result or audit_result(hostile)
    log = RunLog(run, result.run_key)
    log.append(_records(hostile))
    log.close()
    result.write(run)
    seal_manifest(
        run,
        run_key=result.run_key,
        status="complete",
        fingerprints={"weights": result.target.fingerprint},
        volatile={"finished": "2026-06-01T10:00:00Z"},
        written=OUTPUTS_OF["audit"],
    )
    if policy is not None:
        verification = verify_run(run)
        decision = decide(result, Policy.read(policy), verification=verification, as_of=AS_OF)
        decision.write(run)
        (run / "junit.xml").write_text(render_junit(decision), encoding="utf-8")
        (run / "results.sarif").write_text(render_sarif(decision), encoding="utf-8")
        seal_manifest(run, written=OUTPUTS_OF["gate"])
    return run
