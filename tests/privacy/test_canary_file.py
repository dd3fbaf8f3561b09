"""The private list of canaries is read back as written, and damage is named with its line."""

from __future__ import annotations

import stat

import pytest

from auditkit.errors import ConfigurationError
from auditkit.privacy.canary_file import Canary, CanaryFile, canary_path

IDENTITY = {"recipe_sha256": "a" * 64, "data_sha256": "b" * 64}
CANARIES = (Canary("canary-0", ("1", "2"), True), Canary("canary-1", ("3", "2", "5"), False))
FILE = CanaryFile(CANARIES, 4, IDENTITY)


def test_a_file_of_canaries_is_read_back(tmp_path):
    path = canary_path(tmp_path / "model")
    FILE.write(path)
    assert path == tmp_path / "model.canaries.jsonl"
    assert CanaryFile.read(path) == FILE


def test_the_file_is_readable_by_its_owner_alone(tmp_path):
    FILE.write(tmp_path / "c.jsonl")
    assert stat.S_IMODE((tmp_path / "c.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda lines: [], ":1 is not a valid line"),
        (lambda lines: lines[1:], ":1 is not a valid line"),
        (lambda lines: [lines[0], lines[1][:-5]], ":2 is not a valid line"),
        (lambda lines: [*lines[:2], '{"id": "x", "items": ["1"], "planted": true}'], ":3 is not"),
        (lambda lines: [*lines, lines[1]], "several canaries with the id canary-0"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path, damage, place):
    path = tmp_path / "c.jsonl"
    FILE.write(path)
    path.write_text("\n".join(damage(path.read_text().splitlines())))
    with pytest.raises(ConfigurationError, match=place):
        CanaryFile.read(path)


def test_a_missing_file_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ConfigurationError, match="auditkit train"):
        CanaryFile.read(tmp_path / "none.jsonl")
