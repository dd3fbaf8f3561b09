"""Files of other releases: what would be computed differently is refused or said."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_folder import save
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

from auditkit.engine.releases import MAJOR, VERSION
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.folder_checks import read_config
from auditkit.recommenders.adapters.model_folder import load_folder


@pytest.fixture
def folder(tmp_path):
    return save(tmp_path, style="generate", with_items=False)


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def with_weights(folder, change_them):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change_them(tensors)
    save_file(tensors, file, {"format": "pt"})


def test_writer_and_reader_are_named_and_nothing_else_is_said(folder):
    change(folder / "config.json", transformers_version="4.40.1")
    assert load_folder(folder).notes == (
        f"The weights were written by transformers 4.40.1 and are read by transformers {VERSION}.",
    )


def test_settings_that_are_not_read_are_named(folder):
    change(folder / "config.json", use_mup_scaling=True, of_no_use=None, attention_bias=False)
    (note,) = load_folder(folder).notes[1:]
    assert "does not read for 'llama': use_mup_scaling." in note


def test_weights_in_half_precision_are_computed_in_float32_and_that_is_said(folder):
    with_weights(folder, lambda t: t.update({name: v.bfloat16() for name, v in t.items()}))
    change(folder / "config.json", dtype="bfloat16")
    loaded = load_folder(folder)
    assert loaded.model.dtype == torch.float32
    assert "stored as bfloat16 and computed in float32" in loaded.notes[-1]


@pytest.mark.parametrize("scaling", [{"rope_type": "linear", "factor": 4.0}, None])
def test_rotary_settings_of_version_4_are_read(tmp_path, scaling):
    fields = {"model_type": "llama", "rope_theta": 5000.0, "rope_scaling": scaling}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    assert read_config(tmp_path, fields)[1] == []


@pytest.mark.parametrize(
    ("rotary", "refused"),
    [
        ({"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}, True),
        ({"rope_type": "default", "rope_theta": 500000.0}, True),
        ({"rope_type": "default", "rope_theta": 10000.0}, False),
        ({"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}, True),
    ],
)
def test_version_4_refuses_rotary_settings_that_it_would_ignore(tmp_path, rotary, refused):
    fields = {"model_type": "llama", "transformers_version": "5.23.0", "rope_parameters": rotary}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    if refused and MAJOR == 4:
        with pytest.raises(TargetUnavailable, match=r"written by transformers 5\.23\.0"):
            read_config(tmp_path, fields)
    elif "rope_type" in rotary:
        assert read_config(tmp_path, fields)[1] == []


def test_weights_that_would_be_drawn_at_random_are_refused(folder):
    name = "model.layers.1.mlp.up_proj.weight"
    with_weights(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(TargetUnavailable, match=f"no weights for 1 tensors .* {re.escape(name)}"):
        load_folder(folder)


def test_weights_of_another_shape_are_refused(folder):
    name = "model.layers.1.mlp.up_proj.weight"
    with_weights(folder, lambda tensors: tensors.update({name: torch.zeros(3, 3)}))
    with pytest.raises(TargetUnavailable):
        load_folder(folder)


def test_weights_that_are_not_used_are_named(folder):
    with_weights(folder, lambda tensors: tensors.update({"extra.weight": torch.zeros(3)}))
    (note,) = load_folder(folder).notes[1:]
    assert note.startswith("1 tensors of the weights file do not belong to the model")
    assert "extra.weight" in note


@pytest.mark.parametrize(("shift", "refused"), [(0.0, False), (0.1, True)])
def test_a_tied_head_with_values_of_its_own_is_refused(folder, shift, refused):
    def untie(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] + shift

    with_weights(folder, untie)
    if not refused:
        load_folder(folder)
        return
    with pytest.raises(TargetUnavailable, match=r"tie_word_embeddings, but lm_head\.weight and"):
        load_folder(folder)
    change(folder / "config.json", tie_word_embeddings=False)
    model = load_folder(folder).model
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


def test_generation_settings_that_do_not_apply_are_named(folder):
    change(
        folder / "generation_config.json",
        repetition_penalty=1.3, do_sample=True, temperature=0.6, use_cache=True, pad_token_id=0,
    )  # fmt: skip
    (note,) = load_folder(folder).notes[1:]
    assert note == (
        "generation_config.json is not applied, because recommender.yaml describes the decoding: "
        "do_sample True, repetition_penalty 1.3, temperature 0.6."
    )


def test_soft_capping_of_attention_is_computed(tmp_path):
    # With transformers 4.57, the default implementation ignores the cap without a warning.
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16, attn_logit_softcapping=0.01,
    )  # fmt: skip
    save(tmp_path, style="generate", with_items=False)
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    model.save_pretrained(tmp_path)
    loaded = load_folder(tmp_path).model
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        capped = loaded(ids).logits
        loaded.config.attn_logit_softcapping = None
        for layer in loaded.model.layers:
            layer.self_attn.attn_logit_softcapping = None
        free = loaded(ids).logits
    assert (capped - free).abs().max() > 1e-3


def test_a_configuration_without_the_key_is_read_like_one_of_this_release(tmp_path):
    LlamaForCausalLM(
        LlamaConfig(vocab_size=300, hidden_size=16, intermediate_size=16, num_attention_heads=2)
    ).config.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    config, notes = read_config(tmp_path, fields)
    assert notes == []
    assert config.to_dict() == AutoConfig.from_pretrained(tmp_path).to_dict()
