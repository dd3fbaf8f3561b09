"""Secrets of the environment are replaced in every form in which they may be written."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.security.redaction import Redaction

SECRET = "sk-Canary+/=%\"'\\é 0042"


def redaction(value=SECRET, name="SHOP_API_KEY"):
    return Redaction({name: value})


FORMS = {
    "plain": SECRET,
    "url": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "json": json.dumps(SECRET)[1:-1],
    "json with letters": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "repr": repr(SECRET)[1:-1],
}


@pytest.mark.parametrize("form", list(FORMS))
def test_secret_is_replaced_by_its_length_in_every_form(form):
    shown = redaction().text(f"<<{FORMS[form]}>>")
    assert shown == f"<<[redacted:{len(SECRET)}]>>"


@given(before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_secret_inside_base64_is_replaced_at_any_alignment(before, after):
    plain = b"MyCanaryPassw0rd"
    text = base64.b64encode(before + plain + after).decode()
    shown = redaction(plain.decode()).text(text)
    assert "[redacted:16]" in shown
    assert text[4 + len(before) * 4 // 3 : len(before) * 4 // 3 + 16] not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [("EDITOR", "long-enough-value"), ("API_KEY", "short"), ("KEY_FOLDER", "/tmp"), ("TOKEN", "")],
)
def test_other_variables_short_values_and_paths_are_no_secrets(name, value):
    assert not Redaction({name: value})
    assert Redaction({name: value}).text(f"a {value} b") == f"a {value} b"


@pytest.mark.parametrize(
    "name", ["aws_secret_access", "DB_PASSWORD", "HF_TOKEN", "X_KEY", "CREDENTIALS"]
)
def test_name_of_the_variable_decides(name):
    assert Redaction({name: "0123456789"}).text("at 0123456789.") == "at [redacted:10]."


def test_key_is_secret_whatever_its_variable_is_called():
    environment = {"AUDITKIT_API_KEY_ENV": "MY_SERVICE_LOGIN", "MY_SERVICE_LOGIN": "canary-0123"}
    redaction = Redaction(environment)
    assert redaction.text("it is canary-0123") == "it is [redacted:11]"
    assert redaction.text("set MY_SERVICE_LOGIN") == "set MY_SERVICE_LOGIN"


def test_tree_is_redacted_in_values_and_keys_and_keeps_its_shape():
    tree = {"a": [SECRET, 1, None, 2.5, True], SECRET: {"b": ("x", f"-{SECRET}-")}}
    mark = f"[redacted:{len(SECRET)}]"
    assert redaction().tree(tree) == {
        "a": [mark, 1, None, 2.5, True],
        mark: {"b": ["x", f"-{mark}-"]},
    }


def test_longer_of_two_nested_secrets_wins():
    both = Redaction({"A_KEY": "12345678", "B_KEY": "12345678-and-more"})
    assert both.text("12345678-and-more") == "[redacted:17]"


def test_traceback_that_ends_the_process_holds_no_secret():
    code = (
        "import sys\n"
        "from auditkit.security.redaction import redact_process\n"
        "redact_process()\n"
        "print('out ' + sys.argv[1])\n"
        "print('err ' + sys.argv[1], file=sys.stderr)\n"
        "raise ValueError(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "canary-0123456789"],
        env={"MY_TOKEN": "canary-0123456789", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == "out [redacted:17]\n"
    assert "err [redacted:17]" in done.stderr
    assert "ValueError: [redacted:17]" in done.stderr
    assert "canary" not in done.stderr
