from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.linking.text_hashing import HashTable, deletion_hashes, text_hashes
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker
from auditkit.catalog.linking.vocabulary import MAX_NEIGHBORS, Vocabulary, english_words

TITLES = ["Heat", "Usual Suspects, The", "Toy Story", "Star Trek: Generations", "Alien (Aliens)"]
YEARS = [1995, 1995, 1995, 1994, None]


@given(st.lists(st.text(max_size=12), max_size=20))
def test_equal_texts_and_only_they_share_a_hash(texts):
    hashes = text_hashes(texts)
    assert len(hashes) == len(texts)
    assert len(set(hashes.tolist())) == len(set(texts))
    assert [text_hashes([text])[0] for text in texts] == hashes.tolist()


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_a_shortened_word_has_the_hash_of_its_shortening(words):
    for letters in (0, 1, 2):
        shortened = deletion_hashes(words, (letters,))
        expected = {
            (int(text_hashes(["".join(kept)])[0]), number)
            for number, word in enumerate(words)
            for kept in combinations(word, max(len(word) - letters, 0))
            if len(word) >= letters
        }
        assert set(zip(shortened.hash.tolist(), shortened.word.tolist(), strict=True)) == expected


def test_a_table_returns_every_row_of_a_hash():
    hashes = text_hashes(["a", "b", "a", "c"])
    table = HashTable.build(hashes, np.arange(4))
    asked, rows = table.find(text_hashes(["a", "x", "c"]))
    assert (asked.tolist(), rows.tolist()) == ([0, 0, 2], [0, 2, 3])


def test_neighbors_are_the_words_within_the_distance_nearest_and_commonest_first():
    words = Vocabulary.build({"story": 3, "stormy": 1, "stony": 9, "64gb": 1, "6gb": 1, "to": 2})
    near = words.neighbors(["stoory", "story", "65gb", "tp"], within=2)
    assert [tuple(n) for n in near["stoory"]] == [("story", 1), ("stony", 2), ("stormy", 2)]
    assert [tuple(n) for n in near["story"]] == [("stony", 1), ("stormy", 1)]
    assert near["65gb"] == ()
    assert [tuple(n) for n in near["tp"]] == [("to", 1)]
    assert [tuple(n) for n in words.neighbors(["stoory"], within=1)["stoory"]] == [("story", 1)]


def test_at_most_twelve_neighbors_are_kept():
    words = Vocabulary.build({f"cat{letter}": 1 for letter in "abcdefghijklmnopqrst"})
    assert len(words.neighbors(["catx"], within=1)["catx"]) == MAX_NEIGHBORS


def test_a_word_of_a_million_letters_is_left_alone():
    words = Vocabulary.build({"x" * 1_000_000: 1, "heat": 1})
    assert words.neighbors(["y" * 1_000_000], within=2) == {}


def test_the_shipped_words_are_those_of_the_recipe():
    assert len(english_words()) == 15_491
    assert {"the", "heat"} <= english_words()


def test_a_stored_index_links_like_the_one_in_memory(tmp_path):
    index = TitleIndex.build(TITLES, YEARS)
    index.save(tmp_path / "catalog.index", source="abc")
    stored = TitleIndex.open(tmp_path / "catalog.index", source="abc")
    ids = [str(n) for n in range(len(TITLES))]
    asked = ["heat", "The Usaul Suspects", "Story Toy 1995", "Star Trek", "Aliens", "Speed 2", ""]
    asked += ["ToyStory", "Usual Suspect", "Generations of Star"]
    assert stored is not None
    assert TitleLinker(ids, stored).link(asked) == TitleLinker(ids, index).link(asked)


@pytest.mark.parametrize("damage", ["other source", "other recipe", "array gone", "cut array"])
def test_a_stored_index_that_does_not_fit_is_not_used(tmp_path, damage):
    folder = tmp_path / "catalog.index"
    TitleIndex.build(TITLES, YEARS).save(folder, source="abc")
    described = folder / "index.json"
    if damage == "other recipe":
        described.write_text(json.dumps({**json.loads(described.read_text()), "recipe": 0}))
    if damage == "array gone":
        (folder / "years.npy").unlink()
    if damage == "cut array":
        (folder / "key_blob.npy").write_bytes((folder / "key_blob.npy").read_bytes()[:20])
    assert TitleIndex.open(folder, source="xyz" if damage == "other source" else "abc") is None


def test_whoever_comes_second_leaves_the_index_of_the_first_and_nothing_else(tmp_path, monkeypatch):
    folder, first = tmp_path / "catalog.index", tmp_path / "first"
    index = TitleIndex.build(TITLES, YEARS)
    index.save(first, source="abc")
    remove = shutil.rmtree

    def overtaken(path, **options):
        if path == folder:
            first.rename(folder)
        else:
            remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", overtaken)
    with pytest.raises(OSError, match="not empty"):
        index.save(folder, source="abc")
    assert TitleIndex.open(folder, source="abc") is not None
    assert list(tmp_path.iterdir()) == [folder]


def test_the_index_is_the_same_bytes_in_every_process(tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from auditkit.catalog.linking.title_index import TitleIndex\n"
        f"TitleIndex.build({TITLES!r}, {YEARS!r}).save(Path(sys.argv[1]), source='abc')"
    )
    stored = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        stored.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert stored[0] == stored[1]
