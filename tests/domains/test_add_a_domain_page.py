"""The pack of docs/how-to/add-a-domain.md, used for prompts and claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph, Predicate
from auditkit.catalog.items import CatalogItem
from auditkit.claims.reader import ClaimReader
from auditkit.domains.shipped import domain_pack
from auditkit.probes.hallucination.constraint_choices import as_words, constraint_choices
from auditkit.recommenders.prompting.prompts import Prompts

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-domain.md"
PREDICATES = (
    Predicate("cuisine", "closed"),
    Predicate("author", "functional", type="entity"),
    Predicate("minutes", "functional", type="integer"),
    Predicate("cost", "functional"),
)
TRIPLES = (
    ("r1", "cuisine", "Thai"), ("r1", "author", "Mai Wong"), ("r1", "minutes", "35"),
    ("r1", "cost", "8.50 EUR"), ("r2", "cuisine", "Italian"), ("r2", "minutes", "90"),
)  # fmt: skip


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    """A catalog of two recipes with the pack of the page."""
    pack = re.search(r"```yaml\n(# recipes.yaml\n.*?)```", PAGE.read_text("utf-8"), re.S)[1]
    assert len(pack.splitlines()) <= 60
    path = tmp_path_factory.mktemp("pack") / "recipes.yaml"
    path.write_text(pack, encoding="utf-8")
    items = (CatalogItem("r1", "Green Papaya Salad"), CatalogItem("r2", "Osso Buco Milanese"))

    def graph(_):
        return KnowledgeGraph.from_triples(["r1", "r2"], PREDICATES, TRIPLES)

    return Catalog(items, name="recipes", build_graph=graph, domain=str(path))


def verdicts(catalog, text, item_id):
    (reading,) = ClaimReader(catalog).read([text], [item_id])
    return {(c.relation, c.value): (c.verdict, c.strength) for c in reading.claims}


def test_prompts_speak_of_recipes(recipes):
    prompts = Prompts.shipped("titles", domain_pack(recipes.domain))
    assert "Recommend {k} recipes that I have not cooked" in prompts.recommend[0]
    assert "numbered list of recipe names and nothing else" in prompts.recommend[0]


def test_constraints_are_those_of_the_pack(recipes):
    pack = domain_pack(recipes.domain)
    choices = constraint_choices(recipes, pack)
    words = {as_words([one], pack) for one in (*choices.labels, *choices.bounds)}
    assert "from the Thai cuisine" in words
    assert all("minutes" in one or "cuisine" in one for one in words)


def test_facts_are_read_in_english_and_german(recipes):
    english = "This Thai dish by Mai Wong asks for patience and 35 minutes and costs €9."
    assert verdicts(recipes, english, "r1") == {
        ("cuisine", "Thai"): ("supported", "implied"),
        ("author", "Mai Wong"): ("supported", "stated"),
        ("minutes", "35 min"): ("supported", "implied"),
        ("cost", "9 EUR"): ("contradicted", "stated"),
    }
    german = "Das Gericht von Mai Wong dauert 50 Minuten und kostet 8,50 €."
    assert verdicts(recipes, german, "r1") == {
        ("author", "Mai Wong"): ("supported", "stated"),
        ("minutes", "50 min"): ("contradicted", "stated"),
        ("cost", "8.5 EUR"): ("supported", "stated"),
    }


def test_a_time_of_another_step_is_no_claim(recipes):
    assert verdicts(recipes, "Preheat the oven for 20 minutes.", "r2") == {}
