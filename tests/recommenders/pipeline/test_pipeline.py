"""A pipeline answers as its stages do one after the other, and its trace says what each did."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_recommenders import Clean, FailsEveryThird
from planted_stages import AddsReal, Finds, Keeps, RetrievesNothing, chain, pipeline
from ranking_server import candidates_in, ranking
from run_probe import target_for
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError, TargetError
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.pipeline.pipeline import Pipeline
from auditkit.recommenders.pipeline.stage import build_stage
from auditkit.recommenders.pipeline.stage_trace import stage_records
from auditkit.recommenders.protocols import NOT_RUN, Recommends, Remote, Scores, Staged
from auditkit.recommenders.remote.openai_endpoint import Endpoint
from auditkit.security.personal_data import mask_response
from auditkit.types import Item, Message, RankedItem, Request, Response

PACK = domain_pack("movies")


def requests(n=12, k=5):
    found = [neutral_request(user, k=k) for user in load_users(world())[:n]]
    return [replace(request, id=f"r{i}") for i, request in enumerate(found)]


def ids(response):
    return [item.item_id for item in response.items]


def by_hand(request, *, n, ranker):
    """Item-kNN asked for n items, and the ranker asked for k of them."""
    knn = load_baseline("item-knn", world())
    (found,) = knn.recommend([replace(request, k=n)])
    candidates = tuple(Item(item.item_id, item.raw) for item in found.items)
    (ranked,) = load_baseline(ranker, world()).recommend([replace(request, candidates=candidates)])
    return ranked


@pytest.mark.parametrize("ranker", ["popularity", "transitions"])
def test_a_pipeline_equals_its_stages_run_by_hand(ranker):
    stages = (load_baseline("item-knn", world()), load_baseline(ranker, world()))
    answers = pipeline(*stages, n=15).recommend(requests())
    for request, answer in zip(requests(), answers, strict=True):
        expected = by_hand(request, n=15, ranker=ranker)
        assert (ids(answer), answer.status) == (ids(expected), "ok")
        assert [i.score for i in answer.items] == [i.score for i in expected.items]


def test_a_server_ranks_the_candidates_that_it_is_shown(tmp_path):
    with ranking(lambda candidates: candidates[::-1][:5]) as (url, prompts):
        made = pipeline(load_baseline("item-knn", world()), Endpoint(f"{url}#m"), n=15)
        found = target_for(made, tmp_path).recommend(requests())
    assert len(prompts) == 12
    for request, response in zip(requests(), found, strict=True):
        (knn,) = load_baseline("item-knn", world()).recommend([replace(request, k=15)])
        assert ids(response) == ids(knn)[::-1][:5]
        retrieval, last = stage_records(response)
        assert [item.item_id for item in retrieval.items] == ids(knn)
        assert (retrieval.given, last.given) == (None, retrieval.items)
        entry = response.trace[-1]
        assert entry["prompt"] in prompts
        assert candidates_in(entry["prompt"]) == [item.raw for item in retrieval.items]
        assert response.text.startswith("1. ")
        assert response.usage["prompt_tokens"] == len(entry["prompt"]) // 4


def test_capabilities_follow_from_the_stages():
    local = pipeline(Finds(), Keeps())
    assert not isinstance(local, Remote | Scores)
    assert isinstance(local, Recommends)
    assert isinstance(pipeline(Finds(), Endpoint("http://127.0.0.1:9/v1#m")), Remote)
    assert isinstance(local, Staged)


def test_a_pipeline_of_baselines_reads_no_prompt():
    baselines = [load_baseline(name, world()) for name in ("item-knn", "popularity")]
    assert pipeline(*baselines).reads_prompt is False
    assert pipeline(Finds(), Keeps()).reads_prompt is True


def test_two_servers_are_refused():
    servers = [Endpoint(f"http://127.0.0.1:9/v1#{name}") for name in "ab"]
    with pytest.raises(ConfigurationError, match="'retrieval' and 'ranking' are servers"):
        pipeline(*servers)


def test_candidates_of_a_request_go_to_the_first_stage():
    asked = replace(requests(1)[0], candidates=tuple(
        Item(item.id, item.display_title) for item in world().catalog.items[:8]
    ))  # fmt: skip
    (answer,) = pipeline(load_baseline("item-knn", world()), Keeps(), n=6).recommend([asked])
    assert set(ids_of_titles(answer)) <= {item.id for item in asked.candidates}


def ids_of_titles(response):
    return [world().catalog.link([item.raw])[0].item_id for item in response.items]


def test_an_empty_stage_ends_the_request_with_its_name():
    (answer,) = pipeline(RetrievesNothing(), Keeps()).recommend(requests(1))
    assert (answer.status, answer.items) == ("no_answer", ())
    assert answer.reason == "no candidates from stage retrieval"
    assert [entry["stage"] for entry in answer.trace] == ["retrieval"]


class Refuses(Clean):
    def recommend(self, asked):
        return [Response(request_id=one.id, status="refusal", text="No.") for one in asked]


def test_a_stage_that_refuses_gives_its_status():
    (answer,) = pipeline(Refuses(), Keeps()).recommend(requests(1))
    assert (answer.status, answer.trace[0]["text"]) == ("refusal", "No.")


class NotRecorded(Clean):
    def recommend(self, asked):
        return [NOT_RUN for _ in asked]


def test_a_request_without_recorded_candidates_is_not_run():
    assert pipeline(NotRecorded(), Keeps()).recommend(requests(2)) == [NOT_RUN, NOT_RUN]


class Raises(Clean):
    def recommend(self, asked):
        raise TargetError("rate_limited", detail="slow down", retryable=True, retry_after=3.0)


def test_an_error_names_its_stage_and_stays_retryable():
    with pytest.raises(TargetError, match="stage ranking: slow down") as raised:
        pipeline(Finds(), Raises()).recommend(requests(1))
    assert (raised.value.retryable, raised.value.retry_after) == (True, 3.0)


def test_a_failing_request_of_a_batch_fails_alone(tmp_path):
    found = target_for(pipeline(FailsEveryThird(), Keeps()), tmp_path).recommend(requests(30))
    statuses = [response.status for response in found]
    assert 0 < statuses.count("target_error") < 30
    assert statuses.count("ok") == 30 - statuses.count("target_error")


def test_repeats_are_passed_on_once_and_no_more_than_n():
    class Repeats(Finds):
        def answer(self, request):
            found = super().answer(request)
            return [*found[:3], *found]

    (answer,) = pipeline(Repeats(), Keeps(), n=6).recommend(requests(1))
    passed = [item.item_id for item in stage_records(answer)[0].items]
    assert len(passed) == len(set(passed)) == 6


def test_a_generating_stage_may_come_first():
    with ranking(lambda _: ["Golden Harbor (1971)", "Zzyzx", "Frozen Harbor (1954)"]) as (url, got):
        stages = [("writing", Endpoint(f"{url}#m"), 3), ("order", Keeps(), None)]
        (answer,) = chain(stages).recommend(requests(1))
    assert "Choose" not in got[0]
    assert [item.raw for item in answer.items][:1] == ["Golden Harbor (1971)"]
    assert [item["item_id"] for item in answer.trace[0]["items"]] == ["4", None, "8"]
    assert answer.trace[0]["text"].startswith("1. Golden Harbor")


# --- prompts


def test_a_rendered_prompt_keeps_the_slot_until_the_candidates_are_known():
    made = pipeline(Finds(), Keeps())
    request = requests(1)[0]
    assert "- {candidates}\n" in made.render(request)
    own = made.render(replace(request, instruction="Pick {k} of {history}."))
    assert own.endswith("Name only movies of this list:\n- {candidates}")


def test_a_title_is_not_read_as_a_slot():
    request = replace(requests(1)[0], history=(Item("1", "A {candidates} story"),))
    made = pipeline(Finds(), Keeps())
    assert made.render(request).count("{candidates}") == 1
    assert "A candidates story" in made.render(request)


def test_earlier_turns_show_the_candidates_where_the_slot_was():
    class Sees(Keeps):
        def answer(self, request):
            assert "{candidates}" not in request.prompt
            assert request.messages[0].content.count("\n- ") == 20
            return super().answer(request)

    turns = (Message("user", "List:\n- {candidates}"), Message("assistant", "1. X"))
    asked = replace(requests(1)[0], messages=turns, prompt="Recommend 2 others.")
    (answer,) = pipeline(Finds(), Sees()).recommend([asked])
    assert answer.trace[-1]["prompt"] == "Recommend 2 others."
    assert len(answer.trace[-1]["messages"]) == 2


def test_a_plan_fills_the_slot_with_as_many_titles_and_calls_no_stage():
    class Uncallable(Clean):
        def recommend(self, asked):
            raise AssertionError("a plan calls no stage")

    made = pipeline(Uncallable(), Uncallable(), n=12)
    request = requests(1)[0]
    rendered = replace(request, prompt=made.render(request))
    assert len(candidates_in(made.planned_prompt(rendered))) == 12
    assert (
        pipeline(Uncallable(), load_baseline("ease", world())).planned_prompt(
            replace(request, prompt="as it is")
        )
        == "as it is"
    )


def stage_with(path, text, *, first=False, recommender=None):
    path.write_text(text, encoding="utf-8")
    return build_stage(
        "ranking", recommender or Keeps(), n=None, first=first, prompt=path, pack=PACK
    )


def test_a_prompt_file_changes_only_the_keys_that_it_has(tmp_path):
    text = 'system: You sort.\nrecommend: ["{k} of:\\n{candidates}\\nfor {history}"]\n'
    stage = stage_with(tmp_path / "rerank.yaml", text)
    assert stage.prompts.system == "You sort."
    assert stage.prompts.tasks
    assert stage.render(requests(1)[0]).startswith("5 of:\n- {candidates}\nfor - ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('recommend: ["{k} films"]\n', r"no slot \{candidates\}, so stage 'ranking' would not see"),
        ('recomend: ["{candidates}"]\n', "unknown key 'recomend'"),
        ("recommend: 5\n", "recommend: .*Correct the entry"),
        ("- a\n", "is not a prompt file"),
        ('recommend: ["{candidate}"]\n', "unknown slot 'candidate'"),
    ],
)
def test_a_prompt_file_without_candidates_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message):
        stage_with(tmp_path / "rerank.yaml", text)


def test_a_stage_with_templates_of_its_own_takes_no_prompt_file(tmp_path):
    own = pipeline(Finds(), Keeps())  # it renders its prompts itself
    with pytest.raises(ConfigurationError, match="its recommender has its own templates"):
        stage_with(tmp_path / "rerank.yaml", 'recommend: ["{candidates}"]\n', recommender=own)


# --- evidence


def test_a_trace_without_items_of_a_stage_is_read_without_an_error():
    trace = ({"stage": "a", "items": [{"rank": 1}, 5]}, {"name": "search"}, {"stage": "b"})
    response = Response(request_id="r", status="ok", items=(RankedItem(raw="X"),), trace=trace)
    first, second = stage_records(response)
    assert [item.item_id for item in first.items] == [None, None]
    assert [item.raw for item in second.items] == ["X"]
    assert stage_records(Response(request_id="r", status="ok")) == ()


def test_item_ids_in_a_trace_are_not_masked_as_card_numbers():
    card = "4111111111111111"
    entry = {"stage": "retrieval", "items": [{"item_id": card, "raw": f"Call {card}"}]}
    (masked,) = mask_response({"trace": [entry]})["trace"]
    assert masked["items"] == [{"item_id": card, "raw": "Call [card 1]"}]


def test_the_list_of_a_ranker_is_not_limited_to_the_candidates(tmp_path):
    (found,) = target_for(pipeline(Finds(), AddsReal()), tmp_path).recommend([Request(
        user_id="1", history=requests(1)[0].history, k=10
    )])  # fmt: skip
    given = {item.item_id for item in stage_records(found)[1].given}
    assert len(set(ids(found)) - given) == 5


def test_the_name_of_a_pipeline_is_that_of_its_file():
    assert isinstance(pipeline(Finds(), Keeps()), Pipeline)
    assert pipeline(Finds(), Keeps()).name == "pipeline:planted"
