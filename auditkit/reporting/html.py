"""`report.html`: one self-contained file without network requests, rendered from the run folder.

The template engine passes every string through `text.inert`, a missing variable raises an error,
and the rendered page is checked against an allow-list before it is written.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from auditkit.registry import probes
from auditkit.reporting.evidence_cards import build_cards, n_cases
from auditkit.reporting.headlines import headlines
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.html_escaping import (
    attribute,
    breakable,
    format_number,
    inert,
    json_number,
    prose,
    slug,
)
from auditkit.reporting.run_reader import ReportSource
from auditkit.reporting.sarif import tool_version
from auditkit.reporting.sections import Section, build_sections, row_of, verdict_of
from auditkit.reporting.standards import table
from auditkit.reporting.statements.first_screen import first_screen
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import RESPONSE_STATUSES, Finding

__all__ = ["environment", "page_style", "palette", "render_html", "style_only_policy"]

SOFT_LIMIT_BYTES = 2_000_000
_MAX_CARDS = 120


def palette() -> Mapping[str, Mapping[str, str]]:
    """Colors of the light and the dark theme by role."""
    loaded: Mapping[str, Mapping[str, str]] = json.loads(_file("palette.json"))
    return loaded


@cache
def _file(name: str) -> str:
    return (files("auditkit.reporting") / name).read_text(encoding="utf-8")


def page_style() -> str:
    """Style sheet that defines the light and the dark palette as CSS variables."""

    def block(theme: str) -> str:
        return "".join(f"--{name}:{value};" for name, value in palette()[theme].items())

    return (
        f":root{{{block('light')}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{block('dark')}}}}}\n"
        f"@media print{{:root{{{block('light')}}}}}\n" + _file("templates/report.css")
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _finalize(value: object) -> Markup:
    """Convert the value of a template expression: escape it, unless it is markup of auditkit."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(
            f"A template printed a value of type {type(value).__name__}. Print only text and "
            "numbers."
        )
    return inert(value if isinstance(value, str) else format_number(value))


@cache
def environment() -> jinja2.Environment:
    """Create the template engine, which escapes every string."""
    engine = jinja2.Environment(
        loader=jinja2.PackageLoader("auditkit.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters.update(
        num=format_number,
        attribute=attribute,
        breakable=breakable,
        json=json_number,
        prose=prose,
        slug=slug,
        unmasked=partial(inert, masked=False),
    )
    return engine


def render_html(source: ReportSource) -> str:
    """Render the report as one HTML page.

    Evidence cards are removed, evenly over the findings, until the page is smaller than 2 MB. The
    page states the number of displayed cards and the total.

    Raises:
        AuditkitError: the page violates the HTML allow-list; it must not be written.
    """
    limit = _MAX_CARDS
    while True:
        page = _render(source, limit)
        if len(page.encode("utf-8", "surrogatepass")) <= SOFT_LIMIT_BYTES or limit == 0:
            break
        limit //= 2
    check_html(page)
    return page


def _render(source: ReportSource, limit: int) -> str:
    result, decision = source.result, source.decision
    sections = build_sections(result, decision)
    style, script = page_style(), _file("templates/report.js")
    state = decision.verdict if decision else "none"
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            source=source,
            result=result,
            decision=decision,
            state=state,
            word=state if decision else "not judged",
            mark={"pass": "\u2713", "fail": "\u2715", "inconclusive": "?", "none": "\u25cb"}[state],
            csp=_content_security_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            version=tool_version(),
            headlines=headlines(result, decision, sections),
            screen=first_screen(
                result,
                decision,
                n_not_planned=len(_not_planned(result.outcomes)),
                n_small_groups=len(_small_groups(result.findings)),
            ),
            sections=sections,
            cards={s.key: _cards_of(source, s, limit) for s in sections},
            rows=[_finding_row(source, finding) for finding in result.findings],
            not_run=[outcome for outcome in result.outcomes if outcome.status != "ran"],
            not_planned=_not_planned(result.outcomes),
            statuses=[*RESPONSE_STATUSES, "not_run"],
            n_planned=sum(outcome.planned for outcome in result.outcomes),
            n_errors=_n_errors(source),
            small_groups=_small_groups(result.findings),
            standards=table(frozenset(s.key for s in sections if s.measured)),
            date=str(source.manifest.get("volatile", {}).get("finished", "not recorded")),
            fingerprints=sorted(source.manifest.get("fingerprints", {}).items()),
            catalog=[(key, _plain(value)) for key, value in sorted(result.catalog.items())],
            recipe=canonical_json(result.recipe, indent=1),
            plain=_plain,
        )
    )
    return page + "\n"


def _content_security_policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-src 'none'; object-src 'none'"
    )


def style_only_policy(style: str) -> str:
    """Content security policy of a page without scripts."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'; "
        "frame-src 'none'; object-src 'none'"
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _cards_of(source: ReportSource, section: Section, limit: int) -> Mapping[str, Any]:
    """Return the evidence cards of a section, and the number of recorded cases."""
    findings = [f for f in source.result.findings if f.metric.split(".", 1)[0] == section.key]
    cards, total = build_cards(source, findings, limit=limit // 6)
    return {"shown": cards, "total": total}


def _finding_row(source: ReportSource, finding: Any) -> Mapping[str, Any]:
    rule = verdict_of(finding, source.decision)
    return {
        "finding": finding,
        "row": row_of(finding, finding.metric, source.decision),
        "rule": rule,
        "n_cases": n_cases(finding),
        "dimension": finding.metric.split(".", 1)[0],
    }


def _not_planned(outcomes: Sequence[Any]) -> list[Any]:
    """Return the registered probes that are not in the recipe."""
    planned = {outcome.probe for outcome in outcomes}
    return [probe for probe in probes().values() if probe.id not in planned]


def _n_errors(source: ReportSource) -> int:
    totals = Counter[str]()
    for outcome in source.result.outcomes:
        totals.update(outcome.counts)
    return totals["timeout"] + totals["target_error"]


def _small_groups(findings: Sequence[Finding]) -> list[Finding]:
    """Return, for each group of fewer than 30 units, the finding with the fewest units."""
    small = [f for f in findings if f.group != "all" and f.estimate.n < 30]
    fewest = {f.group: f for f in sorted(small, key=lambda f: -f.estimate.n)}
    return sorted(fewest.values(), key=lambda f: f.group)
