"""Check of a rendered page against an allow-list of HTML elements and attributes.

Escaping is the first line of defense; this check detects a template without escaping before the
file is written. Only the history page may link to other files, and only to reports in its folder or
below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from auditkit.errors import AuditkitError

__all__ = ["check_html", "is_report_link"]

_RULES: Mapping[str, Any] = json.loads(
    (files("auditkit.reporting") / "allowlist.json").read_text(encoding="utf-8")
)
_HTML, _SVG, _META, _COMMON, _PRESENTATION = (
    frozenset(_RULES[name].split()) for name in ("html", "svg", "meta", "common", "presentation")
)
# Percent-encoded parts; a colon, which would end a scheme, is always encoded.
_REPORT_LINK = re.compile(r"(?:[A-Za-z0-9._~%+=@,-]+/)*report\.html")
_COUNTS = ("none", "one")
_ATTRIBUTES = {tag: frozenset(names.split()) for tag, names in _RULES["attributes"].items()}


class _Checker(HTMLParser):
    """HTML parser that records the first violation of the allow-list."""

    def __init__(self, *, reports: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._reports = reports
        self.fault: str | None = None
        self.seen: dict[str, int] = {}
        self._svg_depth = 0

    def reject(self, reason: str) -> None:
        """Record the first violation with its line."""
        self.fault = self.fault or f"line {self.getpos()[0]}: {reason}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check a start tag and its attributes against the allow-list."""
        if tag not in _HTML | _SVG:
            self.reject(f"element <{tag}>")
        if tag in _SVG - _HTML and tag != "svg" and not self._svg_depth:
            self.reject(f"element <{tag}> outside an svg")
        self._svg_depth += tag == "svg"
        if not (tag == "title" and self._svg_depth):
            self.seen[tag] = self.seen.get(tag, 0) + 1
        allowed = _COMMON | _ATTRIBUTES.get(tag, frozenset())
        if tag in _SVG:
            allowed = allowed | _PRESENTATION
        for name, value in attrs:
            if name not in allowed and not name.startswith(("aria-", "data-")):
                self.reject(f"attribute {name} of <{tag}>")
            if name == "href" and not self._may_link(value or ""):
                self.reject("a link that leaves the page")
        if tag == "meta":
            self._check_meta(dict(attrs))

    def _may_link(self, address: str) -> bool:
        return address.startswith("#") or (self._reports and is_report_link(address))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an svg element."""
        self._svg_depth -= tag == "svg"

    def handle_comment(self, data: str) -> None:
        """Reject comments, because parsers disagree on where they end."""
        self.reject("a comment")

    def handle_decl(self, decl: str) -> None:
        """Reject declarations other than the doctype."""
        if decl.lower() != "doctype html":
            self.reject("a declaration")

    def handle_pi(self, data: str) -> None:
        """Reject processing instructions."""
        self.reject("a processing instruction")

    def _check_meta(self, attributes: dict[str, str | None]) -> None:
        policy = attributes.get("http-equiv")
        if policy is not None and policy != "Content-Security-Policy":
            self.reject(f"meta http-equiv {policy}")
        if policy is None and "charset" not in attributes and attributes.get("name") not in _META:
            self.reject(f"meta {attributes.get('name')}")


def is_report_link(address: str) -> bool:
    """Whether an address is a relative path to a `report.html` beside the page or below it.

    Such a path has no scheme, host, query, fragment or `..`. Browsers decode `%2e%2e` as `..`, so
    the parts of the path are checked after decoding.
    """
    if not _REPORT_LINK.fullmatch(address):
        return False
    parts = [unquote(part) for part in address.split("/")]
    return not any(part in (".", "..") or "/" in part or "\\" in part for part in parts)


def check_html(page: str, *, n_scripts: int = 1, reports: bool = False) -> None:
    """Reject a page with elements or attributes outside the allow-list.

    Args:
        page: the rendered HTML.
        n_scripts: number of script elements that the page must have.
        reports: whether the page may link to reports; see `is_report_link`.

    Raises:
        AuditkitError: the page violates the allow-list and must not be written; the message names
            the first violation.
    """
    checker = _Checker(reports=reports)
    checker.feed(page)
    checker.close()
    for tag in _RULES["once"].split():
        allowed = n_scripts if tag == "script" else 1
        if checker.fault is None and checker.seen.get(tag, 0) != allowed:
            seen = checker.seen.get(tag, 0)
            checker.fault = f"{seen} elements <{tag}>, exactly {_COUNTS[allowed]} is allowed"
    if checker.fault:
        raise AuditkitError(
            f"The rendered report violates the HTML allow-list ({checker.fault}). No file was "
            "written. Please report this as a bug."
        )
