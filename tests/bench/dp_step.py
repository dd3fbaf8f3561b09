"""A private step of a small Llama with LoRA against the same step without privacy, and Opacus.

    python tests/bench/dp_step.py

CPU time of loss, backward pass, clipping and noise, one thread, median of interleaved rounds in one
run; then the peak memory of each kind of step in a process of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.objectives import language_model
from auditkit.training.recipe import PrivacyRecipe
from auditkit.training.rows.batches import Row, collate

ROUNDS, VOCABULARY = 15, 2000
SHAPES = ((32, 64), (8, 64), (8, 256))
KINDS = ("plain", "fast", "hooks", "ghost")


def small_llama():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=688, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True,
    )  # fmt: skip
    lora = LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=["q_proj", "v_proj"])
    return get_peft_model(LlamaForCausalLM(config), lora).train()


def rows_of(batch, tokens):
    rng = np.random.default_rng(0)
    ids = rng.integers(3, VOCABULARY, (batch, tokens))
    return [Row(tuple(int(token) for token in row), tokens // 2) for row in ids]


class Step:
    """One kind of step on a model of its own: the gradients are in `parameter.grad` afterwards."""

    def __init__(self, kind, batch):
        self.kind, self.model = kind, small_llama()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        accounting = Accounting(n_units=1000, sample_rate=0.03, noise_multiplier=1.0, delta=1e-5)
        if kind in ("fast", "hooks"):
            settings = PrivacyRecipe(mechanism="dp_sgd", physical_batch=batch, gradient_path=kind)
            self.gradients = PrivateGradients(self.model, self.losses, settings, accounting)
        elif kind == "ghost":
            self.ghost()

    def losses(self, rows):
        return language_model(self.model, collate(rows, pad=0))

    def ghost(self):
        """Two backward passes: the norms, then the losses weighted by the clipping factors."""
        from opacus.grad_sample.utils import prepare_module

        self.hooks = prepare_module(
            self.model, "ghost", wrap_model=False, loss_reduction="mean", max_grad_norm=1.0,
            use_ghost_clipping=True, strict=False,
        )  # fmt: skip

    def take(self, rows):
        for parameter in self.trained:
            parameter.grad = None
        if self.kind in ("fast", "hooks"):
            self.gradients.step([[row] for row in rows])
            return
        losses = self.losses(rows)
        if self.kind == "plain":
            torch.autograd.backward(losses.mean())
            torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
            return
        torch.autograd.backward(losses.mean(), retain_graph=True)
        factors = self.hooks.get_clipping_coef()
        for parameter in self.trained:
            parameter.grad = None
        self.hooks.disable_hooks()
        torch.autograd.backward((factors * losses).sum())
        self.hooks.enable_hooks()
        for parameter in self.trained:
            noise = torch.normal(0.0, 1.0, size=parameter.shape)
            parameter.grad = (parameter.grad + noise) / 30


def cpu_seconds(step, rows):
    begin = time.process_time()
    step.take(rows)
    return time.process_time() - begin


def compare(batch, tokens):
    rows = rows_of(batch, tokens)
    steps = [Step(kind, batch) for kind in KINDS]
    for step in steps:
        cpu_seconds(step, rows), cpu_seconds(step, rows)  # warm
    times = np.array([[cpu_seconds(step, rows) for step in steps] for _ in range(ROUNDS)])
    plain, fast, hooks, ghost = (statistics.median(column) for column in times.T)
    ratios = times[:, 1] / times[:, 0]
    print(
        f"{batch:3d} x {tokens:3d}  plain {1e3 * plain:6.1f} ms  fast/plain {fast / plain:.3f} "
        f"(rounds {np.quantile(ratios, 0.25):.3f} to {np.quantile(ratios, 0.75):.3f})  "
        f"hooks/fast {hooks / fast:.3f}  ghost/fast {ghost / fast:.3f}"
    )


def peak(kind, batch, tokens):
    """Peak memory in MB of three steps, above what the process holds before the first."""
    import resource

    step, rows = Step(kind, batch), rows_of(batch, tokens)
    step.take(rows[:1])
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    for _ in range(3):
        step.take(rows)
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    print((int(line.split()[1]) * 1024 - before) / 1e6)


def memory(batch, tokens):
    found = {}
    # Freed tensors go back to the system at once, so that the peak is that of live tensors.
    exact = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0"}
    for kind in KINDS:
        command = [sys.executable, __file__, kind, str(batch), str(tokens)]
        found[kind] = float(
            subprocess.run(command, capture_output=True, check=True, env=exact).stdout
        )
    held = sum(p.numel() for p in Step("plain", batch).trained) * batch * 4 / 1e6
    print(
        f"{batch:3d} x {tokens:3d}  peak of a plain step {found['plain']:.0f} MB; "
        + ", ".join(f"{kind} {found[kind] / found['plain']:.3f}" for kind in KINDS[1:])
        + f"; the gradients of {batch} examples are {held:.1f} MB"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        peak(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
        raise SystemExit
    print(f"median CPU time of {ROUNDS} interleaved rounds, one thread, LoRA r = 8 on q and v")
    for shape in SHAPES:
        compare(*shape)
    for shape in SHAPES:
        memory(*shape)
