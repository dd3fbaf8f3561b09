"""Errors of a pipeline file, each with its line and what to do."""

from __future__ import annotations

import pytest

from auditkit.errors import ConfigurationError
from auditkit.recommenders.pipeline_file import read_pipeline

FIRST = '  - {name: retrieval, target: "baseline:item-knn", n: 50}\n'
LAST = '  - {name: ranking, target: "openai:http://127.0.0.1:8000/v1#m"}\n'


def written(path, *lines, version="1"):
    path.write_text(f"version: {version}\nstages:\n" + "".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.yaml"


def test_stages_are_read_in_order(path):
    found = read_pipeline(written(path, FIRST, LAST))
    assert [(stage.name, stage.n) for stage in found.stages] == [
        ("retrieval", 50),
        ("ranking", None),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([LAST], r":2: stages: a pipeline needs two or more stages, but this one has 1"),
        ([FIRST.replace(", n: 50", ""), LAST], r":3: stages\[0\]: n is missing"),
        ([FIRST, LAST.replace("}", ", n: 5}")], r":4: stages\[1\]\.n: the last stage .* Remove n"),
        ([FIRST, LAST.replace("ranking", "retrieval")], r"two stages are named 'retrieval'"),
        ([FIRST, LAST.replace("target", "taget")], r"unknown key\. Did you mean 'target'\?"),
        ([FIRST, LAST.replace("target", "taget")], r"stages\[1\]\.target: this key is required"),
        ([FIRST.replace("50", "0"), LAST], r"greater than or equal to 1 \(got 0\)"),
        ([FIRST.replace("50", "5000"), LAST], r"less than or equal to 1000 \(got 5000\)"),
        ([FIRST.replace("50", '"50"'), LAST], r"valid integer"),
        ([FIRST.replace("retrieval", "First Stage"), LAST], r"stages\[0\]\.name"),
        (["  - 5\n", LAST], r"stages\[0\]"),
    ],
)
def test_an_error_names_line_and_remedy(path, lines, message):
    with pytest.raises(ConfigurationError, match=message):
        read_pipeline(written(path, *lines))


def test_all_errors_are_listed_at_once(path):
    with pytest.raises(ConfigurationError, match="3 errors") as raised:
        read_pipeline(written(path, FIRST.replace(", n: 50", ", m: 5"), LAST, version="2"))
    assert "version" in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "stages: 3\nversion: 1\n", "version: 1\n"])
def test_a_file_without_stages_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="error"):
        read_pipeline(path)


def test_a_file_that_does_not_exist_is_named(path):
    with pytest.raises(ConfigurationError, match=r"shop\.yaml cannot be read .* Check the path"):
        read_pipeline(path)
