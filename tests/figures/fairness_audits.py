"""Write the table of `docs/explain/fairness.md` from run folders of audits.

auditkit audit models/p5-mini --recipe FILE --out P5
auditkit audit smollm2 --recipe FILE --out SMOL
python tests/figures/fairness_audits.py P5 SMOL
"""

from __future__ import annotations

import sys
from pathlib import Path

from auditkit.report.fairness import build_fairness
from auditkit.types import AuditResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain" / "fairness.md"
GAPS = "fairness.group_utility.ndcg_gap"


def short(number):
    if number is None:
        return "-"
    return f"{number:.3f}".replace("0.", ".", 1) if abs(number) < 1 else f"{number:.3g}"


def shown(estimate):
    if estimate is None or estimate.value is None:
        return "-"
    return f"{short(estimate.value)} [{short(estimate.low)}, {short(estimate.high)}]"


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
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition("<!-- audits -->")
    _, _, after = rest.partition("<!-- end audits -->")
    table = "\n".join(["<!-- audits -->", "", *head, *body, "", *asked, "", "<!-- end audits -->"])
    PAGE.write_text(before + table + after, encoding="utf-8")


if __name__ == "__main__":
    main()
