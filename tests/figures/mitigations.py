"""Write the tables of `docs/explain/hallucination-mitigation.md` from the run folder of an audit.

auditkit audit smollm2 --recipe deep --only hallucination.mitigation --limit 30 --out RUN
python tests/figures/mitigations.py RUN
"""

from __future__ import annotations

import sys
from pathlib import Path

from writing import shown, write_between

from auditkit.reporting.mitigation_section import build_mitigations
from auditkit.types import AuditResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain" / "hallucination-mitigation.md"


def variants(found):
    lines = [
        f"| measure | {' | '.join(found.variants)} |",
        "|---" * (len(found.variants) + 1) + "|",
    ]
    for measure in found.measures:
        cells = []
        for cell in measure.cells:
            text = "" if cell is None else shown(cell.estimate)
            if cell is not None and cell.change is not None and cell.change.value is not None:
                text += f"<br>{shown(cell.change, signed=True)}"
            cells.append(text)
        lines.append(f"| {measure.name} | {' | '.join(cells)} |")
    return lines


def curves(found):
    errors = list(dict.fromkeys(error for error, _, _ in found.curves.rows))
    rows = {(name, error): estimate for error, name, estimate in found.curves.rows}
    names = list(dict.fromkeys(name for _, name, _ in found.curves.rows))
    return [
        f"| measure | {' | '.join(errors)} |",
        "|---" * (len(errors) + 1) + "|",
        *(f"| {n} | {' | '.join(shown(rows[n, e]) for e in errors)} |" for n in names),
    ]


def main():
    found = build_mitigations(AuditResult.read(Path(sys.argv[1])).findings)
    for name, lines in (("variants", variants(found)), ("curves", curves(found))):
        write_between(PAGE, name, lines)


if __name__ == "__main__":
    main()
