"""A real tiny T5 in a folder: it ranks item tokens, writes text and scores titles."""

from __future__ import annotations

import pytest
import torch
from tiny_models import one_by_one, worst
from tiny_t5 import ITEMS, save

from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.recommenders.prompting.token_encoding import item_tokens
from auditkit.types import Request

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return save(tmp_path_factory.mktemp("rank"), "rank")


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return save(tmp_path_factory.mktemp("write"), "generate")


def asked(recommender, **fields):
    request = Request(id="r", history=ITEMS[:3], k=5, **fields)
    return Request(**{**request.__dict__, "prompt": recommender.render(request)})


def test_ranking_follows_the_first_token_that_the_decoder_would_write(ranker):
    request = asked(ranker)
    ids = ranker._encode(request.prompt)
    assert ids[-1] == ranker.model.config.eos_token_id
    with torch.inference_mode():
        start = torch.tensor([[ranker.model.config.decoder_start_token_id]])
        logits = ranker.model(input_ids=torch.tensor([ids]), decoder_input_ids=start).logits[0, 0]
    tokens = item_tokens(ranker.tokenizer)
    allowed = [item.id for item in ITEMS[3:]]
    expected = sorted(allowed, key=lambda item_id: -float(logits[tokens[item_id]]))[:5]
    found = ranker.recommend([request, asked(ranker, candidates=ITEMS[4:6])])
    assert [item.item_id for item in found[0].items] == expected
    assert {item.item_id for item in found[1].items} == {item.id for item in ITEMS[4:6]}


def test_scores_equal_one_forward_per_pair(ranker, writer):
    for recommender, options in (
        (ranker, [item_reference("7"), item_reference("9") + " x"]),
        (writer, [ITEMS[0].title, ITEMS[1].title, "a"]),
    ):
        prompts = [asked(recommender).prompt, "Recommend"]
        pairs = recommender._pairs(prompts, [options, options])
        expected = one_by_one(recommender.model, pairs)
        assert worst(recommender.engine.score(pairs), expected) <= 1e-4


def test_text_of_a_batch_is_the_text_alone(writer):
    prompts = ["Recommend", "something longer to read here", "x"]
    options = {"max_new_tokens": 8, "temperature": 0.8}
    together = writer.generate(prompts, seeds=[1, 2, 3], **options)
    alone = [writer.generate([p], seeds=[s], **options)[0] for s, p in enumerate(prompts, 1)]
    assert together == alone


def test_candidates_of_a_writer_are_ranked_by_their_titles(writer):
    request = asked(writer, candidates=ITEMS[5:9])
    (response,) = writer.recommend([request])
    scores = writer.score([request.prompt], [[item.title for item in ITEMS[5:9]]])[0]
    best = max(range(4), key=lambda i: scores[i].mean)
    assert response.items[0].item_id == ITEMS[5:9][best].id
    assert len(response.items) == 4


def test_cost_is_known_before_anything_is_scored(writer):
    cost = writer.cost(["a prompt"], [["x", "y"]])
    assert 0 < cost["tokens"] <= cost["tokens_asked"] + 10
    assert cost["seconds"] > 0
