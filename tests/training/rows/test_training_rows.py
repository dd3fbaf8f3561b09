"""Training rows: no leakage, targets in place, batches that depend on seed and step alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_world import N_ITEMS, N_USERS, world
from training_recipes import rows_of, small_model, small_recipe

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.graph.schema import Predicate
from auditkit.errors import InvalidArgument
from auditkit.recommenders.prompting.token_encoding import item_tokens
from auditkit.training.rows.batches import Row, collate
from auditkit.training.rows.tasks import TASKS
from auditkit.training.rows.training_rows import TrainingRows
from auditkit.types import Item


def test_no_row_holds_a_held_out_item_or_a_held_out_user():
    data = world()
    recipe = small_recipe(fit="all_but_validation", holdout_users=20)
    rows = rows_of(recipe, data)
    ids = {token: item for item, (token,) in item_tokens(rows.tokenizer).items()}
    trained = [user for user in range(len(data.interactions.user_ids)) if user not in rows.holdout]
    pairs = {
        (ids[a], ids[b])
        for row in rows.fixed_rows()
        for a, b in itertools.pairwise(row.ids[row.first_target :])
        if a in ids and b in ids
    }
    allowed = set()
    for user in trained:
        history = data.interactions.history(user, until="validation")
        names = [data.catalog.items[item].id for item in history]
        allowed |= set(itertools.pairwise(names))
    assert pairs
    assert pairs <= allowed


def test_every_item_of_a_history_row_is_a_target():
    rows = rows_of(small_recipe(), world())
    items = {token for (token,) in item_tokens(rows.tokenizer).values()}
    for row in rows.fixed_rows():
        targets = row.ids[row.first_target :]
        assert (
            all(token in items for token in targets) or targets[-1] == rows.tokenizer.eos_token_id
        )


TASK_ROWS = {"recommend": 4, "describe": 2}


@pytest.mark.parametrize("bucketing", [False, True])
def test_batches_depend_on_seed_and_step_alone(bucketing):
    def from_step(step, seed=0):
        recipe = small_recipe(seed=seed)
        rows = replace(rows_of(recipe, world()), bucketing=bucketing)
        return rows.batches(TASK_ROWS, first_step=step)

    stream = from_step(0)
    first = [next(stream) for _ in range(40)]
    assert next(from_step(37)) == first[37]
    assert next(from_step(37, seed=1)) != first[37]


def test_an_epoch_of_windows_covers_every_trained_history_once():
    rows = rows_of(small_recipe(window=5, holdout_users=0), world())
    drawn = rows.draws.of_epoch("stretch", "recommend", 3)
    covered = {(d.user, place) for d in drawn for place in range(d.begin, d.end)}
    assert len(covered) == sum(d.end - d.begin for d in drawn)
    total = sum(len(items) for items in rows.draws.histories.values())
    singles = total - len(covered)  # windows of one item have nothing to predict and are dropped
    assert 0 <= singles <= 2 * len(rows.draws.histories)


def test_bucketing_groups_rows_of_like_length():
    plain = rows_of(small_recipe(window=14), world())
    spread = []
    for rows in (plain, replace(plain, bucketing=True)):
        stream = rows.batches({"recommend": 6}, first_step=0)
        batches = [[len(r.ids) - r.first_target for r in next(stream)] for _ in range(50)]
        spread.append(sum(max(sizes) * len(sizes) - sum(sizes) for sizes in batches))
    assert spread[1] < 0.9 * spread[0], spread


GRAPH = ("fact", "relation_path")
EVERY_ROW = sorted(name for name, task in TASKS.items() if task.kind is Row and name != "like")


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_no_task_shows_a_held_out_item(architecture):
    data, tasks = world(), dict.fromkeys(EVERY_ROW, 3)
    recipe = small_recipe(
        fit="all_but_validation", holdout_users=5, window=20, tasks=tasks,
        model=small_model(architecture=architecture),
    )  # fmt: skip
    rows = replace(rows_of(recipe, data), holdout=frozenset(range(1, N_USERS)))
    shown = {data.catalog.items[i].id for i in data.interactions.history(0, until="validation")}
    items = {token: item for item, (token,) in rows.tokens.items()}
    listing = {"direct", "rerank"}  # their candidates are items that the user has not consumed
    for name in EVERY_ROW:
        stream = rows.batches({name: 4}, first_step=0)
        if TASKS[name].source == "item":
            continue
        for row in itertools.chain.from_iterable(next(stream) for _ in range(10)):
            places = row.ids[row.first_target :] if name in listing else row.ids
            found = {items[token] for token in places if token in items}
            assert found <= shown


def test_every_task_states_what_the_data_say():
    data = world()
    tasks = dict.fromkeys(EVERY_ROW, 1)
    rows = rows_of(small_recipe(tasks=tasks, window=6), data)
    items = {token: item for item, (token,) in rows.tokens.items()}
    for name, task in TASKS.items():
        if task.kind is not Row or name in ("like", "recommend", "describe", *GRAPH):
            continue
        draws = rows.draws.of_epoch(task.source, name, 0)[:20]
        for drawn in draws:
            row = task.make(rows, drawn, np.random.default_rng(0))
            answer = row.ids[row.first_target :]
            if name == "title":
                text = rows.tokenizer.decode(answer, skip_special_tokens=True)
                assert text.strip() == rows.item(drawn).title
            elif name == "rating":
                text = rows.tokenizer.decode(answer, skip_special_tokens=True)
                assert text.strip() == str(int(rows.ratings_of(drawn)[-1]))
            elif name == "masked_behavior":
                asked = {i.id for i in rows.items_of(drawn)}
                read = {items[token] for token in row.ids[: row.first_target] if token in items}
                assert items[answer[0]] in asked
                assert rows.mask in row.ids
                assert read == asked - {items[answer[0]]}
            elif name != "explanation":
                assert [items[token] for token in answer] == [rows.items_of(drawn)[-1].id]
            if name in ("direct", "rerank"):
                assert answer[0] in row.ids[: row.first_target]


def read_answer(rows, row):
    return rows.tokenizer.decode(row.ids[row.first_target :], skip_special_tokens=True).strip()


def test_facts_and_paths_are_those_of_the_graph():
    data = world()
    graph = data.catalog.graph
    rows = rows_of(small_recipe(tasks=dict.fromkeys(GRAPH, 1), window=6), data)
    seen = set()
    for number in rows.draws.of_epoch("item", "fact", 0)[:40]:
        row = TASKS["fact"].make(rows, number, np.random.default_rng(number))
        question = rows.tokenizer.decode(row.ids[: row.first_target])
        (name,) = [name for name in graph.codes if f" {name}" in question]
        item = rows.item(number)
        assert read_answer(rows, row) == f"{', '.join(graph.values(item.id, name))}."
        assert rows.tokens[item.id][0] in row.ids[: row.first_target]
        seen.add(name)
    assert seen == {"genre", "year", "decade"}
    items = {token: item for item, (token,) in rows.tokens.items()}
    for drawn in rows.draws.of_epoch("event", "relation_path", 0)[:40]:
        row = TASKS["relation_path"].make(rows, drawn, np.random.default_rng(drawn.begin))
        named = [items[token] for token in row.ids[: row.first_target] if token in items]
        target = rows.items_of(drawn)[-1].id
        assert target in named
        if len(named) == 1:  # nothing is shared with the drawn item
            assert read_answer(rows, row).startswith("Genres: ")
            continue
        assert set(named) <= {item.id for item in rows.items_of(drawn)}
        for part in read_answer(rows, row).removeprefix("Both: ").removesuffix(".").split("; "):
            name, _, values = part.partition(" ")
            for value in values.split(", "):
                assert all(value in graph.values(one, name) for one in named)


def test_facts_are_only_of_predicates_that_the_graph_has_completely():
    predicates = [
        Predicate("brand", "closed"),
        Predicate("use", "open"),
        Predicate("price", "functional", type="real"),
    ]
    triples = [("1", "brand", "Acme"), ("1", "use", "indoor"), ("1", "price", "9.5")]
    data = world()
    graph = KnowledgeGraph.from_triples(data.catalog.ids, predicates, triples)
    data = replace(data, catalog=replace(data.catalog, build_graph=lambda _: graph))
    rows = rows_of(small_recipe(tasks={"fact": 1}), data)
    assert rows.facts(Item("1", "")) == {"brand": ("Acme",), "price": ("9.5",)}
    assert rows.facts(Item("2", "")) == {}
    number = data.catalog.index["2"]
    assert "Genres: " in read_answer(
        rows, TASKS["fact"].make(rows, number, np.random.default_rng(0))
    )


def test_yes_is_a_rating_above_three():
    data = world()
    ratings = data.interactions.rating.copy()
    ratings[::2] = 2
    data = replace(data, interactions=replace(data.interactions, rating=ratings))
    recipe = small_recipe(
        tasks={"like": 4},
        prompts="titles",
        model=small_model(indexing="titles", context=512, text_vocabulary=600),
    )
    rows = rows_of(recipe, data)
    yes = rows.encode(" Yes")[0]
    for drawn in rows.draws.of_epoch("event", "like", 0)[:40]:
        row = TASKS["like"].make(rows, drawn, np.random.default_rng(0))
        assert (row.ids[-1] == yes) == (rows.ratings_of(drawn)[-1] > 3)
        assert set(row.choices) >= {row.ids[-1]}


def test_twin_differs_in_its_prompt_alone():
    rows = replace(rows_of(small_recipe(), world()), counterfactuals=True)
    stream = rows.batches({"recommend": 8}, first_step=0)
    made = [row for _ in range(5) for row in next(stream)]
    counterfactuals = [row for row in made if row.counterfactual]
    assert len(counterfactuals) > len(made) / 2
    for row in counterfactuals:
        n = len(row.ids) - row.first_target
        assert row.counterfactual[-n:] == row.ids[-n:]
        assert row.counterfactual != row.ids


def test_collate_pads_on_the_left_and_aligns_targets_at_the_end():
    batch = collate([Row((1, 5, 6, 7), 2), Row((1, 8), 1)], pad=0)
    assert batch.input_ids.tolist() == [[1, 5, 6, 7], [0, 0, 1, 8]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    assert batch.targets.tolist() == [[6, 7], [-100, 8]]


def test_encoder_decoder_reads_and_writes_apart():
    batch = collate([Row((1, 5, 6, 7), 3), Row((1, 8, 9), 1)], pad=0, encoder_decoder=True)
    assert batch.input_ids.tolist() == [[1, 5, 6], [1, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.targets.tolist() == [[7, -100], [8, 9]]


def test_a_row_without_a_target_is_refused():
    with pytest.raises(InvalidArgument, match="nothing to predict"):
        collate([Row((1, 2), 2)], pad=0)


def test_fixed_rows_are_cut_once_and_cover_every_catalog_item():
    data = world()
    whole = rows_of(small_recipe(window=4), data)
    rows = whole.fixed_rows()
    assert rows == rows_of(small_recipe(window=4), data).fixed_rows()
    ends = [row for row in rows if row.ids[-1] == whole.tokenizer.eos_token_id]
    assert len(ends) == N_ITEMS  # only a description ends a text
    assert all(isinstance(row.ids[0], (int, np.integer)) for row in rows)
    assert torch.tensor(rows[0].ids).dtype == torch.long


def test_removing_a_user_changes_no_other_fixed_row():
    data = world()
    all_rows = rows_of(small_recipe(holdout_users=0), data)
    without = TrainingRows(**{**all_rows.__dict__, "holdout": frozenset({3})})
    left = without.fixed_rows()
    own = len(all_rows.fixed_rows()) - len(left)
    assert own > 0
    remaining = iter(all_rows.fixed_rows())
    assert all(any(row == other for other in remaining) for row in left)  # in the same order


def prompts_of(rows, task, n=60):
    """The decoded prompts of a task's rows."""
    batches = rows.batches({task: n}, first_step=0)
    return [rows.tokenizer.decode(getattr(row, "left", row.ids)) for row in next(batches)]


