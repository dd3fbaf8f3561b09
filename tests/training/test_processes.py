"""Two processes of `torchrun` against one, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from small_world import write_cache

RECIPE = """version: 1
name: pair
steps: 20
data: {window: 8, holdout_users: 10}
model: {width: 16, layers: 2, heads: 2, mlp: 32, dropout: 0.0, text_vocabulary: 300}
tasks: {recommend: 6, describe: 2}
optimizer: {warmup_steps: 2}
"""
# On CPUs `accelerate launch` starts several processes only through MPI; torchrun needs nothing.
LAUNCH = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29611", "-m"]


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(tmp_path):
    environment = {**os.environ, "AUDITKIT_CACHE": str(write_cache(tmp_path / "cache"))}
    (tmp_path / "pair.yaml").write_text(RECIPE)
    curves, weights = [], []
    for name, launcher in (("one", ["-m"]), ("two", LAUNCH)):
        words = ["auditkit", "train", "pair.yaml", "--out", name, "--quiet"]
        done = subprocess.run(
            [sys.executable, *launcher, *words], cwd=tmp_path, env=environment, timeout=500,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        log = (tmp_path / name / "log.jsonl").read_text().splitlines()
        curves.append([json.loads(line)["loss"] for line in log])
        weights.append(load_file(tmp_path / name / "model.safetensors"))
    record = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert record["volatile"]["processes"] == 2
    assert len(curves[0]) == 20
    assert curves[1] == pytest.approx(curves[0], abs=1e-4)
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=0, atol=1e-3)
