"""`auditkit init` finds the columns by their content and drafts files that an audit can use."""

from __future__ import annotations

import csv
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auditkit import load_catalog
from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.cli import main
from auditkit.drafting.column_roles import joined_columns
from auditkit.drafting.draft import Tables, draft_files, write_files
from auditkit.drafting.release_policy import policy_for, shipped_policy_of
from auditkit.drafting.table_profile import profile_table
from auditkit.errors import CatalogError, ConfigurationError
from auditkit.policy.schema import Policy
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.run.recipe import read_recipe

DAY = 86_400


def write(path, header, rows, *, delimiter=","):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def shop(folder, *, delimiter=","):
    """Tables with names that no list of usual names contains, and ids that both are numbers."""
    colors, brands, plans = ("Red", "Blue"), ("Nordal", "Korvo", "Sony"), ("free", "paid")
    items = [
        (n, f"Lamp Model {n}, {colors[n % 2]}", brands[n % 3], colors[n % 2], f"{n}.50",
         f"https://shop.example/{n}.jpg", "x" * 90 + str(n))
        for n in range(1, 121)
    ]  # fmt: skip
    users = [(n, ("DE", "AT")[n % 2], plans[n % 2], 20 + n) for n in range(1, 101)]
    events = [
        (user, 1 + (user * 7 + step) % 120, 1_600_000_000 + DAY * step, 1 + step % 5)
        for user in range(1, 101)
        for step in range(6)
    ]
    return Tables(
        items=write(folder / "goods.csv",
                    ("code", "label", "brand", "colour", "price", "picture", "text"), items,
                    delimiter=delimiter),
        events=write(folder / "log.csv", ("who", "what", "moment", "stars"), events,
                     delimiter=delimiter),
        users=write(folder / "people.csv", ("number", "country", "plan", "age"), users,
                    delimiter=delimiter),
    )  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_found_by_content_and_the_files_can_be_used(tmp_path, delimiter):
    tables = shop(tmp_path, delimiter=delimiter)
    write_files(draft_files(tables, tmp_path, card=True), tmp_path)
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert data["items"] == {"file": "goods.csv", "id": "code", "title": "label"}
    assert data["users"]["attributes"] == ["country", "plan"]
    assert data["interactions"]["rating"] == "stars"
    dataset = open_dataset(str(tmp_path / "data.yaml"))
    assert len(dataset.catalog) == 120
    assert len(dataset.interactions.user_ids) == 100
    assert set(dataset.interactions.attributes[0]) == {"country", "plan"}
    read_recipe(tmp_path / "recipe.yaml")
    groups = {rule.group for rule in Policy.read(tmp_path / "policy.yaml").file.rules}
    assert {"country", "plan"} < groups


def test_a_mapping_has_types_worlds_and_variants_and_leaves_out_what_states_nothing(tmp_path):
    draft = draft_files(shop(tmp_path), tmp_path)
    mapping = yaml.safe_load(draft.files["catalog.yaml"])
    assert mapping["domain"] == "products"
    assert mapping["items"]["variant"] == ["colour"]
    assert mapping["predicates"] == {
        "brand": {"column": "brand", "type": "entity", "world": "closed"},
        "color": {"column": "colour", "type": "string", "world": "closed"},
        "price": {"column": "price", "type": "real", "world": "functional"},
    }
    reasons = {column: reason for _, column, reason in draft.left_out}
    assert reasons["picture"] == "web addresses"
    assert reasons["text"] == "long texts"
    assert "bins" in reasons["age"]


def test_the_group_rules_of_the_policy_are_replaced_not_added(tmp_path):
    draft = draft_files(shop(tmp_path), tmp_path)
    lines = [line for line in draft.files["policy.yaml"].split("\n") if "group_utility" in line]
    assert [line.split("id: ")[1].split(",")[0] for line in lines] == [
        "country-utility-gap", "plan-utility-gap",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "style", "policy"),
    [
        ("scores:s.npz", None, "release-scores"),
        ("openai:http://localhost/v1#m", None, "release-endpoint"),
        ("python:shop:Model", None, "release"),
        ("", None, "release"),
        ("folder", "rank", "release-item-tokens"),
        ("folder", "generate", "release-local"),
        ("folder", "embed", "release"),
    ],
)
def test_the_policy_is_that_of_the_kind_of_target(tmp_path, monkeypatch, target, style, policy):
    monkeypatch.chdir(tmp_path)
    if style:
        (tmp_path / target).mkdir()
        kind = "encoder" if style == "embed" else "causal"
        RecommenderManifest(version=1, name="m", kind=kind, style=style).write(tmp_path / target)
    assert shipped_policy_of(target) == policy
    text = policy_for("mine", ["plan"], shipped=policy)
    rules = {line.split(",")[0] for line in text.split("\n") if "group_utility" in line}
    assert rules == {"  - {id: plan-utility-gap"}


