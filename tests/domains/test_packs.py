"""The shipped packs: the words of movies are unchanged, and no other pack speaks of films."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.domains.shipped import DOMAINS, MOVIES, domain_pack, require_domain, wording
from auditkit.errors import ConfigurationError
from auditkit.probes.fairness.candidates import instructions
from auditkit.probes.hallucination.constraint_choices import as_words
from auditkit.recommenders.prompting.prompts import Prompts

RECORDED = json.loads((Path(__file__).parent / "movies_prompts.json").read_text(encoding="utf-8"))
TEMPLATES = ("titles", "title_lists", "item_tokens")
OTHERS = [name for name in DOMAINS if name != MOVIES]
FILMS = re.compile(r"\b(?:movies?|films?|watch\w*|viewing|Filme?)\b", re.IGNORECASE)


def every_prompt(name):
    pack = domain_pack(name)
    for template in TEMPLATES:
        yield json.dumps(Prompts.shipped(template, pack).as_mapping(), ensure_ascii=False)
    for wordings in instructions((), n=3, pack=pack, history=False, listing=True).values():
        yield from wordings
    for one in ("choose_from", "ask_again", "judge"):
        yield wording(pack, one)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_prompts_of_movies_are_those_of_recorded_runs(name):
    recorded = Prompts.from_mapping(RECORDED[name])
    shipped = Prompts.shipped(name, domain_pack(MOVIES))
    kept = {task: prompt for task, prompt in shipped.tasks.items() if task in recorded.tasks}
    # A model folder has only the tasks of its recipe, so a new one changes no recorded prompt.
    assert replace(shipped, tasks=kept) == recorded


def test_the_wordings_of_movies_are_those_of_recorded_runs():
    pack = domain_pack(MOVIES)
    for name, text in RECORDED["wordings"].items():
        assert wording(pack, name) == text
    counterfactual = RECORDED["counterfactual"]
    found = instructions((), n=3, pack=pack, history=False, listing=True)
    assert found["phrases"] == tuple(
        template + counterfactual["choose"] for template in counterfactual["templates"]
    )
    assert found["german"] == (counterfactual["german"] + counterfactual["choose"],)
    for said, words in RECORDED["constraints"].items():
        assert as_words([Constraint(*said.split())], pack) == words


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_pack_speaks_of_films_or_leaves_a_noun_open(name):
    for text in every_prompt(name):
        assert not FILMS.search(text), text
        assert not re.search(r"\[[A-Za-z]+\]", text), text


def test_a_catalog_without_a_domain_gets_the_neutral_pack():
    assert domain_pack(None).name == "items"


def test_every_pack_has_cues_in_both_languages():
    for name in DOMAINS:
        for predicate in domain_pack(name).predicates.values():
            assert {"en", "de"} <= predicate.cues.keys()


def test_an_unknown_domain_is_an_error_with_a_hint():
    with pytest.raises(ConfigurationError, match="Did you mean 'products'"):
        require_domain("product")
    with pytest.raises(ConfigurationError, match="or the YAML file of your own pack"):
        domain_pack("flowers")


def test_a_pack_with_unknown_keys_or_wordings_is_an_error(tmp_path):
    nouns = "nouns: {item: a, items: b, verb: c, done: d, doing: e}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\n{nouns}predicate: {{}}\n")
    with pytest.raises(ConfigurationError, match="predicate: unknown key"):
        domain_pack(str(path))
    other = tmp_path / "other.yaml"
    other.write_text(f"name: mine\n{nouns}wordings: {{judges: x}}\n")
    with pytest.raises(ConfigurationError, match="unknown name 'judges'"):
        domain_pack(str(other))
