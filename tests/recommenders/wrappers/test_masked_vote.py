"""A vote over masked copies, on rankings that depend on one word and on a small model."""

from __future__ import annotations

from itertools import product

import pytest
from small_folder import ITEMS, save
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.errors import TargetUnavailable
from auditkit.probes.robustness.certificate import certify
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.prompting.word_masks import WordMasks, words_of
from auditkit.recommenders.target_uri import split_prefix
from auditkit.recommenders.wrappers.masked_vote import MaskedVote, item_key, tally
from auditkit.recommenders.wrappers.wrap import wrap
from auditkit.types import RankedItem, Request, Response

INSTRUCTION = "Name five good movies now for me please. {history}"


class ReadsOneWord:
    """Lists another item first if the prompt has the word "good"."""

    name = "one-word"
    prompts = Prompts.shipped("titles", domain_pack("movies"))

    def render(self, request: Request) -> str:
        return self.prompts.render(request)

    def reference(self, item):
        return item.title

    def recommend(self, requests):
        return [self._list(request) for request in requests]

    def _list(self, request: Request) -> Response:
        order = ("b", "a") if "good" in request.prompt else ("a", "b")
        return Response(
            request_id=request.id, status="ok", items=tuple(RankedItem(raw=one) for one in order)
        )


def asked(instruction=INSTRUCTION):
    return Request(id="1", k=2, instruction=instruction, history=ITEMS[:2])


def test_a_word_that_few_copies_keep_loses_the_vote():
    recommender = ReadsOneWord()
    request = asked()
    assert recommender._list(
        Request(id="1", prompt=recommender.render(request))
    ).items[0].raw == "b"  # fmt: skip
    voted = MaskedVote("voted:x", recommender, instruction=INSTRUCTION, copies=50)
    (answer,) = voted.recommend([request])
    assert [item.raw for item in answer.items] == ["a", "b"]
    assert (answer.request_id, answer.items[0].score) == ("1", pytest.approx(0.75))


def test_tally_orders_by_first_places_then_ranks():
    def listed(letters):
        return [RankedItem(raw=letter) for letter in letters]

    order = tally([listed("abc"), listed("acb"), listed("bca")])
    assert [item.raw for item in order] == ["a", "b", "c"]
    assert [item.score for item in order] == [pytest.approx(2 / 3), pytest.approx(1 / 3), 0]


def test_an_unanswered_request_stays_unanswered():
    class Refuses(ReadsOneWord):
        def _list(self, request):
            return Response(request_id=request.id, status="refusal", text="no")

    voted = MaskedVote("voted:x", Refuses(), instruction=INSTRUCTION, copies=50)
    (answer,) = voted.recommend([asked()])
    assert (answer.status, answer.request_id) == ("refusal", "1")


@pytest.mark.parametrize("target", ["voted(copies=0):x", "voted(n=3):x", "voted(copies=many):x"])
def test_options_that_say_nothing_are_refused(target):
    prefix = split_prefix(target)
    assert prefix is not None
    with pytest.raises(TargetUnavailable, match="not valid"):
        wrap(prefix, ReadsOneWord(), world())


def test_a_recommender_without_prompts_is_refused():
    prefix = split_prefix("voted:x")
    assert prefix is not None
    with pytest.raises(TargetUnavailable, match="renders its own prompts"):
        wrap(prefix, object(), world())


def test_no_attack_beats_the_certificate_of_a_model(tmp_path):
    """Every text over a few words in each of four places is tried against a small language model,
    and the first item of the vote is compared with the certificate of the clean text.
    """
    model = load_folder(save(tmp_path))
    words = ("movies", "a", "films", "next")
    request = Request(
        id="1", k=3, instruction="{history} watch more good movies", history=ITEMS[:3]
    )
    masks = WordMasks.draw(4, share=0.25, copies=9, rng=None)
    voted = MaskedVote("voted:tiny", model, instruction="", copies=9)

    def copies_of(instruction):
        found = []
        for number, text in enumerate(masks.copies(instruction)):
            copy = Request(id=str(number), k=3, instruction=text, history=request.history)
            found.append(Request(**{**vars(copy), "prompt": model.render(copy)}))
        return [item_key(answer.items[0]) for answer in model.recommend(found)]

    clean = request.instruction
    allowed = certify(copies_of(clean), masks, confidence=0.95)
    (before,) = voted.recommend([request])
    assert len(words_of(clean)) == 4
    changed_at = set()
    for places in product((None, *words), repeat=4):
        text = "{history} " + " ".join(
            new or old for new, old in zip(places, clean.split()[1:], strict=True)
        )
        (after,) = voted.recommend([Request(**{**vars(request), "instruction": text})])
        if item_key(after.items[0]) != item_key(before.items[0]):
            changed_at.add(sum(new is not None for new in places))
    assert changed_at  # an attack with enough words succeeds
    assert allowed is None or min(changed_at) > allowed
