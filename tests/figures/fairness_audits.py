"""Write the table of `docs/explain/fairness.md` from run folders of audits.

auditkit audit models/p5-mini --recipe FILE --out P5
auditkit audit smollm2 --recipe FILE --out SMOL
python tests/figures/fairness_audits.py P5 SMOL
"""

from __future__ import annotations

import sys
from pathlib import Path

from writing import short, shown, write_between

from auditkit.reporting.fairness_section import build_fairness
from auditkit.types import AuditResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain" / "fairness.md"
GAPS = "fairness.group_utility.ndcg_gap"


def lines(result):
    found = build_fairness(result.findings)
    gaps = {f.group: f for f in result.findings if f.metric == GAPS}
    for row in found.attributes:
        gap = gaps.get(row.name)
        cells = (
            result.target.name,
            f"{row.name}, {row.n_values}",
            str(row.snsr.n),
            shown(row.snsr),
            f"{short(row.noise_floor)}, {short(row.noise_floor_95)}",
            f"{row.p:.4f}, {row.p_adjusted:.4f}",
            f"{shown(row.steer)}, p {row.steer_p:.4f}",
            shown(row.placebo),
            f"{short(row.detectable)}, {row.probes_to_pass}",
            shown(gap.estimate) + f", n {gap.estimate.n}" if gap else "not assessable",
        )
        yield f"| {' | '.join(cells)} |"


def main():
    head = [
        "| model | attribute, values | probes | SNSR | noise floor, 95 % | p, adjusted | steering "
        "| beyond placebo | detects, probes to pass .05 | NDCG@10 gap of real groups |",
        "|---" * 10 + "|",
    ]
    runs = [AuditResult.read(Path(folder)) for folder in sys.argv[1:]]
    body = [line for run in runs for line in lines(run)]
    asked = [f"- `{run.target.name}`: {line}" for run in runs
             for line in build_fairness(run.findings).setting[:2]]  # fmt: skip
    asked += [f"- `{run.target.name}`: `{o.probe}` {o.status}, {o.reason}" for run in runs
              for o in run.outcomes if o.reason]  # fmt: skip
    write_between(PAGE, "audits", [*head, *body, "", *asked])


if __name__ == "__main__":
    main()