def test_without_users_no_rule_and_no_probe_compares_groups(tmp_path):
    tables = shop(tmp_path)
    draft = draft_files(Tables(items=tables.items, events=tables.events), tmp_path)
    assert "users" not in yaml.safe_load(draft.files["data.yaml"])
    assert "fairness.group_utility" not in yaml.safe_load(draft.files["recipe.yaml"])["probes"]
    assert "metric: fairness.group_utility" not in draft.files["policy.yaml"]


def test_the_command_prints_the_commands_up_to_a_verdict_and_they_work(tmp_path, capsys):
    tables = shop(tmp_path)
    main_ended = pytest.raises(SystemExit)
    with main_ended as ended:
        main(["init", "--items", str(tables.items), "--events", str(tables.events), "--users",
              str(tables.users), "--target", "baseline:popularity", "--json"])  # fmt: skip
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    build, dry, audit = (command.split() for command in printed["commands"])
    for command in (build, [*dry]):
        with pytest.raises(SystemExit) as ended:
            main(command[1:])
        assert ended.value.code == 0, capsys.readouterr().err
    catalog = load_catalog(tmp_path / "catalog.akg")
    assert catalog.domain == "products"
    assert audit[-4:-2] == ["--policy", str(tmp_path / "policy.yaml")]


def test_an_existing_file_is_never_replaced(tmp_path):
    tables = shop(tmp_path)
    (tmp_path / "policy.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"policy\.yaml already exists\. Give another folder"
    ):
        write_files(draft_files(tables, tmp_path), tmp_path)
    assert (tmp_path / "policy.yaml").read_text() == "mine"
    assert not (tmp_path / "data.yaml").exists()


def test_tables_outside_the_folder_are_named_relative_to_it(tmp_path):
    draft = draft_files(shop(tmp_path), tmp_path / "audit")
    assert yaml.safe_load(draft.files["data.yaml"])["items"]["file"] == "../goods.csv"
    assert draft.outside


def test_numbers_of_users_are_not_taken_for_items(tmp_path):
    items = write(tmp_path / "i.csv", ("item_id", "title"), [(n, f"Title {n}") for n in range(50)])
    events = write(
        tmp_path / "e.csv",
        ("user_id", "item_id", "timestamp"),
        [(n, n % 25 + 25, 1_600_000_000 + n) for n in range(50)],
    )
    found = joined_columns(profile_table(items), profile_table(events), "item_id")
    assert found == ("item_id", "item_id")


def test_tables_that_share_no_ids_are_named(tmp_path):
    items = write(tmp_path / "i.csv", ("id", "title"), [("a", "A"), ("b", "B")])
    events = write(tmp_path / "e.csv", ("user", "item", "time"), [("u", "c", 1_600_000_000)])
    with pytest.raises(CatalogError, match="Give tables with common ids"):
        draft_files(Tables(items=items, events=events), tmp_path)


def test_events_without_a_time_are_named(tmp_path):
    items = write(tmp_path / "i.csv", ("id", "title"), [("a", "A"), ("b", "B")])
    events = write(tmp_path / "e.csv", ("user", "item"), [("u", "a"), ("u", "b")])
    with pytest.raises(CatalogError, match="no column that looks like a timestamp column"):
        draft_files(Tables(items=items, events=events), tmp_path)


def test_an_empty_table_is_named(tmp_path):
    (tmp_path / "empty.csv").write_text("id,title\n", encoding="utf-8")
    with pytest.raises(CatalogError, match="contains no readable row"):
        profile_table(tmp_path / "empty.csv")


CELLS = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9),
                  st.lists(st.text(max_size=3), max_size=3), st.booleans())  # fmt: skip


@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), CELLS), min_size=1, max_size=9))
def test_any_json_lines_have_a_profile(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    try:
        profile = profile_table(path)
    except CatalogError:
        return
    for column in profile.columns.values():
        assert column.n_filled == sum(column.counts.values()) <= column.n_rows == profile.n_rows