@pytest.mark.parametrize("task", ["recommend", "direct", "rating", "preference"])
def test_a_masked_row_states_nothing_in_any_task(task):
    recipe = small_recipe(tasks={task: 1})
    rows = rows_of(recipe, world())
    stating = [text for text in prompts_of(rows, task) if "male" in text]
    assert stating
    masked = replace(rows, attribute_masking=1.0)
    assert not [t for t in prompts_of(masked, task) if "male" in t or " aged " in t]
    half = [t for t in prompts_of(replace(rows, attribute_masking=0.5), task) if "male" in t]
    assert 0 < len(half) < len(stating)


def test_a_twin_differs_in_one_attribute_and_may_be_neutral():
    rows = rows_of(small_recipe(), world())
    known = {"gender": 2, "age": 3, "occupation": 4}
    stated = {"gender": "female", "age": "under 25"}
    drawn = [rows.counterfactual(stated, np.random.default_rng(seed)) for seed in range(900)]
    changed = [
        [name for name in known if counterfactual.get(name) != stated.get(name)]
        for counterfactual in drawn
    ]
    assert all(len(names) == 1 for names in changed)
    for name in known:  # attributes are drawn uniformly, and so are the other values
        found = [
            counterfactual.get(name)
            for counterfactual, names in zip(drawn, changed, strict=True)
            if [name] == names
        ]
        assert len(found) == pytest.approx(300, abs=60)
        assert len(set(found)) == known[name]  # a stated value leaves room for the neutral one
    assert {counterfactual.get("gender") for counterfactual in drawn} == {"female", "male", None}


def test_a_row_that_states_nothing_has_a_twin_that_does():
    rows = rows_of(small_recipe(), world())
    drawn = [rows.counterfactual({}, np.random.default_rng(seed)) for seed in range(60)]
    assert all(len(counterfactual) == 1 for counterfactual in drawn)
    assert {name for counterfactual in drawn for name in counterfactual} == {
        "gender",
        "age",
        "occupation",
    }
