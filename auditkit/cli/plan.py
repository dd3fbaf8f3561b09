"""Output of a dry run: probes, requests, calls and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.run.dry_run import Plan
    from auditkit.run.pilot import PilotRun

__all__ = ["pilot_table", "plan_table"]


def plan_table(plan: Plan) -> str:
    """Format a plan as a text table with one line per probe, followed by the totals."""
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import terminal_text

    rows = [("probe", "requests", "")]
    for probe in plan.probes:
        note = f"skipped: {terminal_text(probe.skipped)}" if probe.skipped else ""
        if probe.adaptive:
            note = "plus requests that depend on the responses"
            note += "" if probe.most is None else f", at most {probe.most:,} in all"
        rows.append((probe.probe, str(probe.requests), note))
    calls = (
        f"{plan.requests} distinct requests, {plan.calls} calls (equal requests of several probes "
        "are sent once)"
    )
    notes = [f"note: {terminal_text(note)}" for note in plan.notes]
    return "\n".join([aligned(rows), calls, *_cost(plan), *_spending(plan), *notes])


def _spending(plan: Plan) -> list[str]:
    """Tokens, minutes and money of the calls, and how they were estimated."""
    spent = plan.spending
    if spent is None:
        return []
    most = "" if spent.timed else "at most "
    words = [f"about {spent.input_tokens:,.0f} tokens in, {most}{spent.output_tokens:,.0f} out"]
    if spent.minutes is not None:
        words.append(f"{spent.minutes:,.1f} minutes")
    if spent.money is not None:
        words.append(f"{most}{spent.money:,.2f} {spent.currency}")
    how = (
        f"measured on {spent.timed} calls"
        if spent.timed
        else "one token per four characters; --time-calls 5 measures tokens and minutes"
    )
    return [f"{', '.join(words)} ({how})"]


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


def pilot_table(pilot: PilotRun) -> str:
    """Format a pilot as a text table with the needed and planned number of probes per attribute."""
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import terminal_text

    head = f"fairness pilot: {pilot.calls} calls"
    if not pilot.rows:
        return f"{head}; not assessable: {terminal_text(pilot.reason or 'no response')}"
    head += f", {pilot.usable_rate:.0%} of the responses usable"
    head += f", similarity of neutral lists {pilot.self_similarity:.2f}"
    rows = [("attribute", "values", "noise", "probes to pass", "to detect", "planned", "")]
    for row in pilot.rows:
        few = row.planned < row.to_pass
        rows.append(
            (
                terminal_text(row.attribute),
                str(row.n_values),
                f"{row.sigma:.3f}",
                str(row.to_pass),
                str(row.to_detect),
                str(row.planned),
                "even a fair recommender may stay inconclusive" if few else "",
            )
        )
    margin = pilot.rows[0].margin
    return "\n".join([head, aligned(rows), f"to pass, or to detect, an SNSR of {margin:g}"])
