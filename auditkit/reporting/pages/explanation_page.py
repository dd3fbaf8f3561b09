"""HTML page of an explained recommendation: bars with intervals, a table, and the card.

The page has the style of the report, needs no script, and contains no external links. Titles are
untrusted text and are escaped by the template engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from auditkit.reporting.heat_map import HeatMap
from auditkit.reporting.html import environment, page_style, style_only_policy
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.interval_plots import Row, draw
from auditkit.reporting.sarif import tool_version

__all__ = ["CardRow", "ExplanationView", "render_explanation"]


@dataclass(frozen=True)
class CardRow:
    """One test of the faithfulness card: its name, the result as text, and what the result
    means.
    """

    name: str
    result: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class ExplanationView:
    """Content of the page of one explained recommendation.

    Attributes:
        target: name of the recommender.
        user: user id.
        item: title of the explained item.
        rank: rank of the item in the list, from 1; None if it is not listed.
        unit: unit of all effects.
        effects: one row per span, the largest effect first.
        listed: titles of the list, best first.
        card: tests of the explanation.
        facts: settings and counts as (name, value).
        notes: warnings for the reader.
        heat_map: effects by token of the item's title; None if the title has one token or the
            recommender has no scores.
    """

    target: str
    user: str
    item: str
    rank: int | None
    unit: str
    effects: tuple[Row, ...]
    listed: tuple[str, ...]
    card: tuple[CardRow, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    heat_map: HeatMap | None = None


def render_explanation(view: ExplanationView) -> str:
    """Render the explanation as an HTML page.

    Raises:
        AuditkitError: the page violates the HTML allow-list and must not be written.
    """
    style = page_style()
    title = f"Effect on {view.item}"
    figure = draw(view.effects, title=title, unit=view.unit, kind="bars", origin=0.0)
    template = environment().get_template("explanation.html.j2")
    page = template.render(
        view=view,
        figure=figure,
        style=Markup(style),
        csp=style_only_policy(style),
        version=tool_version(),
    )
    check_html(page + "\n", n_scripts=0)
    return page + "\n"
