"""Numbers and tables as the documentation shows them."""

from __future__ import annotations


def short(number, digits=3):
    """Without the zero before the point; - where there is no number."""
    if number is None:
        return "-"
    text = f"{number:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(number) < 1 else text


def shown(estimate, *, digits=3, signed=False):
    """Value and interval; - where there is no number."""
    if estimate is None or estimate.value is None:
        return "-"
    sign = "+" if signed and estimate.value > 0 else ""
    low, high = (short(end, digits) for end in (estimate.low, estimate.high))
    return f"{sign}{short(estimate.value, digits)} [{low}, {high}]"


def write_between(page, marker, lines):
    """Replace what stands between a marker's comments in a page."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {marker} -->", f"<!-- end {marker} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text("\n".join([before + begin, "", *lines, "", end + after]), encoding="utf-8")
