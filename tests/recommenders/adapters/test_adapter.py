"""Adapters: merged where that is exact, else kept apart, compared with peft's own forward."""

import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from small_folder import save
from transformers import AutoModelForCausalLM

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder

ATTENTION = ["q_proj", "v_proj"]
EXACT = {
    "lora": {"target_modules": ATTENTION},
    "rslora": {"target_modules": ATTENTION, "use_rslora": True},
    "dora": {"target_modules": ATTENTION, "use_dora": True},
}
SHARED = {
    "head": {"target_modules": ["lm_head"]},
    "embedding": {"target_modules": ["embed_tokens"]},
    "head and embedding": {
        "target_modules": ["embed_tokens", "lm_head"],
        "ensure_weight_tying": True,
    },
    "tokens": {"target_modules": ATTENTION, "trainable_token_indices": [5, 20]},
}
IDS = torch.arange(3, 30)[None]


def adapted(folder, settings):
    """Save an adapter onto a base with a tied head; the logits of peft's own forward."""
    save(folder, style="generate", with_items=False)
    config = LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, **settings)
    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert base.config.tie_word_embeddings
    get_peft_model(base, config).save_pretrained(folder / "adapter")
    manifest = RecommenderManifest.read(folder)
    manifest.model_copy(update={"adapter": "adapter"}).write(folder)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return logits(PeftModel.from_pretrained(base, folder / "adapter"))


def logits(model):
    with torch.inference_mode():
        return model.eval()(IDS).logits


@pytest.mark.parametrize("settings", EXACT.values(), ids=EXACT)
def test_an_adapter_of_untied_weights_is_merged(tmp_path, settings):
    expected = adapted(tmp_path, settings)
    loaded = load_folder(tmp_path)
    assert not isinstance(loaded.model, PeftModel)
    assert len(loaded.notes) == 1
    assert (logits(loaded.model) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("settings", SHARED.values(), ids=SHARED)
def test_an_adapter_of_a_shared_weight_gives_the_logits_of_training(tmp_path, settings):
    expected = adapted(tmp_path, settings)
    loaded = load_folder(tmp_path)
    assert (logits(loaded.model) - expected).abs().max() < 1e-4
    pair = ([5, 6, 7], [8, 9])
    wanted = expected.new_tensor(loaded.engine.score([pair])[0])
    with torch.inference_mode():
        table = loaded.model(torch.tensor([[5, 6, 7, 8]])).logits[0].log_softmax(dim=1)
    assert torch.allclose(wanted, torch.stack([table[2, 8], table[3, 9]]), atol=1e-4)


def test_an_adapter_of_a_tied_head_is_not_merged_and_that_is_said(tmp_path):
    adapted(tmp_path, SHARED["head"])
    loaded = load_folder(tmp_path)
    assert isinstance(loaded.model, PeftModel)
    assert "The adapter is applied without merging" in loaded.notes[-1]


def test_other_adapters_of_the_folder_are_named(tmp_path):
    adapted(tmp_path, EXACT["lora"])
    files = list((tmp_path / "adapter").glob("adapter_*"))
    (tmp_path / "adapter" / "second").mkdir()
    for file in files:
        shutil.copy(file, tmp_path / "adapter" / "second")
    assert (
        "also contains the adapters second, which are not audited"
        in load_folder(tmp_path).notes[-1]
    )


def test_an_adapter_without_some_of_its_tensors_is_refused(tmp_path):
    adapted(tmp_path, EXACT["lora"])
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(file)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(TargetUnavailable, match="lacks tensors of the adapter"):
        load_folder(tmp_path)
