"""Generate the probe and recipe pages from the registry and the shipped recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditkit.registry import load_object, probes
from auditkit.shipped_recipes import shipped_recipes


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill the markers of the generated pages."""
    if "<!-- probes -->" in markdown:
        markdown = markdown.replace("<!-- probes -->", _probes())
    if "<!-- recipes -->" in markdown:
        markdown = markdown.replace("<!-- recipes -->", _recipes())
    return markdown


def _probes() -> str:
    parts = []
    for spec in probes().values():
        kinds = load_object(spec.path).needs
        needs = ", ".join(kind.__name__ for kind in kinds) or "no capability"
        parts.append(f"## `{spec.id}`\n\n{spec.about}\n\nNeeds: {needs}. Source: {spec.source}.\n")
        parts.append("| metric | better | ideal | unit | about |\n|---|---|---|---|---|")
        for metric in spec.metrics:
            ideal = "" if metric.ideal is None else f"{metric.ideal:g}"
            cells = (f"`{metric.id}`", metric.direction, ideal, metric.unit, metric.about)
            parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def _recipes() -> str:
    return "\n".join(
        f"## `{name}`\n\n```yaml\n{Path(path).read_text(encoding='utf-8').rstrip()}\n```\n"
        for name, path in shipped_recipes().items()
    )
