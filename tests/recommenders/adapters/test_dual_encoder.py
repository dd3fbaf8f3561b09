"""A real tiny BERT as a dual encoder, compared with direct computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_world import world
from tiny_encoder import ITEMS, rendered, save

from auditkit.errors import ConfigurationError, TargetUnavailable
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.protocols import Embeds, Recommends, Scores

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_folder(save(tmp_path_factory.mktemp("encoder")), world())


def test_typed_control_tokens_are_text(encoder):
    control = {2, 3}  # [CLS], [SEP]
    typed = encoder._encode("Silver [SEP] [CLS] x")
    plain = encoder._encode("Silver x")
    assert sum(i in control for i in typed) == sum(i in control for i in plain)


def test_vector_is_the_mean_over_tokens_of_length_one(encoder):
    texts = ["Fargo", "a much longer title of a film", "Fargo"]
    vectors = encoder.embed(texts)
    for text, vector in zip(texts, vectors, strict=True):
        ids = torch.tensor([encoder._tokenizer.encode(text)])
        with torch.inference_mode():
            mean = encoder.encoder(ids).last_hidden_state[0].mean(dim=0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_items_are_ranked_by_cosine_outside_the_history(encoder):
    request = rendered(encoder)
    (user,) = encoder.embed([request.prompt])
    cosines = encoder.embed([item.title for item in ITEMS]) @ user
    seen = {item.id for item in request.history}
    order = [ITEMS[i].id for i in np.argsort(-cosines, kind="stable") if ITEMS[i].id not in seen]
    response = encoder.recommend([request])[0]
    assert [item.item_id for item in response.items] == order[:4]
    assert all(item.link == "id" for item in response.items)


def test_candidates_are_the_only_choice(encoder):
    response = encoder.recommend([rendered(encoder, candidates=tuple(ITEMS[5:8]))])[0]
    assert {item.item_id for item in response.items} == {item.id for item in ITEMS[5:8]}


def test_prompt_beyond_the_context_says_what_was_left_out(encoder):
    short, long = (
        rendered(encoder, history=history, instruction="{history}")
        for history in (tuple(ITEMS[:2]), tuple(ITEMS[:9] * 5))
    )
    assert encoder.recommend([short])[0].derived == {}
    response = encoder.recommend([long])[0]
    assert response.derived["prompt_tokens_left_out"] > 0
    assert response.status == "ok"


def test_it_recommends_and_embeds_but_has_no_scores(encoder):
    assert isinstance(encoder, Recommends)
    assert isinstance(encoder, Embeds)
    assert not isinstance(encoder, Scores)


def test_target_folder_gets_the_items_of_the_data_set(tmp_path):
    loaded = load_recommender(str(save(tmp_path)), dataset=world())
    assert loaded.kind == "encoder, style embed"
    with pytest.raises(TargetUnavailable, match="Pass a data set"):
        load_folder(tmp_path)


@pytest.mark.parametrize(("kind", "style"), [("encoder", "rank"), ("causal", "embed")])
def test_style_that_does_not_fit_the_kind_is_refused(tmp_path, kind, style):
    save(tmp_path, kind=kind, style=style)
    with pytest.raises(
        ConfigurationError, match="Style 'embed' and kind 'encoder' must be used together"
    ):
        load_folder(tmp_path, world())
