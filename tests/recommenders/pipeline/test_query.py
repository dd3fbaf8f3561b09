"""Queries between stages: read from a model's text, and pipeline files that have them."""

from __future__ import annotations

import pytest
from planted_stages import Asks, Keeps, Searches, chain, searching
from small_folder import save
from small_world import world

from auditkit.errors import ConfigurationError, TargetUnavailable
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.pipeline.query import history_query, query_in
from auditkit.recommenders.pipeline.stage_trace import has_trace, stage_records
from auditkit.recommenders.pipeline_file import read_pipeline
from auditkit.types import Item, Response


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("quiet war drama", "quiet war drama"),
        ('Search query: "quiet war drama"', "quiet war drama"),
        ("**Query:** quiet\nwar  drama", "quiet war drama"),
        ("<think>They like war films.</think>\n\u201cquiet war drama\u201d", "quiet war drama"),
        ("<think>They like war films.", ""),
        ("  \n", ""),
        ("x" * 5_000, "x" * 1_000),
    ],
)
def test_a_query_is_read_from_the_text_of_a_model(text, query):
    assert query_in(text) == query


def test_the_plain_query_is_the_latest_titles():
    assert history_query([Item(str(i), f"T{i}") for i in range(12)]).split() == [
        f"T{i}" for i in range(2, 12)
    ]


def test_the_trace_holds_the_text_of_the_query_and_what_the_plain_one_finds():
    user = load_users(world())[0]
    (response,) = searching(Asks(), Searches(), Keeps()).recommend([neutral_request(user, k=5)])
    query, retrieval, _ = response.trace
    assert (query["stage"], query["writes"]) == ("query", "query")
    assert query["text"] == user.test_items[0].title
    assert "Write one search query for" in query["prompt"]
    assert retrieval["prompt"] == query["text"]
    assert user.test_items[0].id in [one["item_id"] for one in retrieval["plain"]]
    assert has_trace(response)
    records = stage_records(response)
    assert [one.name for one in records] == ["retrieval", "ranking"]
    assert [one.raw for one in records[0].plain] == [one["raw"] for one in retrieval["plain"]]
    assert len(records[0].plain) == 20
    assert records[0].given is None
    assert records[1].given == records[0].items


class Refuses(Asks):
    """Declines in words that would be searched for if they were read as a query."""

    def recommend(self, requests):
        return [
            Response(request_id=one.id, status="refusal", text="I cannot help.") for one in requests
        ]


def test_a_refusal_is_not_searched_for():
    user = load_users(world())[0]
    (response,) = searching(Refuses(), Searches(), Keeps()).recommend([neutral_request(user, k=5)])
    assert (response.status, len(response.trace)) == ("refusal", 1)
    assert has_trace(response)
    assert stage_records(response) == ()


def test_the_retriever_may_be_the_last_stage():
    user = load_users(world())[0]
    target = chain([("query", Asks(), None), ("retrieval", Searches(), None)])
    (response,) = target.recommend([neutral_request(user, k=5)])
    assert len(response.items) == 5
    assert len(stage_records(response)[0].plain) == 5


def write(path, first: str, second: str = "baseline:bm25", more: str = ""):
    path.write_text(
        "version: 1\nstages:\n"
        f'  - {{name: query, target: "{first}", writes: query{more}}}\n'
        f'  - {{name: retrieval, target: "{second}", n: 20}}\n'
        '  - {name: ranking, target: "baseline:item-knn"}\n'
    )
    return f"pipeline:{path}"


def test_a_local_language_model_writes_the_query_of_bm25(tmp_path):
    folder = save(tmp_path / "model")
    found = load_recommender(write(tmp_path / "p.yaml", str(folder)), dataset=world())
    user = load_users(world())[0]
    (response,) = found.recommender.recommend([neutral_request(user, k=5)])
    assert found.recommender.stages == ("retrieval", "ranking")
    assert found.recommender.query_stage == "query"
    assert "query is" in found.notes[0]
    assert "writes the query" in found.notes[0]
    assert response.trace[0]["writes"] == "query"


def test_the_key_changes_the_fingerprint(tmp_path):
    folder = save(tmp_path / "model")
    query = load_recommender(write(tmp_path / "p.yaml", str(folder)), dataset=world())
    text = (tmp_path / "p.yaml").read_text().replace("writes: query", "n: 20")
    (tmp_path / "p.yaml").write_text(text)
    listed = load_recommender(f"pipeline:{tmp_path / 'p.yaml'}", dataset=world())
    assert query.fingerprint != listed.fingerprint


def test_a_recommender_that_only_scores_writes_no_query(tmp_path):
    with pytest.raises(TargetUnavailable, match=r"stage 'query' is a .*writes no query"):
        load_recommender(write(tmp_path / "p.yaml", "baseline:item-knn"), dataset=world())


def test_the_next_stage_has_to_read_text(tmp_path):
    target = write(tmp_path / "p.yaml", str(save(tmp_path / "model")), "baseline:item-knn")
    with pytest.raises(
        TargetUnavailable, match="'retrieval' gets a search query but does not read"
    ):
        load_recommender(target, dataset=world())


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [
                "{name: a, target: t, n: 5}",
                "{name: b, target: t, writes: query}",
                "{name: c, target: t}",
            ],
            "only the first of several stages can write a query",
        ),
        (["{name: a, target: t, n: 5, writes: query}", "{name: b, target: t}"], "Remove n"),
        (["{name: a, target: t, n: 5}", "{name: b, target: t, writes: query}"], "only the first"),
    ],
)
def test_a_query_in_another_place_is_an_error(tmp_path, stages, message):
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nstages:\n" + "".join(f"  - {one}\n" for one in stages))
    with pytest.raises(ConfigurationError, match=message):
        read_pipeline(path)
