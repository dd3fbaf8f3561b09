"""Audit of training data: planted faults are found in every seed, and the clean twin is quiet."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.interactions import Interactions
from auditkit.catalog.items import CatalogItem
from auditkit.cli import main
from auditkit.data_audit.audit import audit_data
from auditkit.data_audit.near_copies import near_copies
from auditkit.data_audit.texts import TargetText

SEEDS = range(20)
N_USERS, N_ITEMS, N_ROWS = 200, 300, 24
TODAY = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)
YEAR_2000 = 946_684_800
ADJECTIVES = ("Silent", "Golden", "Broken", "Distant", "Hidden", "Burning", "Frozen", "Crimson",
              "Gentle", "Savage", "Lonely", "Electric", "Velvet", "Hollow", "Midnight")  # fmt: skip
NOUNS = ("Orchard", "Harbor", "Mirror", "Empire", "Lantern", "Garden", "Bridge", "Canyon",
         "Compass", "Fortress", "Meadow", "Voyage", "Shadow", "Carnival", "Monument",
         "Prairie", "Cathedral", "Island", "Railway", "Theater")  # fmt: skip


def items_of(rng):
    titles = [f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS]
    years = rng.integers(1960, 1999, N_ITEMS)
    return [
        CatalogItem(id=str(i), title=titles[i], year=int(years[i]), genres=("Drama",))
        for i in range(N_ITEMS)
    ]


def clean(seed):
    """Users with distinct items, two groups of equal size, ratings of 1 to 5, and true texts."""
    rng = np.random.default_rng(seed)
    items = items_of(rng)
    chosen = np.array([rng.choice(N_ITEMS, N_ROWS, replace=False) for _ in range(N_USERS)])
    columns = {
        "user": np.repeat(np.arange(N_USERS), N_ROWS),
        "item": chosen.ravel(),
        "time": YEAR_2000 + rng.integers(0, 10**8, N_USERS * N_ROWS),
        "rating": rng.integers(1, 6, N_USERS * N_ROWS),
    }
    users = [f"u{i}" for i in range(N_USERS)]
    groups = [{"gender": ("female", "male")[i % 2]} for i in range(N_USERS)]
    forms = ("{t} was released in {y}.", "The film {t} came out in {y}.", "{t} is from {y}.")
    texts = [TargetText(forms[i % 3].format(t=one.title, y=one.year), one.id)
             for i, one in enumerate(items)]  # fmt: skip
    return items, columns, users, groups, texts, rng


def audited(items, columns, users, groups, texts):
    rows = Interactions.from_rows(
        columns["user"], columns["item"], timestamp=columns["time"], rating=columns["rating"],
        user_ids=users, item_ids=[one.id for one in items], attributes=groups,
    )  # fmt: skip
    dataset = Dataset(Catalog(tuple(items), domain="movies"), rows)
    return {c.id: c for c in audit_data(dataset, texts=texts, as_of=TODAY)}


def flagged(*parts):
    return {name for name, check in audited(*parts).items() if check.flagged}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_clean_twin_is_quiet(seed):
    *parts, _ = clean(seed)
    checks = audited(*parts)
    assert [name for name, check in checks.items() if check.flagged] == []
    assert checks["texts.contradicted"].n > 200
    assert checks["texts.contradicted"].value == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_faults_are_found_and_nothing_else(seed):
    items, columns, users, groups, texts, rng = clean(seed)
    last = np.array([np.flatnonzero(columns["user"] == u)[columns["time"][columns["user"] == u]
                     .argmax()] for u in range(N_USERS)])  # fmt: skip
    for row in rng.choice(last, N_USERS // 25, replace=False):  # 4 % of test rows
        earlier = np.flatnonzero(columns["user"] == columns["user"][row])
        columns["item"][row] = columns["item"][earlier[earlier != row][0]]
    wrong = set(rng.choice(N_ITEMS, N_ITEMS // 10, replace=False).tolist())
    texts = [t._replace(text=t.text.replace(str(items[i].year), str(items[i].year - 7)))
             if i in wrong else t for i, t in enumerate(texts)]  # fmt: skip
    texts[7] = texts[7]._replace(text=texts[7].text + " Ask jane.doe@example.org for it.")
    users[3] = "someone@example.org"
    groups = [{"gender": "female" if i < N_USERS * 0.1 else "male"} for i in range(N_USERS)]
    found = audited(items, columns, users, groups, texts)
    assert {name for name, check in found.items() if check.flagged} == {
        "split.repeated_pair", "texts.contradicted", "personal.texts", "personal.user_ids",
        "balance.largest_group[gender]",
    }  # fmt: skip
    share = found["texts.contradicted"]
    assert share.low <= 0.1 <= share.high
    assert "@" not in " ".join(
        [*found["personal.texts"].examples, *found["personal.user_ids"].examples]
    )


@pytest.mark.parametrize("seed", range(5))
def test_items_whose_years_were_swapped_are_found_by_their_interactions(seed):
    items, columns, users, groups, _, rng = clean(seed)
    for i in rng.choice(N_ITEMS, 9, replace=False).tolist():
        items[i] = replace(items[i], year=2015)
    found = audited(items, columns, users, groups, [])
    assert {name for name, check in found.items() if check.flagged} == {"events.before_release"}
    assert "of 2015" in found["events.before_release"].examples[0]


@pytest.mark.parametrize("seed", range(5))
def test_copied_histories_are_found_as_pairs(seed):
    items, columns, users, groups, *_ = clean(seed)
    own = columns["item"].reshape(N_USERS, N_ROWS)
    own[11] = own[4]
    own[11][0] = next(i for i in range(N_ITEMS) if i not in own[4])  # 23 of 25 items are shared
    found = audited(items, columns, users, groups, [])["split.copied_history"]
    assert (found.count, found.flagged, found.examples) == (2, True, ("users u4 and u11",))


def test_impossible_times_and_ratings_without_information_are_found():
    items, columns, users, groups, *_ = clean(1)
    columns["time"][-5] = int(TODAY.timestamp()) + 86_400
    columns["time"][columns["user"] < 20] = YEAR_2000
    columns["rating"][columns["user"] < 12] = 5
    assert flagged(items, columns, users, groups, []) == {
        "events.impossible_time", "events.one_time", "ratings.constant_user",
    }  # fmt: skip


def test_repeated_and_nearly_repeated_texts_are_told_apart():
    items, columns, users, groups, *_ = clean(2)
    long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    other = [f"word{i} " * 3 + f"text{i}" for i in range(6)]
    texts = [TargetText(t) for t in (long, long.upper() + "!", long + " fifteen", *other)]
    found = audited(items, columns, users, groups, texts)
    assert found["texts.repeated"].count == 1
    assert found["texts.near_repeated"].count == 2


SETS = st.lists(st.sets(st.integers(0, 40), min_size=0, max_size=15), min_size=2, max_size=14)


@given(sets=SETS, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_reported_pair_is_near_and_every_equal_set_has_a_neighbor(sets, seed):
    elements = np.array([e for one in sets for e in sorted(one)], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, sets)]).astype(np.int64)
    pairs = near_copies(elements, offsets, least=3, similarity=0.8, seed=seed)
    for a, b in pairs:
        assert a < b
        assert len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.8
    named = {s for pair in pairs for s in pair}
    for a, one in enumerate(sets):
        if len(one) >= 3 and one in [o for b, o in enumerate(sets) if b != a]:
            assert a in named


def test_the_command_prints_marks_and_exits_by_its_flags(tmp_path, capsys):
    rows = ["user,item,timestamp"]
    rows += [f"u{u},{(u * 3 + j) % 40},{YEAR_2000 + 60 * j}" for u in range(40) for j in range(12)]
    rows += [f"a@example.org,{j},{YEAR_2000 + j}" for j in range(3)]
    (tmp_path / "events.csv").write_text("\n".join(rows))
    titles = [f"{i},{ADJECTIVES[i % 15]} {NOUNS[i % 20]}" for i in range(40)]
    (tmp_path / "items.csv").write_text("\n".join(["id,title", *titles]))
    (tmp_path / "data.yaml").write_text(
        "version: 1\nname: mine\ninteractions: {file: events.csv}\nitems: {file: items.csv}\n"
    )
    call = ["audit-data", str(tmp_path / "data.yaml"), "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert not ended.value.code
    assert "FLAG  personal.user_ids" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*call, "--json", "--fail"])
    printed = json.loads(capsys.readouterr().out)
    assert ended.value.code == 10
    assert "personal.user_ids" in printed["flagged"]
    assert {check["id"] for check in printed["checks"]} >= set(printed["flagged"])
