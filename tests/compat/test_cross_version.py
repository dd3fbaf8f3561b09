"""Folders of two releases of transformers, each read by both: equal scores or a refusal.

AUDITKIT_OTHER_PYTHON names the interpreter of the other environment; `make test-compat` sets it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cross_version import KINDS

OTHER = os.environ.get("AUDITKIT_OTHER_PYTHON")
pytestmark = pytest.mark.skipif(not OTHER, reason="needs a second environment")
SCRIPT = Path(__file__).parents[1] / "support" / "cross_version.py"
SCALED = ("llama3-scaling", "linear-scaling")
# T5 and Gemma 2 take the softmax of their attention in float32.
NATS = {"t5": 1e-5}


def run(python, *arguments, **variables):
    command = [python, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def major(python):
    code = "import transformers; print(transformers.__version__)"
    return int(
        subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
        .stdout.split()[-1]
        .partition(".")[0]
    )


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What each release reads: {(kind, writer, reader): scores or refusal}."""
    environments = {major(python): python for python in (sys.executable, OTHER)}
    assert sorted(environments) == [4, 5]
    folders = {str(tmp_path_factory.mktemp(f"writer-{n}")): n for n in environments}
    for folder, writer in folders.items():
        run(environments[writer], "write", folder)
    found = {}
    for reader, python in environments.items():
        answers = json.loads(run(python, "read", *folders).splitlines()[-1])
        for folder, writer in folders.items():
            for kind in KINDS:
                found[kind, writer, reader] = answers[folder][kind]
    return found


def worst(a, b):
    return max(abs(sum(x) - sum(y)) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-9), ("float32", 1e-3)])
def test_scores_are_equal_or_the_folder_is_refused(read, kind, precision, bound):
    answers = {key[1:]: answer for key, answer in read.items() if key[0] == kind}
    refused = {key for key, answer in answers.items() if "refused" in answer}
    assert refused == ({(5, 4)} if kind in SCALED else set())
    scored = [answer[precision] for key, answer in answers.items() if key not in refused]
    assert max(worst(scored[0], answer) for answer in scored) <= max(bound, NATS.get(kind, 0))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2", "gpt2"])
def test_packed_passes_the_self_probe_in_both(read, kind):
    for key, answer in read.items():
        if key[0] == kind:
            assert "packed" in answer["passed"], key


@pytest.mark.parametrize("kind", SCALED)
def test_a_refusal_names_the_setting_and_what_to_install(read, kind):
    message = read[kind, 5, 4]["refused"]
    assert "`rope_parameters`" in message
    assert "written by transformers 5." in message
    assert "install transformers 5" in message


@pytest.mark.timeout(900)  # four processes load the model, and two convert it
def test_smollm2_is_the_same_model_whoever_converted_it(tmp_path):
    """The releases share a cache, so each has to read what the other one converted."""
    found = [
        json.loads(run(reader, "smollm2", AUDITKIT_CACHE=str(tmp_path / str(n))).splitlines()[-1])
        for n, writer in enumerate((sys.executable, OTHER))
        for reader in (writer, *{sys.executable, OTHER} - {writer})
    ]
    assert {answer["executor"] for answer in found} == {"packed"}
    assert all(answer["prompt"] == found[0]["prompt"] for answer in found)
    assert max(worst(found[0]["scores"], answer["scores"]) for answer in found) <= 1e-3
