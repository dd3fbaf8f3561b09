"""Tokenizers: the token ids are those of tokenizer.json, whatever class a release would choose."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from auditkit.engine.releases import MAJOR
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.tokenizer import load_tokenizer

TEXTS = ("HEAT (1995) the cat", "  Toy  Story\n 1995", "x")


@pytest.fixture
def saved(tmp_path):
    """A byte-level tokenizer that lowers its text, as no class of transformers does."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(["Heat 1995 toy story the cat"] * 50, trainer)
    backend.save(str(tmp_path / "tokenizer.json"))

    def write(name):
        (tmp_path / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": name, "bos_token": "<s>", "eos_token": "</s>"})
        )
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
        return tmp_path, backend

    return write


@pytest.mark.parametrize(
    "name",
    ["PreTrainedTokenizerFast", "TokenizersBackend", "GPT2Tokenizer", "Qwen2Tokenizer",
     "LlamaTokenizerFast"],
)  # fmt: skip
def test_ids_are_those_of_the_saved_file(saved, name):
    folder, backend = saved(name)
    tokenizer, _ = load_tokenizer(folder)
    for text in TEXTS:
        ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert ids == backend.encode(text, add_special_tokens=False).ids
    assert tokenizer.bos_token_id == 1
    assert tokenizer.eos_token_id == 2


def test_a_class_that_would_give_other_ids_is_said(saved):
    folder, _ = saved("GPT2Tokenizer")
    notes = load_tokenizer(folder)[1]
    if MAJOR >= 5:
        assert "rebuilds it as GPT2Tokenizer, which gives other token ids" in notes[0]
    else:
        assert notes == []


def test_a_class_that_keeps_the_file_is_not_mentioned(saved):
    assert load_tokenizer(saved("PreTrainedTokenizerFast")[0])[1] == []


def test_a_class_of_another_release_is_said(saved):
    notes = load_tokenizer(saved("TokenizersBackend")[0])[1]
    assert [note[:65] for note in notes] == (
        ["tokenizer.json is used as saved, because the tokenizer's class ca"] if MAJOR == 4 else []
    )


def test_a_folder_without_a_tokenizer_is_a_clear_error(tmp_path):
    with pytest.raises(TargetUnavailable, match=r"cannot be loaded: .* read by transformers"):
        load_tokenizer(tmp_path)
