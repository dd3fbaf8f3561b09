"""The page: inert under hostile text, complete, honest about what is missing, and small."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from run_folder import HOSTILE, audit_result, findings, outcome, write_policy, write_run

from auditkit.errors import IntegrityError
from auditkit.evidence.manifest import verify_run
from auditkit.reporting import write_report
from auditkit.reporting.html import SOFT_LIMIT_BYTES, palette, render_html
from auditkit.reporting.run_reader import read_source


class _Outline(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(judged_run):
    return (judged_run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(page):
    return _Outline(page)


def test_hostile_text_is_shown_and_never_becomes_markup(page, outline):
    tags = [tag for tag, _ in outline.elements]
    assert "img" not in tags
    assert tags.count("script") == 1
    assert tags.count("title") > 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert not {"\x1b", "\u202e", "\u200b", "\x07"} & set(page)
    assert '<code class="esc">\\u202e</code>' in page
    assert "{{ 7919*7907 }}" in page
    assert str(7919 * 7907) not in page


def test_nothing_points_outside_the_page(outline):
    for _, attributes in outline.elements:
        assert not {"src", "style", "srcset", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_of_the_page_names_its_own_style_and_script_by_hash(outline, page):
    policy = next(a["content"] for t, a in outline.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    from auditkit.reporting.html import _hash

    for tag in ("style", "script"):
        content = page.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
        assert _hash(content) in policy


def test_every_link_has_its_target_and_ids_are_unique(outline):
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for t, a in outline.elements if t == "a"}
    assert links <= set(ids)


def test_sections_stand_in_the_order_of_the_specification(page):
    heads = re.findall(r"<h2>([^<]*)</h2>", page)
    assert heads == [
        "Overview", "What was not tested", "Findings", "Utility", "Hallucination", "Robustness",
        "Fairness", "Privacy", "Explanation", "Conversation", "Rules", "Standards", "Methods",
        "Reproduction", "Glossary",
    ]  # fmt: skip


def test_figures_carry_the_numbers_of_the_result_in_marks_and_tables(page):
    for finding in findings():
        if finding.estimate.value is not None and not finding.metric.startswith("privacy.claim"):
            assert page.count(f'data-value="{finding.estimate.value!r}"') >= 3, finding.metric


def test_every_drawing_has_a_role_a_title_and_a_description(page):
    drawings = re.findall(r"<svg [^>]*>.*?</svg>", page, re.DOTALL)
    assert len(drawings) >= 8
    assert all('role="img"' in d and "<title>" in d and "<desc>In " in d for d in drawings)


def test_the_privacy_claim_stands_beside_the_measured_leakage(page):
    table = page.split('<table class="claims">')[1].split("</table>")[0]
    for text in ("7.98", "1e-5", "user", "0.534", "0.03", "attack=loss", "attack=blind"):
        assert text in table


def test_notes_skips_crashes_waivers_and_the_root_are_on_the_page(page, judged_run):
    assert "0 by construction: the model ranks item tokens" in page
    assert "needs Generates" in page
    assert "crashed" in page
    assert "T-231" in page
    assert f"auditkit verify RUN --root {verify_run(judged_run).root}" in page
    assert "Record of request gone is not in the evidence" in page


def test_two_requests_are_shown_as_a_word_difference(page):
    assert "<del>Recommend </del><ins>Recomend </ins>" in page


def test_the_same_folder_gives_the_same_bytes(judged_run, page):
    assert render_html(read_source(judged_run)) == page


def test_honest_words(page):
    assert not re.search(r"\b(unbiased|guarantee\w*|debias\w*|complies)\b", page, re.IGNORECASE)


def _stamp(page: str) -> str:
    return re.search(r'<header class="verdict (\w+)">', page)[1]


def test_without_a_policy_the_page_is_not_judged(tmp_path):
    page = render_html(read_source(write_run(tmp_path / "run")))
    assert _stamp(page) == "none"
    assert "not judged" in page
    assert "not a release decision" in page


def test_a_run_whose_every_probe_was_skipped_never_looks_green(tmp_path):
    result = audit_result("")
    skipped = tuple(
        outcome(o.probe, status="skipped", counts={}, planned=0, reason="needs Scores")
        for o in result.outcomes
    )
    result = dataclasses.replace(result, outcomes=skipped, findings=())
    run = write_run(tmp_path / "run", result, policy=write_policy(tmp_path), hostile="")
    page = render_html(read_source(run))
    assert _stamp(page) == "inconclusive"
    cards = re.findall(r'<article class="card (\w+)">', page)
    assert len(cards) == 7
    assert "pass" not in cards


def test_a_verdict_about_another_result_is_not_shown(tmp_path):
    run = write_run(tmp_path / "run", policy=write_policy(tmp_path))
    path = run / "verdict.json"
    path.write_text(path.read_text().replace(read_source(run).root, "0" * 64))
    page = render_html(read_source(run))
    assert _stamp(page) == "none"
    assert "was decided for another state of this run" in page


def test_an_interrupted_run_is_watermarked(tmp_path):
    from auditkit.evidence.manifest import seal_manifest

    run = write_run(tmp_path / "run")
    seal_manifest(run, status="interrupted")
    assert "This run is interrupted: 6 records of" in render_html(read_source(run))


def test_a_damaged_run_leaves_the_old_report_alone(tmp_path):
    run = write_run(tmp_path / "run")
    write_report(run)
    before = (run / "report.html").read_bytes()
    (run / "result.json").write_text("{}")
    with pytest.raises(IntegrityError):
        write_report(run)
    assert (run / "report.html").read_bytes() == before


def test_long_text_and_much_evidence_stay_below_the_size_limit(tmp_path):
    from auditkit.types import Evidence

    long = "x<y " * 30_000
    many = tuple(Evidence(requests=("aa01", "bb01"), what=f"{i} {HOSTILE}") for i in range(2000))
    rows = tuple(dataclasses.replace(f, evidence=many) for f in findings(""))
    run = write_run(tmp_path / "run", audit_result("", findings=rows), hostile=long)
    page = render_html(read_source(run))
    assert len(page.encode()) <= SOFT_LIMIT_BYTES
    assert re.search(r"[\d,]+ recorded cases, \d+ shown", page)
    assert "[cut: 120," in page


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_have_enough_contrast(theme):
    colors = palette()[theme]
    for ground in ("paper", "panel", "sunken"):
        for ink in ("ink", "muted", "accent"):
            assert _contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
    for state in ("pass", "fail", "inconclusive", "none"):
        for ground in (f"{state}-soft", "panel"):
            assert _contrast(colors[state], colors[ground]) >= 4.5, (state, ground)
        for ink in ("ink", "muted"):
            assert _contrast(colors[ink], colors[f"{state}-soft"]) >= 4.5, (ink, state)
    for mark in ("mark", "focus"):
        assert _contrast(colors[mark], colors["panel"]) >= 3
    for ground in ("ins", "del"):
        assert _contrast(colors["ink"], colors[ground]) >= 4.5


@pytest.mark.parametrize(
    ("counted", "stored", "words"),
    [
        ((400,), 5, "400 recorded cases, 5 shown"),
        ((12_345, 20), 5, "12,365 recorded cases, 10 shown"),
        ((None,), 3, "3 recorded cases, 3 shown"),
        ((1,), 1, "1 recorded case, 1 shown"),
        ((400,), 0, "400 recorded cases, 0 shown"),
    ],
)
def test_the_count_of_evidence_is_what_failed_and_not_what_was_kept(
    tmp_path, counted, stored, words
):
    from run_folder import rate

    from auditkit.types import Evidence

    kept = tuple(Evidence(requests=("aa01",), what=f"case {i}") for i in range(stored))
    names = ("out_of_catalog_rate", "duplicate_rate")
    rows = tuple(
        rate(f"hallucination.catalog.{name}", 400, 1000, evidence=kept, n_cases=n)
        for name, n in zip(names, counted, strict=False)
    )
    run = write_run(tmp_path / "run", audit_result("", findings=rows), hostile="")
    page = render_html(read_source(run))
    assert words in page
    if counted[0]:
        assert f'<td class="n">{counted[0]:,}</td>' in page
