"""Model folders as they are found: pointers, cut files, other kinds. Each error names the file."""

from __future__ import annotations

import json
import shutil

import pytest
from peft import LoraConfig, get_peft_model
from small_folder import save
from transformers import LlamaConfig, LlamaForCausalLM

from auditkit.cli import main
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
WEIGHTS, ADAPTER = "model.safetensors", "adapter/adapter_model.safetensors"
ADAPTER_CONFIG = "adapter/adapter_config.json"


def save_adapter(folder, model):
    get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"])).save_pretrained(folder)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = save(tmp_path_factory.mktemp("sound"), style="generate", with_items=False)
    save_adapter(folder / "adapter", LlamaForCausalLM.from_pretrained(folder))
    manifest = RecommenderManifest.read(folder)
    manifest.model_copy(update={"adapter": "adapter"}).write(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "model")


def changed(file, **entries):
    """Set entries of a JSON file; None removes one."""
    fields = {**json.loads(file.read_text()), **entries}
    file.write_text(
        json.dumps({name: value for name, value in fields.items() if value is not None})
    )


def refusal(folder):
    with pytest.raises(TargetUnavailable) as refused:
        load_folder(folder)
    return str(refused.value)


@pytest.mark.parametrize(
    "name",
    [WEIGHTS, ADAPTER, "tokenizer.json", "config.json", ADAPTER_CONFIG, "chat_template.jinja"],
)
def test_pointer_of_git_lfs_is_named(folder, name):
    (folder / name).write_text(POINTER)
    message = refusal(folder)
    assert f"{folder / name} is a Git LFS pointer" in message
    assert "`git lfs pull`" in message


@pytest.mark.parametrize("kept", [0, 3, 500, 5000])
@pytest.mark.parametrize("name", [WEIGHTS, ADAPTER])
def test_cut_weights_are_named_with_their_size(folder, name, kept):
    whole = (folder / name).read_bytes()
    cut = whole[: min(kept, len(whole) - 1)]
    (folder / name).write_bytes(cut)
    message = refusal(folder)
    assert f"{folder / name} is not a complete safetensors file" in message
    assert f"{len(cut):,} bytes" in message
    assert "download it again" in message


@pytest.mark.parametrize(
    "name", ["config.json", ADAPTER_CONFIG, "tokenizer.json", "tokenizer_config.json",
             "generation_config.json"],
)  # fmt: skip
def test_json_with_a_trailing_comma_is_named_with_its_line(folder, name):
    text = (folder / name).read_text().rstrip()
    (folder / name).write_text(text.removesuffix("}").rstrip() + ",\n}")
    message = refusal(folder)
    assert f"{folder / name} cannot be read (not valid JSON" in message
    assert f"line {(folder / name).read_text().count(chr(10)) + 1} " in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[" * 20_000, "nested too deeply"),
        ("[]", "not a JSON object"),
        ("<!doctype html>", "not valid JSON"),
    ],
)
def test_configuration_that_is_something_else_is_named(folder, content, fault):
    (folder / "config.json").write_text(content)
    message = refusal(folder)
    assert str(folder / "config.json") in message
    assert fault in message


@pytest.mark.parametrize(
    "content", ['{"vocab": {"a": 1}}', '{"model": {"type": "BPE"}}', '{"model": "gpt2"}']
)
def test_tokenizer_of_another_kind_is_named(folder, content):
    (folder / "tokenizer.json").write_text(content)
    message = refusal(folder)
    assert f"{folder / 'tokenizer.json'} is not a file of the tokenizers library" in message
    assert "save_pretrained" in message


def test_tokenizer_with_an_unknown_model_names_cause_and_remedy(folder):
    changed(folder / "tokenizer.json", model={"type": "Telepathy", "vocab": {}})
    message = refusal(folder)
    assert f"{folder} cannot be loaded: Exception: data did not match" in message
    assert "copy all tokenizer files" in message


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "gptq", "bits": 4, "group_size": 128},
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "awq", "bits": 4},
        {"quant_method": "fp8"},
        {"bits": 4},
        {},
    ],
)
def test_quantized_folder_is_refused_with_its_method(folder, settings):
    changed(folder / "config.json", quantization_config=settings)
    message = refusal(folder)
    assert f"{folder / 'config.json'} has a quantization_config" in message
    assert settings.get("quant_method", "no stated method") in message
    assert "openai:BASE_URL#MODEL" in message


def test_quantization_config_of_null_is_none(folder):
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "quantization_config": None}))
    assert load_folder(folder).name == "tiny"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("NOPE", "has the peft_type 'NOPE'"),
        (None, "has no peft_type"),
        ("lora", "has the peft_type 'lora'"),
        (["LORA"], "has the peft_type ['LORA']"),
    ],
)
def test_adapter_of_an_unknown_kind_is_named(folder, kind, said):
    changed(folder / ADAPTER_CONFIG, peft_type=kind)
    message = refusal(folder)
    assert f"{folder / ADAPTER_CONFIG} {said}" in message
    assert "release of peft" in message


def test_adapter_without_its_configuration_is_named(folder):
    (folder / ADAPTER_CONFIG).unlink()
    assert f"{folder / ADAPTER_CONFIG} does not exist" in refusal(folder)


def test_adapter_with_the_settings_of_another_kind_is_named(folder):
    changed(folder / ADAPTER_CONFIG, peft_type="PREFIX_TUNING")
    assert f"{folder / 'adapter'} cannot be loaded: TypeError" in refusal(folder)


@pytest.mark.parametrize("width", [8, 32])
def test_adapter_for_another_width_is_named_with_both_shapes(folder, width):
    shutil.rmtree(folder / "adapter")
    settings = LlamaConfig(
        hidden_size=width, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=64, vocab_size=300,
    )  # fmt: skip
    save_adapter(folder / "adapter", LlamaForCausalLM(settings))
    message = refusal(folder)
    assert f"{folder / 'adapter'} does not fit the model" in message
    assert f"[4, {width}]" in message
    assert "[4, 16]" in message
    assert "`weights`" in message


@pytest.mark.parametrize(
    "entries", [{"model_type": "nope"}, {"hidden_size": "64"}, {"num_attention_heads": 0}]
)
def test_configuration_that_the_library_rejects_is_named(folder, entries):
    changed(folder / "config.json", **entries)
    message = refusal(folder)
    assert " cannot be loaded: " in message
    assert str(folder) in message
    assert "config.json" in message.rpartition(". ")[2]  # the remedy; 4.57 finds two faults later


def test_command_ends_with_two_sentences_and_no_traceback(folder, capsys, monkeypatch):
    changed(folder / ADAPTER_CONFIG, peft_type="NOPE")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(SystemExit) as stopped:
        main(["audit", str(folder), "--recipe", "quick", "--out", "run"])
    assert stopped.value.code == 2
    assert "peft_type 'NOPE'" in capsys.readouterr().err
