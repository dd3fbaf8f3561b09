"""The section `checks:` of a recipe: what is accepted, and every error with its line."""

from __future__ import annotations

import re

import pytest

from auditkit.errors import ConfigurationError
from auditkit.probes.own_checks.patterns import has_nested_repetition
from auditkit.run.recipe import read_recipe

GOOD = """\
  - {id: old, about: films before 1960, on: items, attribute: year, below: 1960}
  - {id: horror, about: no horror, on: items, attribute: genre, is: Horror}
  - {id: known, about: nothing seen, on: items, in_history: true}
  - {id: short, about: at least five, on: answer, fewer_than: 5}
  - {id: links, about: no links, on: text, matches: "https?://"}
  - {id: ads, about: no ads, on: text, contains: [buy now, sponsored]}
"""


def recipe(tmp_path, checks, probes=""):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"version: 1\nname: mine\n{probes}checks:\n{checks}", encoding="utf-8")
    return read_recipe(path)


def test_checks_become_the_parameter_of_the_last_probe(tmp_path):
    probes = "probes:\n  check: {n_users: 20, k: 5}\n  utility.ranking: {}\n"
    found = recipe(tmp_path, GOOD, probes)
    assert list(found.probes) == ["utility.ranking", "check"]
    probe = found.build("check")
    assert (probe.n_users, probe.k) == (20, 5)
    ids = [check.id for check in probe.checks]
    assert ids == ["old", "horror", "known", "short", "links", "ads"]
    assert probe.checks[0].comparison == ("<", "1960")
    assert list(found.only(["check"]).probes) == ["check"]


def test_a_recipe_may_consist_of_checks_only(tmp_path):
    assert list(recipe(tmp_path, GOOD).probes) == ["check"]


def test_a_recipe_without_checks_has_the_same_content_as_before(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("version: 1\nname: mine\nprobes: {utility.ranking: {}}\n", encoding="utf-8")
    assert set(read_recipe(path).model_dump(mode="json")) == {
        "version", "name", "seed", "data", "catalog", "batch_size", "probes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("on: items, attribute: year", "exactly one of is, is_not, below and above"),
        ("on: items, attribute: year, below: 1, above: 3", "exactly one of is, is_not"),
        ("on: items, below: 1960", "exactly one of attribute, in_history"),
        ("on: items, in_history: true, is: Horror", "`attribute` needs exactly one"),
        ("on: items, contains: [x]", "exactly one of attribute, in_history"),
        ("on: text, contains: []", "at least 1 item"),
        ("on: text, matches: '('", "not a valid regular expression"),
        ("on: text, matches: 'a*'", "also matches the empty text"),
        ("on: text, matches: '(a+)+x'", "may take hours"),
        ("on: answer, fewer_than: 0", "greater than or equal to 1"),
        ("on: answer", "exactly one of fewer_than"),
        ("on: lists, fewer_than: 3", "'items', 'answer' or 'text'"),
        ("on: answer, fewer_then: 3", "unknown key. Did you mean 'fewer_than'"),
    ],
)
def test_a_check_that_could_find_nothing_is_refused_with_its_line(tmp_path, entry, message):
    line = "  - {id: first, about: x, on: answer, fewer_than: 2}\n"
    with pytest.raises(ConfigurationError, match=re.escape(message)) as error:
        recipe(tmp_path, f"{line}  - {{id: bad, about: x, {entry}}}\n")
    assert "recipe.yaml:5" in str(error.value)


@pytest.mark.parametrize(
    ("pattern", "nested"),
    [
        ("(a+)+x", True), ("((a+)b)*x", True), (r"(?:\d{1,}-)+x", True), ("(a*b|c){2,}x", True),
        ("(ab)+x", False), (r"(\+49)+x", False), ("([+*]b)+x", False), ("(a{3}b)+x", False),
        (r"https?://\S+", False), ("a+b+", False), ("(a+)b+", False), (r"\(a+\)+x", False),
    ],
)  # fmt: skip
def test_nested_repetitions_are_found_by_their_structure(pattern, nested):
    re.compile(pattern)
    assert has_nested_repetition(pattern) is nested


def test_ids_occur_once(tmp_path):
    line = "  - {id: same, about: x, on: answer, fewer_than: 2}\n"
    with pytest.raises(ConfigurationError, match="'same' occurs twice"):
        recipe(tmp_path, line * 2)


def test_the_probe_needs_the_section_and_no_recipe_is_empty(tmp_path):
    path = tmp_path / "recipe.yaml"
    for text, message in (
        ("probes: {check: {}}", "unknown probe"),
        ("checks: []", "this key is required"),
        ("probes: {}", "no probe"),
    ):
        path.write_text(f"version: 1\nname: mine\n{text}\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=message):
            read_recipe(path)
