"""What a dry run prints: probes, requests, calls, and what they will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.planning import Plan

__all__ = ["plan_table"]


def plan_table(plan: Plan) -> str:
    """One line per probe, then the totals."""
    from auditkit.cli.tables import aligned
    from auditkit.visible import terminal_text

    rows = [("probe", "requests", "")]
    for probe in plan.probes:
        note = f"skipped: {terminal_text(probe.skipped)}" if probe.skipped else ""
        if probe.adaptive:
            note = "more requests depend on the answers"
        rows.append((probe.probe, str(probe.requests), note))
    calls = f"{plan.requests} distinct requests, {plan.calls} calls (probes share equal requests)"
    return "\n".join([aligned(rows), calls, *_cost(plan)])


def _cost(plan: Plan) -> list[str]:
    cost = plan.cost
    if "tokens_asked" not in cost:
        return []
    words = [f"scoring: {cost['tokens_asked']:,.0f} tokens asked"]
    if "tokens" in cost:
        words.append(f"{cost['tokens']:,.0f} to compute")
    if "seconds" in cost:
        words.append(f"about {cost['seconds']:,.0f} s")
    return [", ".join(words)]
