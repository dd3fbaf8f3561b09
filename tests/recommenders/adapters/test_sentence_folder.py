"""Folders of sentence-transformers: the vectors of the library itself, or a refusal."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as parts
from small_world import world
from tiny_encoder import ITEMS, rendered, save

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.manifest import MANIFEST
from auditkit.recommenders.adapters.model_folder import load_folder

torch.set_num_threads(1)
PROMPTS = {"query": "a man said ", "passage": "film "}
TEXTS = ["Fargo", "a much longer title of a film", ITEMS[3].title]


def sentence_folder(folder, *, pooling="mean", dense=False, normalize=False, **settings):
    """A folder as the installed release of sentence-transformers writes it; also the model."""
    base = save(folder / "plain")
    torch.manual_seed(4)
    steps = [parts.Transformer(str(base), max_seq_length=40), parts.Pooling(32, pooling)]
    if dense:
        steps.append(parts.Dense(32, 16))
    if normalize:
        steps.append(parts.Normalize())
    model = SentenceTransformer(modules=steps, device="cpu", **settings)
    model.save(str(folder / "sentence"))
    manifest = (base / MANIFEST).read_text()
    lines = [line for line in manifest.splitlines() if not line.startswith("pooling")]
    (folder / "sentence" / MANIFEST).write_text("\n".join(lines))
    return folder / "sentence", model


def change(file, **fields):
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
@pytest.mark.parametrize(
    ("dense", "normalize", "settings"),
    [
        (False, True, {}),
        (True, True, {"prompts": PROMPTS}),
        (True, False, {"prompts": PROMPTS, "similarity_fn_name": "dot"}),
        (False, False, {"prompts": {"query": "", "document": "film "}}),
    ],
)
def test_vectors_are_those_of_the_library(tmp_path, pooling, dense, normalize, settings):
    folder, model = sentence_folder(
        tmp_path, pooling=pooling, dense=dense, normalize=normalize, **settings
    )
    encoder = load_folder(folder, world())
    users, items = model.encode_query(TEXTS), model.encode_document([i.title for i in ITEMS])
    expected = model.similarity(users, items).numpy()
    assert encoder.embed(TEXTS) @ encoder._item_vectors.T == pytest.approx(expected, abs=1e-5)
    if settings.get("similarity_fn_name") == "dot":
        assert encoder.embed(TEXTS) == pytest.approx(users, abs=1e-5)


def test_what_the_folder_says_stands_in_the_report(tmp_path):
    folder, _ = sentence_folder(tmp_path, pooling="cls", prompts={**PROMPTS, "document": "the "})
    assert load_folder(folder, world()).notes[-2:] == (
        "Vectors follow modules.json: pooling by cls, similarity by cosine.",
        "The prompt 'a man said ' precedes the texts of users, and 'the ' precedes the titles.",
    )


def test_a_passage_prompt_is_used_only_if_the_manifest_says_so(tmp_path):
    """encode_document finds the empty prompt `document` first, which the library always adds."""
    folder, model = sentence_folder(tmp_path, prompts=PROMPTS)
    titles = [item.title for item in ITEMS]
    encoder = load_folder(folder, world())
    assert "the prompt 'passage', set `item_prompt`" in encoder.notes[-2]
    expected = model.encode_document(titles, normalize_embeddings=True)
    assert encoder._item_vectors == pytest.approx(expected, abs=1e-5)
    with (folder / MANIFEST).open("a") as file:
        file.write("\nitem_prompt: 'film '\n")
    expected = model.encode(titles, prompt_name="passage", normalize_embeddings=True)
    assert load_folder(folder, world())._item_vectors == pytest.approx(expected, abs=1e-5)


def test_flags_of_releases_before_6_are_read(tmp_path):
    folder, model = sentence_folder(tmp_path, pooling="cls")
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, **flags})
    )
    expected = model.encode(TEXTS, normalize_embeddings=True)
    assert load_folder(folder, world()).embed(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_a_long_text_keeps_its_prompt_and_its_end(tmp_path):
    folder, _ = sentence_folder(tmp_path, prompts=PROMPTS)
    encoder = load_folder(folder, world())
    request = rendered(encoder, history=tuple(ITEMS[:9]), instruction="{history}")
    ids = encoder._encode(PROMPTS["query"] + request.prompt)
    assert encoder.recommend([request])[0].derived["prompt_tokens_left_out"] == len(ids) - 40
    head = len(encoder._encode(PROMPTS["query"])) - 1
    with torch.inference_mode():
        kept = torch.tensor([[*ids[:head], *ids[head - 40 :]]])
        mean = encoder.encoder(kept).last_hidden_state[0].mean(dim=0)
    expected = (mean / mean.norm()).numpy()
    assert encoder.embed([request.prompt])[0] == pytest.approx(expected, abs=1e-5)


def test_lower_case_is_applied(tmp_path):
    folder, _ = sentence_folder(tmp_path)
    change(folder / "sentence_bert_config.json", do_lower_case=True)
    encoder = load_folder(folder, world())
    assert np.array_equal(encoder.embed(["FARGO"]), encoder.embed(["fargo"]))


@pytest.mark.parametrize(
    ("file", "fields", "said"),
    [
        ("1_Pooling/config.json", {"pooling_mode": ["cls", "mean"]}, "pools by cls and mean"),
        ("1_Pooling/config.json", {"pooling_mode": "weightedmean"}, "pools by weightedmean"),
        (
            "1_Pooling/config.json",
            {"include_prompt": False},
            "excludes the prompt from its pooling",
        ),
        ("2_Dense/config.json", {"activation_function": "torch.nn.GELU"}, "of another form"),
        ("2_Dense/config.json", {"use_residual": True}, "of another form"),
        (
            "config_sentence_transformers.json",
            {"similarity_fn_name": "euclidean"},
            "compares vectors by 'euclidean'",
        ),
    ],
)
def test_a_step_that_is_not_computed_is_refused(tmp_path, file, fields, said):
    folder, _ = sentence_folder(tmp_path, dense=True)
    change(folder / file, **fields)
    with pytest.raises(TargetUnavailable, match=f"{said}.*Serve the recommender"):
        load_folder(folder, world())


def test_an_unknown_step_is_refused(tmp_path):
    folder, _ = sentence_folder(tmp_path)
    steps = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*steps, {"type": "x.LayerNorm", "path": ""}]))
    with pytest.raises(TargetUnavailable, match="has a step 'LayerNorm'"):
        load_folder(folder, world())


def test_a_pooling_that_the_manifest_contradicts_is_refused(tmp_path):
    folder, _ = sentence_folder(tmp_path, pooling="cls")
    with (folder / MANIFEST).open("a") as file:
        file.write("\npooling: mean\n")
    with pytest.raises(TargetUnavailable, match=r"says pooling 'mean', but .* pools by 'cls'"):
        load_folder(folder, world())


def test_the_steps_belong_to_the_fingerprint(tmp_path):
    folder, _ = sentence_folder(tmp_path, pooling="cls")
    before = load_folder(folder, world()).fingerprint()
    change(folder / "1_Pooling" / "config.json", pooling_mode="mean")
    assert load_folder(folder, world()).fingerprint() != before
