"""Prompts of the probes of threats: words of the domain, filled slots, and a dry run."""

from __future__ import annotations

import re

import pytest
from planted_recommenders import Clean
from planted_threats import Linked
from run_probe import run_probe, target_for
from small_world import world

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.domains.shipped import DOMAINS, domain_pack
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable, load_users
from auditkit.recommenders.execution.call_collector import CallCollector
from auditkit.recommenders.execution.target import Target
from auditkit.registry import load_object, probe_spec

PROBES = (
    "robustness.item.inject", "robustness.item.cues", "robustness.leak", "robustness.refusal",
    "robustness.premise",
)  # fmt: skip
SLOT = re.compile(r"\{\w+\}|\[(?:items?|Items?|done|verb|listing)\]")


class Listens(Clean):
    """Keeps all texts that it gets."""

    def __init__(self):
        self.texts = []

    def answer(self, request):
        self.texts += [request.prompt, *(turn.content for turn in request.messages)]
        return super().answer(request)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("probe_id", PROBES)
def test_prompts_have_the_words_of_the_domain_and_no_open_slot(probe_id, domain, tmp_path):
    listens, spec = Listens(), probe_spec(probe_id)
    catalog = Catalog(world().catalog.items, domain=domain)
    data = Dataset(catalog, world().interactions)
    target = target_for(Linked(listens), tmp_path, catalog=catalog).for_probe(spec)
    context = Context(data, 0, probe_id, {}, load_users(data))
    try:
        list(load_object(spec.path)(n_users=12).run(target, context))
    except NotAssessable:
        assert probe_id == "robustness.premise"  # the pack words no fact of this catalog
        return
    others = {word for name in DOMAINS for word in domain_pack(name).words}
    pack = domain_pack(domain)
    foreign = others - {*pack.words, *pack.item_words}
    words = {word.casefold() for text in listens.texts for word in re.findall(r"\w+", text)}
    assert not words & foreign & {"movie", "movies", "films", "book", "books", "job", "jobs"}
    assert pack.nouns.items.split()[0] in words
    assert not [text for text in listens.texts if SLOT.search(text)]


@pytest.mark.parametrize("probe_id", [*PROBES, "robustness.age"])
def test_a_dry_run_collects_as_many_calls_as_a_run_sends(probe_id):
    spec, collector = probe_spec(probe_id), CallCollector()
    target = Target(Clean(), catalog=world().catalog, log=collector, seed=0, fingerprint="f")
    context = Context(world(), 0, probe_id, {}, load_users(world()))
    list(load_object(spec.path)(n_users=12).run(target.for_probe(spec), context))
    sent = sum(run_probe(probe_id, Linked(Clean()), n_users=12).counts.values())
    assert len(collector.questions) == pytest.approx(sent, rel=0.05)


@pytest.mark.parametrize(
    ("probe_id", "parameters"),
    [
        ("robustness.item.inject", {"families": ("flattery",)}),
        ("robustness.item.inject", {"k": 20}),
        ("robustness.item.inject", {"templates": 5}),
        ("robustness.item.cues", {"cues": ("color",)}),
        ("robustness.leak", {"n_prompts": 13}),
        ("robustness.refusal", {"k": 0}),
        ("robustness.premise", {"n_users": 0}),
        ("robustness.age", {"predicate": "genre"}),
    ],
)
def test_parameters_out_of_range_are_named_with_what_to_give(probe_id, parameters):
    with pytest.raises(InvalidArgument, match=rf"{probe_id} got .*Give "):
        load_object(probe_spec(probe_id).path)(**parameters)
