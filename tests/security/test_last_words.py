"""No secret in what the process prints when it crashes, through the installed script."""

from __future__ import annotations

import os

import pytest
from console import console
from small_world import write_cache

KEY = "canary-0123456789"
MODULES = {
    "the object cannot be made": """
class Shop:
    def __init__(self):
        raise RuntimeError(f"401 for {KEY}")
""",
    "the module cannot be imported": 'raise RuntimeError(f"no access with {KEY}")',
    "one error causes another": """
try:
    raise LookupError(KEY)
except LookupError as cause:
    raise RuntimeError("cannot start") from cause
""",
    "an exit handler fails": """
import atexit
def leave():
    raise RuntimeError(f"still open: {KEY}")
atexit.register(leave)
raise RuntimeError("cannot start")
""",
    "the key is set while auditkit runs": """
os.environ["LATE_TOKEN"] = "late-canary-987654"
raise RuntimeError(os.environ["LATE_TOKEN"] + KEY)
""",
    "the error has a note": """
error = RuntimeError("cannot start")
error.add_note(f"the key was {KEY}")
raise error
""",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    return tmp_path


def crash(folder, code, **variables):
    (folder / "shop.py").write_text(f'import os\nKEY = os.environ["SHOP_API_KEY"]\n{code}\n')
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    words = ["audit", "python:shop:Shop", "--allow-code", "--recipe", "quick", "--out", "run"]
    return console(*words, cwd=folder, **{"PYTHONPATH": path, "SHOP_API_KEY": KEY, **variables})


@pytest.mark.parametrize("why", MODULES)
def test_traceback_holds_no_secret(folder, why):
    done = crash(folder, MODULES[why])
    printed = (done.stdout + done.stderr).decode()
    assert done.returncode == 1
    assert "Traceback" in printed
    assert "[redacted:" in printed
    assert "canary" not in printed


def test_traceback_of_a_deliberate_error_holds_no_secret(folder):
    done = crash(folder, 'raise ImportError(f"no {KEY}")', AUDITKIT_DEBUG="1")
    printed = done.stderr.decode()
    assert "Traceback" in printed
    assert f"no [redacted:{len(KEY)}]" in printed
    assert "canary" not in printed


def test_traceback_without_secrets_is_whole(folder):
    done = crash(folder, 'raise RuntimeError("cannot start")', SHOP_API_KEY="short")
    assert b"RuntimeError: cannot start" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_message_holds_no_secret_in_any_encoding(folder, encoding):
    done = crash(folder, 'raise ImportError(f"no {KEY}")', PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert f"no [redacted:{len(KEY)}]".encode() in done.stderr
    assert b"canary" not in done.stderr
