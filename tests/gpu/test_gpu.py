"""Models on a GPU against the same models on the CPU.

AUDITKIT_DEVICE=cpu runs the same code without a GPU, where float32 is compared with itself.
"""

from __future__ import annotations

import os
import random

import pytest
import torch
from run_probe import run_probe
from small_folder import save
from small_world import world
from tiny_models import VOCABULARY, one_by_one, tiny, worst
from training_recipes import rows_of, small_recipe

from auditkit.engine.generation import Decoding
from auditkit.engine.inference import Engine
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.loop import train
from auditkit.training.model import build_model
from auditkit.training.objectives import language_model
from auditkit.training.recipe import PrivacyRecipe
from auditkit.training.rows.batches import collate
from auditkit.training.weighted_objectives import on_device

pytestmark = pytest.mark.gpu
DEVICE = os.environ.get("AUDITKIT_DEVICE", "cuda")
CAUSAL = ("llama", "qwen2", "gemma2", "gpt2")
# Nats of a title of up to 6 tokens; bfloat16 keeps 8 bits of every activation.
BOUNDS = {torch.float32: 1e-3, torch.bfloat16: 0.25}


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    monkeypatch.setenv("AUDITKIT_DEVICE", DEVICE)


def pairs():
    draw = random.Random(0)
    tokens = lambda n: [draw.randrange(VOCABULARY) for _ in range(n)]  # noqa: E731
    head = tokens(30)
    return [(head + tokens(5), tokens(n)) for n in (1, 3, 6) for _ in range(4)]


def moved(name, dtype):
    """A model on the device, and in float32 on the CPU."""
    return tiny(name, dtype=dtype, scale=1).to(DEVICE), tiny(name, dtype=torch.float32, scale=1)


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize("name", [*CAUSAL, "t5"])
def test_scores(name, dtype):
    model, reference = moved(name, dtype)
    engine = Engine(model)
    assert worst(engine.score(pairs()), one_by_one(reference, pairs())) <= BOUNDS[dtype]
    if name in CAUSAL:
        assert "packed" in engine.certificate.passed


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize("name", [*CAUSAL, "t5"])
def test_greedy_texts(name, dtype):
    """Every token is the best one on the CPU, up to the precision of the device."""
    model, reference = moved(name, dtype)
    prompts = [prompt for prompt, _ in pairs()][:6]
    bound, engine = BOUNDS[dtype] / 5, Engine(reference)
    for prompt, found in zip(prompts, Engine(model).generate(prompts, Decoding(8)), strict=True):
        for i, token in enumerate(found.ids):
            logits = engine.next_token_logits([[*prompt, *found.ids[:i]]])[0]
            if name == "t5":
                logits = _decoded(reference, prompt, found.ids[:i])
            assert logits[token] >= logits.max() - bound


@torch.inference_mode()
def _decoded(model, prompt, new):
    start = model.config.decoder_start_token_id
    return model(
        input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[start, *new]])
    ).logits[0, -1]


def test_sampled_texts_follow_their_seeds():
    model, reference = moved("llama", torch.float32)
    prompts, decoding = [prompt for prompt, _ in pairs()], Decoding(8, temperature=1.0)
    texts = [
        [text.ids for text in Engine(m).generate(prompts, decoding, seeds=range(len(prompts)))]
        for m in (model, reference)
    ]
    same = sum(a == b for a, b in zip(*texts, strict=True))
    assert same >= len(prompts) - 1  # one draw may lie at the edge of two tokens


def test_training_steps_lower_the_loss_and_the_folder_is_the_model(tmp_path):
    recipe = small_recipe(steps=8)
    folder = train(recipe, tmp_path / "model", dataset=world())  # compares the folder at the end
    assert load_folder(folder).model.device.type == torch.device(DEVICE).type


def test_private_gradients():
    recipe = small_recipe(dropout=0.0)
    rows = rows_of(recipe, world())
    pad, units = rows.tokenizer.pad_token_id, [[row] for row in rows.fixed_rows()[:6]]
    settings = PrivacyRecipe(
        mechanism="dp_sgd", epsilon=8.0, clip_norm=0.5, expected_batch=8, physical_batch=3
    )
    silent = Accounting(n_units=100, sample_rate=0.08, noise_multiplier=0.0, delta=1e-4)
    sums = []
    for device in ("cpu", DEVICE):
        model = build_model(recipe.model, rows.tokenizer, seed=0).to(device).train()

        def losses(chosen, model=model, device=device):
            return language_model(model, on_device(torch.device(device), collate(chosen, pad=pad)))

        gradients = PrivateGradients(model, losses, settings, silent)
        sums.append([tensor.cpu() for tensor in gradients.clipped_sum(units, clip=0.5)])
        gradients.close()
    for left, right in zip(*sums, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-5)


def test_attributions(tmp_path, monkeypatch):
    folder = save(tmp_path)
    found = []
    for device in ("cpu", DEVICE):
        monkeypatch.setenv("AUDITKIT_DEVICE", device)
        run = run_probe("explain.attribution", load_folder(folder, world()), n_users=6)
        found.append({(f.metric, f.group): f.estimate.value for f in run.findings})
    assert found[0].keys() == found[1].keys()
    assert found[1] == {key: pytest.approx(value, abs=1e-3) for key, value in found[0].items()}
