"""Equal values, equal bytes; files whole or absent."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.serialization.atomic_files import sha256_file, write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json, sha256_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_canonical_json_reads_back(value):
    assert read_json(canonical_json(value)) == value


@given(VALUES)
def test_indented_json_holds_the_same_with_sorted_keys(value):
    text = canonical_json(value, indent=1)
    assert read_json(text) == value
    assert canonical_json(read_json(text), indent=1) == text
    assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(json.loads(text))


def test_a_list_of_plain_values_stands_on_one_line():
    value = {"q": [0.25, 1, None, "a\nb"], "units": [["u", 1.0], []], "none": {}}
    assert canonical_json(value, indent=1).splitlines() == [
        "{",
        ' "none": {},',
        ' "q": [0.25,1,null,"a\\nb"],',
        ' "units": [',
        '  ["u",1.0],',
        "  []",
        " ]",
        "}",
    ]


@given(VALUES)
def test_canonical_json_is_one_line_of_ascii(value):
    text = canonical_json(value)
    assert text.isascii()
    assert "\n" not in text


@given(st.dictionaries(st.text(), st.integers()))
def test_order_of_keys_does_not_change_the_hash(mapping):
    assert sha256_json(mapping) == sha256_json(dict(reversed(mapping.items())))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json([number])


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "NaN", "[Infinity]", "-Infinity", "{", ""])
def test_ambiguous_json_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        read_json(text)


def test_json_with_a_nested_repeated_key_is_refused():
    with pytest.raises(ValueError, match="twice"):
        read_json(json.dumps({"a": 0})[:-1] + ', "b": {"c": 1, "c": 1}}')


def test_written_file_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_atomically(path, "first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["file.json"]


def test_hash_of_a_file_is_the_hash_of_its_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(canonical_json({"a": [1, 2.5]}).encode())
    assert sha256_file(path) == sha256_json({"a": [1, 2.5]})
