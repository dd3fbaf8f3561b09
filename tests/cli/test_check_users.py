"""`auditkit check-users`: exit codes, figures, and the line of a wrong log."""

from __future__ import annotations

import json

import numpy as np
import pytest
from session_worlds import always_accept, real_users


@pytest.fixture
def logs(tmp_path):
    rng = np.random.default_rng(0)
    made = {"real": real_users(rng, 60), "alike": real_users(rng, 60),
            "yes": always_accept(rng, 60)}  # fmt: skip
    for name, log in made.items():
        lines = [json.dumps({"session": i, **one._asdict()}) for i, one in enumerate(log)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_users_who_always_accept_are_rejected(logs, call):
    code, out, _ = call("check-users", logs / "real.jsonl", logs / "yes.jsonl", "--json")
    found = json.loads(out)
    assert code == 10
    assert found["rejected"]
    assert found["differences"]["acceptance rate"]["simulated"] == 1
    assert found["n_real"] == 60


def test_users_who_are_alike_are_not_rejected_and_not_called_realistic(logs, call):
    code, out, _ = call("check-users", logs / "real.jsonl", logs / "alike.jsonl")
    assert code == 0
    assert "not proof that the users are realistic" in out
    assert "repeat rate" in out


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"length": 2, "acceptances": 3, "repeats": 0}', '{"length": true}']
)
def test_a_wrong_line_is_named_with_an_example(logs, call, line):
    path = logs / "real.jsonl"
    path.write_text(path.read_text() + line + "\n")
    code, _, err = call("check-users", path, logs / "yes.jsonl")
    assert code == 2
    assert "real.jsonl:61 is not" in err
    assert '"acceptances": 3' in err
