"""One explained recommendation as a page: signed bars with intervals, a table twin, and the card.

The page has the style of the report, needs no script, and contains no link that leaves it. Titles
are untrusted text and are escaped by the template engine.
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
    """One test of the card: its name, the result in words, and what the result means."""

    name: str
    result: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class ExplanationView:
    """What a reader sees of one explained recommendation.

    Attributes:
        target: name of the recommender. user: user id. item: title of the explained item.
        rank: its rank in the list, from 1; None if it is not listed.
        unit: of all effects. effects: a row per span, the largest first.
        listed: titles of the list, best first. card: tests of the explanation.
        facts: name and value of the settings and counts. notes: what a reader must know.
        heat_map: effects by token of the item; None for an item of one token or without scores.
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
    """The page as HTML.

    Raises:
        AuditkitError: the page violates the HTML allow-list; it must not be written.
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
