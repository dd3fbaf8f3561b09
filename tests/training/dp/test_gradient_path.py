"""What no test shows to be exact is refused by name, with the nearest supported choice."""

from __future__ import annotations

import pytest
import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from private_models import FULL, LORA, gpt2, llama, prepared, ragged_rows, t5, with_lora

from auditkit.errors import AuditkitError, ConfigurationError
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.gradient_path import open_gradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.objectives import last_states
from auditkit.training.recipe import PrivacyRecipe
from auditkit.training.rows.batches import collate

SILENT = Accounting(n_units=100, sample_rate=0.07, noise_multiplier=0.0, delta=1e-4)
UNITS = [[row] for row in ragged_rows(4)]


def private(case, path="auto"):
    settings = PrivacyRecipe(mechanism="dp_sgd", gradient_path=path)
    return PrivateGradients(case.model, case.losses, settings, SILENT)


def tuned(kind):
    return get_peft_model(llama(), kind(task_type="CAUSAL_LM", num_virtual_tokens=2))


def half_base():
    model = with_lora(llama())
    model.get_base_model().model.embed_tokens.to(torch.bfloat16)
    return model


def quantized():
    model = with_lora(llama())
    with torch.no_grad():
        head = model.get_base_model().lm_head
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    layers = {"lm_head": torch.ao.quantization.default_dynamic_qconfig}
    torch.ao.quantization.quantize_dynamic(model.get_base_model(), layers, inplace=True)
    return model


def described_as_quantized():
    model = llama()
    model.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    return with_lora(model)


def frozen():
    return llama().requires_grad_(False)


@pytest.mark.parametrize("path", ["auto", "fast", "hooks"])
@pytest.mark.parametrize(
    ("make", "named", "instead"),
    [
        (lambda: with_lora(llama(), use_dora=True), r"DoRA \(parameter .*magnitude", "use_dora"),
        (lambda: with_lora(llama(), targets=["embed_tokens"]), "LoRA on embeddings", "linear"),
        (lambda: with_lora(llama(), trainable_token_indices={"embed_tokens": [3]}),
         "trainable_token_indices", "linear layers"),
        (t5, r"Full training of T5 \(parameter .*relative_attention_bias", "LoRA on its q and v"),
        (lambda: tuned(PromptTuningConfig), "Prompt and prefix tuning", "method: lora"),
        (lambda: tuned(PrefixTuningConfig), "Prompt and prefix tuning", "method: lora"),
        (quantized, r"A quantized base \(module .*lm_head", "in float32"),
        (described_as_quantized, "A quantized base", "in float32"),
        (half_base, r"Mixed precision \(parameter .*embed_tokens.weight in bfloat16", "float32"),
        (lambda: torch.nn.DataParallel(llama()), "several processes", "one process"),
        (frozen, "has no trainable parameters", "adapter"),
    ],
)  # fmt: skip
def test_an_unsupported_model_is_refused_on_every_path(make, named, instead, path):
    with pytest.raises(ConfigurationError, match=named) as error:
        open_gradients(make(), path)
    assert instead in str(error.value)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("full Llama, tied", "model.embed_tokens.weight is shared with lm_head.weight"),
        ("full Llama, untied", "model.embed_tokens.weight belongs to a Embedding"),
        ("full GPT-2 with position ids", "wte.weight is shared"),
    ],
)
def test_the_fast_path_names_the_parameter_that_it_cannot_take(name, named):
    with pytest.raises(ConfigurationError, match=named):
        open_gradients(FULL[name](), "fast")


def test_the_fast_path_refuses_a_trained_bias_and_a_subclass_of_linear():
    model = with_lora(gpt2(), targets=["c_attn"], fan_in_fan_out=True, bias="lora_only")
    with pytest.raises(ConfigurationError, match="bias belongs to a Conv1D"):
        open_gradients(model, "fast")
    with pytest.raises(ConfigurationError, match="bias is the bias of a linear layer"):
        open_gradients(torch.nn.Linear(2, 2), "fast")

    class Scaled(torch.nn.Linear):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    with pytest.raises(ConfigurationError, match="belongs to a Scaled"):
        open_gradients(Scaled(2, 2, bias=False), "fast")


def test_hooks_refuse_non_reentrant_checkpointing():
    model = LORA["rsLoRA"]()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with pytest.raises(ConfigurationError, match=r"hooks records no gradients .* fast path"):
        open_gradients(model, "hooks")


def test_autocast_and_evaluation_mode_are_refused_at_the_backward_pass():
    case = prepared(LORA["rsLoRA"])
    gradients = private(case)
    with torch.autocast("cpu"), pytest.raises(AuditkitError, match="under autocast"):
        gradients.clipped_sum(UNITS, clip=1.0)
    case.model.eval()
    with pytest.raises(AuditkitError, match="evaluation mode"):
        gradients.clipped_sum(UNITS, clip=1.0)


@pytest.mark.parametrize("path", ["fast", "hooks"])
def test_a_trained_layer_that_the_loss_does_not_use_is_an_error(path):
    case = prepared(LORA["rsLoRA"])
    case.model.spare = torch.nn.Linear(3, 3, bias=False)
    with pytest.raises(AuditkitError, match=r"Parameter spare.weight has no per-example gradient"):
        private(case, path).clipped_sum(UNITS, clip=1.0)


def test_a_weight_that_is_also_used_outside_its_layer_is_an_error():
    case = prepared(LORA["rsLoRA"])
    weight, plain = case.parameters[0], case.losses
    case.losses = lambda rows: plain(rows) + weight.square().sum()
    with pytest.raises(AuditkitError, match="is used outside its layer"):
        private(case).clipped_sum(UNITS, clip=1.0)


def test_a_loss_of_the_whole_batch_is_an_error():
    case = prepared(LORA["rsLoRA"])
    plain = case.losses
    case.losses = lambda rows: plain(rows).mean()
    with pytest.raises(AuditkitError, match="one loss per record"):
        private(case).clipped_sum(UNITS, clip=1.0)


@pytest.mark.parametrize("path", ["fast", "hooks"])
def test_rows_gathered_before_a_trained_layer_are_an_error(path):
    case = prepared(LORA["LoRA and an untied head"])

    def gathered(rows):  # the head sees one row per token, not per example
        batch = collate(rows, pad=0)
        predicted = batch.targets != -100
        hidden = last_states(case.model, batch)[:, -predicted.shape[1] - 1 : -1][predicted]
        logits = case.model.get_output_embeddings()(hidden)
        losses = torch.nn.functional.cross_entropy(
            logits, batch.targets[predicted], reduction="none"
        )
        return torch.zeros(len(rows)).index_add(0, predicted.nonzero()[:, 0], losses)

    case.losses = gathered
    with pytest.raises(AuditkitError, match="has no per-example gradient"):
        private(case, path).clipped_sum(UNITS, clip=1.0)
