"""The strict loader: what a value means, what is refused, and where every fault stands."""

from __future__ import annotations

import datetime
import json
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.errors import ConfigurationError
from auditkit.serialization.strict_yaml import MAX_DEPTH, MAX_NODES, load_yaml, parse_yaml
from auditkit.serialization.yaml_errors import validate


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("True", "True"),
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
        ("012", "012"), ("0o12", "0o12"), ("0x1F", "0x1F"), ("12:30", "12:30"), ("1_000", "1_000"),
        ("1e-5", 1e-5), ("1.0e5", 1e5), (".5", 0.5), ("2.", 2.0), ("0.02", 0.02),
        ("-3", -3), ("+4", 4), ("0", 0),
        ("2027-01-31", "2027-01-31"), (".inf", ".inf"), (".nan", ".nan"),
        ("'5'", "5"), ('"true"', "true"), ("|\n  7\n", "7\n"),
        ("[1, a]", [1, "a"]), ("{1: x, true: y}", {"1": "x", "true": "y"}),
    ],
)  # fmt: skip
def test_a_plain_value_means_what_it_says(written, meant):
    value = parse_yaml(f"key: {written}", source="t.yaml").data["key"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system ['true']", "t.yaml:1: tag"),
        ("a: !!str 5", "t.yaml:1: tag"),
        ("a: 1\nb: &x 2\n", "t.yaml:2: anchor &x"),
        ("a: &x 1\nb: *x\n", "t.yaml:2: alias *x"),
        ("a: {}\nb:\n  <<: {c: 1}\n", "t.yaml:3: merge key"),
        ("a: 1\nb: 2\na: 3\n", "t.yaml:3: key 'a' occurs twice (first on line 1)"),
        ("a: 1\n---\nb: 2\n", "t.yaml:2: a second document"),
        ("[a, b]: 1\n", "t.yaml:1: a key must be text"),
        ("a: 1e999\n", "t.yaml:1: number 1e999... is too large"),
        (f"a: {'9' * 5000}\n", "t.yaml:1: number"),
        ('a: "\\ud800"\n', "t.yaml:1: text has an unpaired surrogate"),
        ("a: 1\nb: [1,\n", "not valid YAML"),
        ("a: 1\nb: \x1b[0m\n", "t.yaml:2: character '\\x1b'"),
    ],
)
def test_what_could_be_misread_is_an_error_with_its_line(text, message):
    with pytest.raises(ConfigurationError) as error:
        parse_yaml(text, source="t.yaml")
    assert message in str(error.value)


def test_all_structural_faults_are_listed_at_once():
    with pytest.raises(ConfigurationError) as error:
        parse_yaml("a: !!str 1\na: &x 2\nb: *x\n", source="t.yaml")
    assert [line.split(": ")[0] for line in str(error.value).splitlines()[1:]] == [
        "t.yaml:1", "t.yaml:2", "t.yaml:2", "t.yaml:3",
    ]  # fmt: skip


def test_depth_is_limited_before_the_document_is_built():
    parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, source="t")
    with pytest.raises(ConfigurationError, match="nested deeper"):
        parse_yaml("[" * 200_000, source="t")


def test_the_number_of_values_is_limited():
    with pytest.raises(ConfigurationError, match="more than 20,000 values"):
        parse_yaml("[" + "1," * MAX_NODES + "]", source="t")


def test_the_size_of_a_file_is_limited(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text("# " + "x" * (1 << 20))
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        load_yaml(path)


def test_a_file_that_is_missing_or_not_utf8_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent\.yaml cannot be read"):
        load_yaml(tmp_path / "absent.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"latin\.yaml:2: not UTF-8"):
        load_yaml(path)


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_yaml(path).data == {"a": 1}


def test_every_key_and_element_knows_its_line():
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: 2\n    d: 3\n", source="t")
    assert [document.line(p) for p in ([], ["a"], ["b", 0], ["b", 1], ["b", 1, "d"])] == [
        1,
        1,
        3,
        4,
        5,
    ]


def test_a_path_that_does_not_exist_has_the_line_of_its_nearest_parent():
    document = parse_yaml("a: 1\nb:\n  c: 2\n", source="t")
    assert document.line(["b", "absent", 3]) == 2
    assert document.line(["absent"]) == 1


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(plain)
def test_json_reads_back_as_itself(value):
    assert parse_yaml(json.dumps(value, ensure_ascii=False), source="t").data == value


# --- validate ---


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    maximum: float | None = None
    tags: tuple[str, ...] = ()
    expires: datetime.date | None = None


class Sized(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["sized"]
    n_users: int = 10


class Named(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["named"]
    title: str


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    rules: list[Rule] = []
    options: dict[str, Annotated[Sized | Named, Field(discriminator="kind")]] = {}


ADAPTER = TypeAdapter(Recipe)


def _message(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        validate(parse_yaml(text, source="r.yaml"), ADAPTER)
    return str(error.value).splitlines()[1:]


def test_a_valid_document_becomes_its_model_with_tuples_and_dates():
    text = "version: 1\nrules: [{id: a, maximum: 1, tags: [x], expires: 2027-01-31}]"
    rule = validate(parse_yaml(text, source="t"), ADAPTER).rules[0]
    assert (rule.maximum, rule.tags, rule.expires) == (1.0, ("x",), datetime.date(2027, 1, 31))


def test_all_faults_are_listed_with_file_line_and_key():
    lines = _message(
        'version: 2\nrules:\n  - {id: a, maximun: 1}\n  - id: 7\n    maximum: "0.5"\n  - {}\n'
    )
    assert lines[0].startswith("r.yaml:1: version: ")
    assert lines[1] == "r.yaml:3: rules[0].maximun: unknown key. Did you mean 'maximum'?"
    assert lines[2].startswith("r.yaml:4: rules[1].id: ")
    assert lines[2].endswith("(got 7)")
    assert lines[3].startswith("r.yaml:5: rules[1].maximum: ")
    assert lines[4] == "r.yaml:6: rules[2].id: this key is required"


def test_an_unknown_key_inside_a_union_finds_its_meant_key():
    lines = _message("version: 1\noptions:\n  a:\n    kind: sized\n    n_user: 3\n")
    assert lines == ["r.yaml:5: options.a.n_user: unknown key. Did you mean 'n_users'?"]


def test_a_secret_is_not_repeated_in_the_message():
    adapter = TypeAdapter(dict[Literal["api_key"], int])
    with pytest.raises(ConfigurationError) as error:
        validate(parse_yaml("api_key: hunter2-hunter2", source="t"), adapter)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "5"])
def test_a_document_of_another_shape_is_one_clear_error(text):
    assert len(_message(text)) == 1
