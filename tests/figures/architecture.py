"""Draw `docs/explain/architecture.svg`: the layers of the package and who imports whom.

The layers are those of the architecture test; boxes, file counts and arrows are read from the
source. An arrow that follows from two others is left out. `python tests/figures/architecture.py`
writes the file; a test compares it with the source.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "architecture"))

from test_imports import FILES, LAYERS, own_parts, part, tree_of  # noqa: E402 - path set above

PAGE = ROOT / "docs" / "explain" / "architecture.svg"
WIDTH, ROW, BOX_HEIGHT, MARGIN, GAP = 1000, 112, 58, 16, 14
LABEL = 36  # characters of a box's second line


def imports() -> dict[str, set[str]]:
    """Which parts of the package each part imports, without itself."""
    edges: dict[str, set[str]] = {name: set() for names in LAYERS for name in names}
    for path in FILES:
        if part(path) in edges:
            edges[part(path)] |= own_parts(path) & edges.keys() - {part(path)}
    return edges


def reduced(edges: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The transitive reduction: edges that no longer path implies."""

    def reached(start: str) -> set[str]:
        found = set()
        for other in edges[start]:
            found |= {other} | reached(other)
        return found

    return sorted(
        (start, end)
        for start, ends in edges.items()
        for end in ends
        if not any(end in reached(other) for other in ends - {end})
    )


def about(name: str) -> str:
    """First sentence of the docstring of a folder or module."""
    files = [path for path in FILES if part(path) == name]
    path = next((p for p in files if p.name == "__init__.py" and p.parent.name == name), files[0])
    first = (ast.get_docstring(tree_of(path)) or "").split("\n\n")[0]
    words = " ".join(first.split()).rstrip(".")
    return words if len(words) <= LABEL else words[: LABEL - 1].rsplit(" ", 1)[0] + " ..."


def svg() -> str:
    """The picture as SVG; it has a title, a description, and no text that is only color."""
    rows = list(reversed(LAYERS))
    place: dict[str, tuple[float, float, float]] = {}
    parts = []
    for y, names in enumerate(rows):
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
        width = min(width, 300)
        left = (WIDTH - len(names) * width - GAP * (len(names) - 1)) / 2
        for x, name in enumerate(names):
            n = sum(part(path) == name for path in FILES)
            at = left + x * (width + GAP), MARGIN + y * ROW
            place[name] = (*at, width)
            files = "1 file" if n == 1 else f"{n} files"
            parts.append(
                f'<g><rect x="{at[0]:.0f}" y="{at[1]}" width="{width:.0f}" height="{BOX_HEIGHT}" '
                f'rx="6" fill="#f4f6fa" stroke="#4a5a78"/>'
                f'<text x="{at[0] + width / 2:.0f}" y="{at[1] + 24}" text-anchor="middle" '
                f'font-size="15" font-weight="600" fill="#1b2436">{escape(name)}</text>'
                f'<text x="{at[0] + width / 2:.0f}" y="{at[1] + 44}" text-anchor="middle" '
                f'font-size="11" fill="#44506a">{files}</text>'
                f"<title>{escape(name)}: {escape(about(name))}</title></g>"
            )
    lines = []
    edges = reduced(imports())
    for start, end in edges:
        (x1, y1, w1), (x2, y2, w2) = place[start], place[end]
        begin = (x1 + w1 / 2, y1 + BOX_HEIGHT)
        stop = (x2 + w2 / 2, y2)
        if y1 == y2:
            begin, stop = (x1 + w1 / 2, y1 + BOX_HEIGHT), (x2 + w2 / 2, y2 + BOX_HEIGHT)
        bend = (ROW - BOX_HEIGHT) / 2
        lines.append(
            f'<path d="M{begin[0]:.0f} {begin[1]:.0f} C{begin[0]:.0f} {begin[1] + bend:.0f} '
            f"{stop[0]:.0f} {stop[1] + (bend if y1 == y2 else -bend):.0f} "
            f'{stop[0]:.0f} {stop[1]:.0f}" fill="none" stroke="#8a97b1" stroke-width="1" '
            'marker-end="url(#tip)"/>'
        )
    height = 2 * MARGIN + ROW * (len(rows) - 1) + BOX_HEIGHT
    words = "; ".join(f"{start} imports {end}" for start, end in edges)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif">\n<title>Layers of auditkit</title>\n'
        f"<desc>{escape(words)}</desc>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#8a97b1"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join([*lines, *parts])
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    PAGE.write_text(svg(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))
