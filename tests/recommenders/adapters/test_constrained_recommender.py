"""A model that can name nothing but titles of the catalog."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_folder import ITEMS, save

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.constrained_recommender import ConstrainedRecommender
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.types import Request

TITLES = [item.title for item in ITEMS]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_folder(save(tmp_path_factory.mktemp("write"), style="generate", with_items=False))


@pytest.fixture(scope="module")
def writer(model):
    return model.restricted_to(TITLES)


def requests(model, n=9, **fields):
    made = [
        Request(id=str(i), user_id=str(i), history=ITEMS[i : i + 3], **{"k": 1 + i % 4, **fields})
        for i in range(n)
    ]
    return [replace(request, prompt=model.render(request)) for request in made]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_list_holds_k_titles_of_the_catalog(model, writer, temperature):
    asked = requests(model, temperature=temperature)
    answers = writer.recommend(asked)
    assert [len(answer.items) for answer in answers] == [request.k for request in asked]
    for answer in answers:
        named = [item.raw for item in answer.items]
        assert set(named) <= set(TITLES)
        assert answer.text == "\n".join(f"- {title}" for title in named)
        assert answer.status == "ok"
    assert writer.escapes == 0


def test_a_chat_model_writes_the_numbered_list_that_it_is_asked_for(tmp_path):
    chat = load_folder(save(tmp_path, style="generate", with_items=False))
    chat.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}\n"
    (answer,) = chat.restricted_to(TITLES).recommend(requests(chat, n=1, k=3))
    named = [item.raw for item in answer.items]
    assert answer.text == "\n".join(f"{i + 1}. {title}" for i, title in enumerate(named))
    assert set(named) <= set(TITLES)


def test_a_model_left_alone_names_what_is_no_title(model):
    for answer in model.recommend(requests(model)):
        assert not {item.raw for item in answer.items} & set(TITLES)


def test_requests_of_one_call_keep_their_own_temperature_and_order(model, writer):
    asked = requests(model, k=2)
    mixed = [replace(r, temperature=float(i % 2), seed=i) for i, r in enumerate(asked)]
    together = writer.recommend(mixed)
    assert [a.request_id for a in together] == [r.id for r in mixed]
    alone = [writer.recommend([request])[0] for request in mixed]
    assert [a.items for a in together] == [a.items for a in alone]


def test_allowed_titles_are_the_only_ones_and_come_once(model, writer):
    def unseen(request):
        seen = {item.title for item in request.history}
        return np.array([title not in seen for title in writer.titles])

    for request, answer in zip(
        requests(model, k=5), writer.recommend(requests(model, k=5), allowed=unseen), strict=True
    ):
        named = [item.raw for item in answer.items]
        assert len(set(named)) == 5
        assert not set(named) & {item.title for item in request.history}


@pytest.mark.parametrize(("n_left", "status"), [(0, "no_answer"), (2, "ok")])
def test_where_too_little_is_left_the_list_is_short_and_never_free_text(
    model, writer, n_left, status
):
    some = np.arange(len(writer.titles)) < n_left
    for answer in writer.recommend(requests(model, k=4), allowed=lambda _: some):
        assert answer.status == status
        assert sorted(item.raw for item in answer.items) == sorted(writer.titles[:n_left])


def test_a_list_that_does_not_fit_loses_its_unfinished_title(model, writer):
    (request,) = requests(model, n=1, k=10)
    words = (model.room(request) - 60) // 2
    longer = replace(request, prompt=request.prompt + " x" * words)
    room = model.room(longer)
    assert 50 < room < 10 * writer.trie.depth
    (answer,) = writer.recommend([longer])
    assert answer.status == "truncated"
    assert 0 < len(answer.items) < 10
    assert {item.raw for item in answer.items} <= set(TITLES)


def test_equal_titles_are_one(model):
    writer = ConstrainedRecommender(model, [*TITLES, *TITLES])
    assert writer.trie.n_leaves == len(TITLES)


def test_a_ranker_of_item_tokens_writes_no_titles(tmp_path):
    with pytest.raises(TargetUnavailable, match="ranks item tokens"):
        load_folder(save(tmp_path)).restricted_to(TITLES)


def test_a_title_of_two_lines_is_refused(model):
    with pytest.raises(TargetUnavailable, match="line break"):
        model.restricted_to([*TITLES, "One\nTwo (1990)"])


def test_a_tokenizer_that_merges_line_breaks_is_refused(model):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    merging = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    merging.pre_tokenizer = pre_tokenizers.Split(Regex("x"), "isolated")
    other = load_folder(model._folder)
    other.tokenizer = PreTrainedTokenizerFast(tokenizer_object=merging)
    with pytest.raises(TargetUnavailable, match="does not encode a line break"):
        other.restricted_to(TITLES)


def test_a_model_that_cannot_end_a_text_is_refused(model):
    other = load_folder(model._folder)
    other.model.generation_config.eos_token_id = None
    with pytest.raises(TargetUnavailable, match="has no end-of-sequence token"):
        other.restricted_to(TITLES)
