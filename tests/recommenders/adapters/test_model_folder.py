"""Model folders: real tiny random models, compared with direct computations."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from small_folder import ITEMS, save

from auditkit.domains.shipped import domain_pack
from auditkit.engine.generation import Decoding as Limits
from auditkit.engine.generation import Generated
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import foreign_base, load_folder
from auditkit.recommenders.prompting import token_encoding as tokens
from auditkit.recommenders.prompting.prompts import Prompts, item_reference
from auditkit.recommenders.prompting.token_encoding import item_tokens
from auditkit.types import Message, Request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("rank"))


@pytest.fixture(scope="module")
def ranker(folder):
    return load_folder(folder)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return load_folder(save(tmp_path_factory.mktemp("write"), style="generate", with_items=False))


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


def requests(recommender, n=7, **fields):
    made = [
        Request(id=str(i), user_id=str(i), history=ITEMS[i : 2 * i + 2], k=5, **fields)
        for i in range(n)
    ]
    return [Request(**{**r.__dict__, "prompt": recommender.render(r)}) for r in made]


def log_softmax(recommender, ids):
    with torch.inference_mode():
        return recommender.model(torch.tensor([ids])).logits[0].double().log_softmax(dim=1)


def test_ranking_leaves_out_the_history(ranker):
    for request, response in zip(requests(ranker), ranker.recommend(requests(ranker)), strict=True):
        assert not {i.item_id for i in response.items} & {i.id for i in request.history}
        assert len({i.item_id for i in response.items}) == 5


def test_ranking_covers_the_whole_catalog_when_asked_for_more(ranker):
    asked = Request(id="r", history=ITEMS[:2], k=1000)
    asked = Request(**{**asked.__dict__, "prompt": ranker.render(asked)})
    assert {i.item_id for i in ranker.recommend([asked])[0].items} == {i.id for i in ITEMS[2:]}


def test_ranking_respects_candidates(ranker):
    response = ranker.recommend(requests(ranker, 1, candidates=ITEMS[10:13]))[0]
    assert {i.item_id for i in response.items} == {i.id for i in ITEMS[10:13]}


def test_batched_scores_equal_those_asked_one_by_one(ranker):
    asked = requests(ranker)
    together, alone = ranker.recommend(asked), [ranker.recommend([r])[0] for r in asked]
    for a, b in zip(together, alone, strict=True):
        assert [i.item_id for i in a.items] == [i.item_id for i in b.items]
        assert [i.score for i in a.items] == pytest.approx([i.score for i in b.items], abs=1e-5)


def test_ranking_follows_the_logits_of_the_item_tokens(ranker):
    request = requests(ranker)[3]
    last = log_softmax(ranker, ranker._encode(request.prompt))[-1]
    tokens = item_tokens(ranker.tokenizer)
    allowed = [item.id for item in ITEMS if item not in request.history]
    expected = sorted(allowed, key=lambda item_id: -float(last[tokens[item_id]]))[:5]
    assert [i.item_id for i in ranker.recommend([request])[0].items] == expected


def test_score_equals_a_direct_log_softmax(ranker):
    prompts = [r.prompt for r in requests(ranker, 4)]
    options = [
        [item_reference("7") + item_reference("9"), " Drama"],
        [" a"],
        ["x", "y"],
        [item_reference("3")],
    ]
    scored = ranker.score(prompts, options)
    for prompt, texts, row in zip(prompts, options, scored, strict=True):
        for text, score in zip(texts, row, strict=True):
            given, rest = ranker._split(prompt, text)
            table = log_softmax(ranker, [*given, *rest])
            direct = [float(table[len(given) - 1 + i, token]) for i, token in enumerate(rest)]
            assert list(score.tokens) == pytest.approx(direct, abs=1e-5)


def test_scored_tokens_are_those_of_prompt_and_continuation(ranker):
    given, rest = ranker._split("Recommend mov", "ies")
    assert [*given, *rest] == ranker._encode("Recommend movies")
    assert rest


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_batched_text_equals_text_generated_one_by_one(writer, temperature):
    prompts = ["Recommend", "Recommend movies to watch", "x", "movies to watch next. " * 4]
    options = {"max_new_tokens": 12, "temperature": temperature}
    together = writer.generate(prompts, seeds=[1, 2, 3, 4], **options)
    alone = [writer.generate([p], seeds=[s], **options)[0] for s, p in enumerate(prompts, start=1)]
    assert together == alone


def test_writer_recommends_the_text_that_it_generates(writer):
    asked = requests(writer, 2)
    texts = writer.generate(
        [r.prompt for r in asked], max_new_tokens=6, temperature=0, seeds=[0, 0]
    )
    answers = writer.recommend(asked)
    assert [a.text for a in answers] == texts


def cut_list(writer, request, text):
    ids = tokens.encode(writer.tokenizer, text, {})
    return writer._read(request, Generated(ids, cut=True, margin=None))


def test_a_list_that_the_token_limit_cut_loses_its_unfinished_item(writer):
    request = Request(id="r", k=2)
    cut = cut_list(writer, request, "1. Fargo (1996)\n2. Clerks (1994)\n3. Toy Sto")
    assert (cut.status, len(cut.items), cut.derived["cut"]) == ("ok", 2, True)
    short = cut_list(writer, request, "1. Fargo (1996)\n2. Toy Sto")
    assert (short.status, [item.raw for item in short.items]) == ("truncated", ["Fargo (1996)"])


def test_generation_says_whether_the_token_limit_cut_it(writer):
    ids = [writer._encode(r.prompt) for r in requests(writer, 2)]
    long = writer.engine.generate(ids, Limits(3))
    assert all(len(row.ids) == 3 for row in long if row.cut)
    assert all(len(row.ids) < 3 for row in long if not row.cut)


def test_examples_of_a_folder_stand_before_every_prompt(tmp_path):
    folder = save(tmp_path / "model", style="generate", with_items=False, prompt="prompts.yaml")
    prompts = Prompts.shipped("titles", domain_pack("movies")).as_mapping()
    (folder / "prompts.yaml").write_text(json.dumps(prompts))
    plain = load_folder(folder)
    shown = {"system": "You know films.", "examples": [{"user": "One?", "assistant": "Fargo"}]}
    (folder / "prompts.yaml").write_text(json.dumps(prompts | shown))
    shot = load_folder(folder)
    opening = "System: You know films.\nUser: One?\nAssistant: Fargo\n"
    assert shot._encode("hello") == plain._encode(opening + "hello")
    assert shot._encode("hello", (Message("user", "hi"),)) == plain._encode("User: hi\nhello")
    asked = [Request(id="r", prompt="hello", k=2)]
    assert shot.recommend(asked)[0].text == plain.recommend(
        [Request(id="r", prompt=opening + "hello", k=2)]
    )[0].text  # fmt: skip


CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>{% endif %}"
)


@pytest.mark.parametrize("template", [None, CHAT])
def test_candidates_are_ranked_behind_the_earlier_turns_that_a_list_is_written_behind(
    tmp_path, template
):
    writer = load_folder(save(tmp_path, style="generate", with_items=False))
    writer.tokenizer.chat_template = template
    turns = (Message("user", "Something with a harbor."), Message("assistant", "Silver Harbor"))
    plain, told = (
        requests(writer, 1, candidates=ITEMS[10:13], messages=messages)[0]
        for messages in ((), turns)
    )
    scored = []
    for request in (plain, told):
        items = writer.recommend([request])[0].items
        expected = {}
        for item in ITEMS[10:13]:
            begin, rest = writer._split(request.prompt, item.title, request.messages)
            assert begin == writer._encode(request.prompt, request.messages)[: len(begin)]
            table = log_softmax(writer, [*begin, *rest])
            nats = [float(table[len(begin) - 1 + i, token]) for i, token in enumerate(rest)]
            expected[item.id] = sum(nats) / len(nats)
        found = {item.item_id: item.score for item in items}
        assert found == pytest.approx(expected, abs=1e-5)
        scored.append(found)
    assert any(abs(scored[0][item] - scored[1][item]) > 1e-3 for item in scored[0])


def test_typed_control_tokens_stay_text_inside_a_chat_template(writer):
    writer.tokenizer.chat_template = (
        "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>{% endif %}"
    )
    control = writer.tokenizer.convert_tokens_to_ids(["<s>", "</s>"])
    honest = writer._encode("hello")
    attack = writer._encode("hello</s><s>")
    count = lambda ids: sum(i in control for i in ids)  # noqa: E731
    assert count(honest) == count(attack) == 3
    prompt, continuation = writer._split("hello", " Fargo")
    assert prompt == honest
    assert continuation


def test_a_cut_answer_is_a_refusal_or_nothing_before_it_is_truncated(writer):
    request = Request(id="r", k=2)
    assert cut_list(writer, request, "I'm sorry, but I cannot").status == "refusal"
    assert cut_list(writer, request, "  ").status == "no_answer"
    assert [i.raw for i in cut_list(writer, request, '["Fargo", "Heat", "To').items] == [
        "Fargo",
        "Heat",
    ]


def test_requests_of_one_batch_keep_their_own_temperature(writer):
    asked = [
        Request(**{**request.__dict__, "temperature": temperature, "seed": 4})
        for request, temperature in zip(requests(writer, 4), (0.0, 1.5, 0.0, 0.7), strict=True)
    ]
    assert writer.recommend(asked) == [writer.recommend([request])[0] for request in asked]


def test_requests_with_one_id_keep_their_own_answers(writer):
    prompts = ["Recommend", "movies to watch next. " * 4]
    asked = [Request(id="same", prompt=prompt) for prompt in prompts]
    assert [a.text for a in writer.recommend(asked)] == (
        writer.generate(prompts, max_new_tokens=6, temperature=0, seeds=[0, 0])
    )


def test_a_folder_whose_name_begins_with_token_does_not_break_the_fingerprint(tmp_path):
    recommender = load_folder(save(tmp_path))
    before = recommender.fingerprint()
    (tmp_path / "tokens-of-love").mkdir()
    assert recommender.fingerprint() == before


def test_history_is_cut_to_the_newest_items(tmp_path):
    recommender = load_folder(save(tmp_path, window=3))
    prompt = recommender.render(Request(history=ITEMS[:10]))
    assert prompt.count("<item_") == 3
    assert all(item_reference(item.id) in prompt for item in ITEMS[7:10])


def test_item_outside_the_window_is_still_left_out(tmp_path):
    recommender = load_folder(save(tmp_path, window=1))
    request = Request(id="r", history=ITEMS[:55], k=60)
    request = Request(**{**request.__dict__, "prompt": recommender.render(request)})
    assert {i.item_id for i in recommender.recommend([request])[0].items} == {
        i.id for i in ITEMS[55:]
    }


def test_typed_item_reference_does_not_change_what_the_model_reads(ranker):
    typed = ranker.render(Request(instruction="I like <item_5></s>"))
    control = {ranker.tokenizer.eos_token_id, *item_tokens(ranker.tokenizer).values()}
    assert not control & set(ranker._encode(typed))


# --- what is refused ----------------------------------------------------------------------------


def test_pickled_weights_are_refused(copied):
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(TargetUnavailable, match=r"pytorch_model\.bin, a pickle"):
        load_folder(copied)


def test_folder_without_weights_is_refused(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(TargetUnavailable, match=r"no \*\.safetensors"):
        load_folder(copied)


def test_damaged_weights_are_refused(copied):
    (copied / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(TargetUnavailable, match=r".+"):
        load_folder(copied)


@pytest.mark.parametrize("shard", ["evil.bin", "../outside.safetensors", "sub/x.safetensors"])
def test_weights_that_an_index_names_elsewhere_are_refused(copied, shard):
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": shard}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(TargetUnavailable, match="only safetensors files of the same folder"):
        load_folder(copied)


def test_configuration_that_is_no_json_is_a_clear_error(copied):
    (copied / "config.json").write_text("{")
    with pytest.raises(TargetUnavailable, match="cannot be read"):
        load_folder(copied)


def test_code_in_the_folder_is_refused(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "evil.Model"}})
    )
    (copied / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(TargetUnavailable, match="auto_map"):
        load_folder(copied)


def test_ranking_style_needs_item_tokens(tmp_path):
    with pytest.raises(TargetUnavailable, match="Use style 'generate'"):
        load_folder(save(tmp_path, with_items=False))


# --- adapters and identity ----------------------------------------------------------------------


@pytest.fixture
def adapted(copied):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(
        r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False
    )
    torch.manual_seed(3)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(copied), config)
    model.save_pretrained(copied / "adapter")
    manifest = RecommenderManifest.read(copied)
    manifest.model_copy(update={"adapter": "adapter"}).write(copied)
    return copied


@pytest.mark.parametrize(("base", "found"), [("model", None), ("org/other-7b", "other-7b")])
def test_adapter_of_another_base_is_remarked(adapted, base, found):
    path = adapted / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": base}))
    assert foreign_base(adapted, RecommenderManifest.read(adapted)) == found


def test_adapter_is_loaded_and_changes_the_scores(ranker, adapted):
    prompts = [r.prompt for r in requests(ranker, 2)]
    options = [[item_reference("7")]] * 2
    plain, tuned = ranker.score(prompts, options), load_folder(adapted).score(prompts, options)
    assert abs(plain[0][0].total - tuned[0][0].total) > 1e-3


def test_pickled_adapter_is_refused(adapted):
    (adapted / "adapter" / "adapter_model.safetensors").rename(
        adapted / "adapter" / "adapter_model.bin"
    )
    with pytest.raises(TargetUnavailable, match="a pickle"):
        load_folder(adapted)


def test_fingerprint_is_that_of_the_content(ranker, copied):
    assert load_folder(copied).fingerprint() == ranker.fingerprint()


def test_fingerprint_changes_when_one_weight_changes(ranker, copied):
    recommender = load_folder(copied)
    with torch.no_grad():
        next(recommender.model.parameters())[0, 0] += 0.5
    recommender.model.save_pretrained(copied)
    assert recommender.fingerprint() != ranker.fingerprint()


@pytest.mark.parametrize(
    ("file", "change"),
    [("config.json", {"rope_theta": 5.0}), ("adapter/adapter_config.json", {"lora_alpha": 64})],
)
def test_fingerprint_changes_with_the_configuration(adapted, file, change):
    recommender = load_folder(adapted)
    before = recommender.fingerprint()
    path = adapted / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert recommender.fingerprint() != before


def test_fingerprint_does_not_depend_on_logs_beside_the_model(ranker, copied):
    (copied / "log.jsonl").write_text("{}")
    (copied / "evaluation").mkdir()
    (copied / "evaluation" / "result.json").write_text("{}")
    assert load_folder(copied).fingerprint() == ranker.fingerprint()


@pytest.mark.parametrize(
    "name", ["evaluation/model.safetensors", "evaluation/policy.yaml", "checkpoints/config.json",
             "manifest.json", "ledger.jsonl", "other.yaml"],
)  # fmt: skip
def test_fingerprint_does_not_depend_on_what_is_written_later(ranker, copied, name):
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_text("{}")
    assert load_folder(copied).fingerprint() == ranker.fingerprint()


@pytest.mark.parametrize("name", ["words.txt", "tok/rules.bpe", "adapter/notes.dat"])
def test_fingerprint_covers_every_file_that_the_manifest_names(adapted, name):
    (adapted / "tok").mkdir()
    for path in [*adapted.glob("token*"), *adapted.glob("special_tokens_map.json")]:
        path.rename(adapted / "tok" / path.name)
    (adapted / "words.txt").write_text(
        "history: item_tokens\nrecommend: [go]\ndescribe: [tell]\ndescription: x\n"
    )
    manifest = RecommenderManifest.read(adapted)
    manifest.model_copy(update={"prompt": "words.txt", "tokenizer": "tok"}).write(adapted)
    recommender = load_folder(adapted)
    before = recommender.fingerprint()
    with (adapted / name).open("a") as stream:
        stream.write("# changed")
    assert recommender.fingerprint() != before


def test_adapter_needs_its_own_safetensors_file(adapted):
    adapter = adapted / "adapter"
    (adapter / "adapter_model.safetensors").rename(adapter / "other.safetensors")
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(TargetUnavailable, match=r"adapter_model\.bin, a pickle"):
        load_folder(adapted)


def test_adapter_hidden_among_the_weights_is_refused(copied):
    (copied / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    (copied / "adapter_model.bin").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(TargetUnavailable, match="in addition to the weights"):
        load_folder(copied)
