"""Comparison of two runs as one static page, in the style of the report and without a script."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from auditkit.comparison.diff import RunDiff
from auditkit.comparison.metric_changes import MetricChange
from auditkit.reporting.html import environment, page_style, style_only_policy
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.pages.slope_chart import End, SlopeChart, draw_slope
from auditkit.reporting.sarif import tool_version
from auditkit.reporting.sections import DIMENSIONS

__all__ = ["render_diff"]

_MAX_EXAMPLES = 30  # findings with examples, each at most four responses: below 2 MB
# State of the mark beside each word, which is always printed too.
_STATES: Mapping[str, str] = {
    "worse": "fail",
    "better": "pass",
    "higher": "none",
    "lower": "none",
    "no clear change": "none",
    "not compared": "inconclusive",
}


def render_diff(diff: RunDiff) -> str:
    """Render the comparison as an HTML page.

    Raises:
        AuditkitError: the page violates the HTML allow-list and must not be written.
    """
    style = page_style()
    changed = [row for row in diff.failures if row.failing or row.fixed]
    page = (
        environment()
        .get_template("diff.html.j2")
        .render(
            diff=diff,
            slopes=[
                (DIMENSIONS.get(row.dimension, (row.dimension, ""))[0], chart)
                for row in diff.headlines
                if (chart := _slope(row)) is not None
            ],
            states=_STATES,
            examples=changed[:_MAX_EXAMPLES],
            n_examples=len(changed),
            runs=(("Baseline", diff.baseline), ("Candidate", diff.candidate)),
            covered=[row for row in diff.coverage if row.changed],
            style=Markup(style),
            csp=style_only_policy(style),
            version=tool_version(),
        )
    )
    check_html(page + "\n", n_scripts=0)
    return page + "\n"


def _slope(row: MetricChange) -> SlopeChart | None:
    """Draw the chart of a metric; None unless both runs measured it."""
    old, new = row.baseline, row.candidate
    if old is None or new is None or old.value is None or new.value is None:
        return None
    return draw_slope(
        row.label,
        row.unit,
        End("baseline", old.value, old.low, old.high),
        End("candidate", new.value, new.low, new.high),
    )
