"""The Target: every question gets its own answer or a counted reason why not, once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evidence_lines import evidence_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_recommenders import Clean
from run_probe import target_for
from small_world import world

from auditkit.errors import TargetError
from auditkit.recommenders.execution.response_cache import ResponseCache
from auditkit.recommenders.protocols import NOT_RUN, TokenScores
from auditkit.registry import probe_spec
from auditkit.types import Item, RankedItem, Request, Response

TITLES = [item.display_title for item in world().catalog.items]


class Scripted:
    """Answers by a function of (request, number of the request), and keeps what it was asked."""

    name = "scripted"

    def __init__(self, answer=lambda request, number: [TITLES[int(request.user_id)]], batch=None):
        self.answer, self.batch = answer, batch or (lambda answers: answers)
        self.asked: list[list[Request]] = []

    def recommend(self, requests):
        self.asked.append(list(requests))
        return self.batch([self.answer(request, i) for i, request in enumerate(requests)])


def requests(n):
    return [Request(user_id=str(i)) for i in range(n)]


def first_titles(responses):
    return [response.items[0].raw if response.items else None for response in responses]


def one(answer, folder, **options):
    target = target_for(Scripted(lambda *_: answer), folder, **options)
    response = target.recommend(requests(1))[0]
    return response, target.status_counts()


# --- batching, order, once ----------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
def test_answers_keep_the_order_of_the_requests(tmp_path, batch_size):
    recommender = Scripted()
    responses = target_for(recommender, tmp_path, batch_size=batch_size).recommend(requests(20))
    assert first_titles(responses) == TITLES[:20]
    assert max(map(len, recommender.asked)) <= batch_size


def test_equal_requests_are_asked_once(tmp_path):
    recommender = Scripted()
    target = target_for(recommender, tmp_path)
    responses = target.recommend([*requests(3), *requests(3)])
    assert responses[:3] == responses[3:]
    assert sum(map(len, recommender.asked)) == 3
    assert sum(target.status_counts().values()) == 3


def test_ids_and_seeds_do_not_depend_on_the_batch_size(tmp_path):
    asked = []
    for batch_size in (2, 50):
        recommender = Scripted()
        target_for(recommender, tmp_path / str(batch_size), batch_size=batch_size).recommend(
            requests(9)
        )
        asked.append({(r.id, r.seed) for batch in recommender.asked for r in batch})
    assert asked[0] == asked[1]


def test_another_run_seed_gives_other_request_seeds(tmp_path):
    seeds = []
    for seed in (0, 1):
        recommender = Scripted()
        target_for(recommender, tmp_path / str(seed), seed=seed).recommend(requests(1))
        seeds.append(recommender.asked[0][0].seed)
    assert seeds[0] != seeds[1]


def test_probes_share_answers_within_a_run(tmp_path):
    recommender = Scripted()
    target = target_for(recommender, tmp_path)
    first = target.for_probe(probe_spec("utility.ranking"))
    second = target.for_probe(probe_spec("hallucination.catalog"))
    assert first_titles(first.recommend(requests(4))) == first_titles(second.recommend(requests(4)))
    assert len(recommender.asked) == 1
    assert second.status_counts()["ok"] == 4


def test_answers_outlive_the_run_in_a_cache_folder(tmp_path):
    recommender = Scripted()
    for run in ("a", "b"):
        cache = ResponseCache(tmp_path / "cache", "f")
        responses = target_for(recommender, tmp_path / run, cache=cache).recommend(requests(4))
        assert first_titles(responses) == TITLES[:4]
    assert len(recommender.asked) == 1


def test_answers_of_another_recommender_are_not_shared(tmp_path):
    recommender = Scripted()
    for fingerprint in ("f", "g"):
        cache = ResponseCache(tmp_path / "cache", fingerprint)
        target_for(
            recommender, tmp_path / fingerprint, cache=cache, fingerprint=fingerprint
        ).recommend(requests(2))
    assert len(recommender.asked) == 2


def test_failed_requests_are_not_kept_in_the_cache(tmp_path):
    def fail(request, number):
        raise RuntimeError("down")

    for run, answer in (("a", fail), ("b", lambda *_: [TITLES[0]])):
        cache = ResponseCache(tmp_path / "cache", "f")
        response = target_for(Scripted(answer), tmp_path / run, cache=cache).recommend(requests(1))[
            0
        ]
    assert response.status == "ok"


def test_torn_line_of_a_cache_is_forgotten_not_believed(tmp_path):
    cache = ResponseCache(tmp_path / "cache", "f")
    target_for(Scripted(), tmp_path / "a", cache=cache).recommend(requests(2))
    path = next((tmp_path / "cache").iterdir())
    path.write_text(path.read_text()[:-9])
    again = Scripted()
    target_for(again, tmp_path / "b", cache=ResponseCache(tmp_path / "cache", "f")).recommend(
        requests(2)
    )
    assert sum(map(len, again.asked)) == 1


def test_resumed_run_asks_nothing_again(tmp_path):
    first = target_for(Scripted(), tmp_path).recommend(requests(5))
    again = Scripted()
    assert target_for(again, tmp_path).recommend(requests(5)) == first
    assert again.asked == []


def test_resumed_run_does_not_retry_what_failed(tmp_path):
    def fail(request, number):
        raise RuntimeError("down")

    first = target_for(Scripted(fail), tmp_path).recommend(requests(2))
    again = Scripted()
    assert target_for(again, tmp_path).recommend(requests(2)) == first
    assert again.asked == []


def test_progress_adds_up_to_the_distinct_requests(tmp_path):
    seen = []
    target = target_for(
        Scripted(), tmp_path, batch_size=3, on_progress=lambda *step: seen.append(step)
    )
    target.recommend([*requests(8), *requests(2)])
    assert seen == [(0, 8), (3, 5), (3, 2), (2, 0)]


# --- nothing is ever mispaired ------------------------------------------------------------------


def respond(request):
    title = TITLES[int(request.user_id)]
    return Response(request_id=request.id, status="ok", items=(RankedItem(raw=title),))


ODD = {
    "good": lambda r: [TITLES[int(r.user_id)]],
    "response": respond,
    "text": lambda r: f"1. {TITLES[int(r.user_id)]}",
    "none": lambda r: None,
    "empty": lambda r: "",
    "refusal": lambda r: "I'm sorry, but I cannot do that.",
    "not_run": lambda r: NOT_RUN,
    "number": lambda r: 7,
    "mapping": lambda r: {"items": []},
    "numbers": lambda r: [1, 2],
    "foreign": lambda r: replace(respond(r), request_id="another"),
    "nan": lambda r: replace(respond(r), items=(RankedItem(raw="x", score=math.nan),)),
    "surrogate": lambda r: ["\ud800"],
}
ANSWERED = {"good": "ok", "response": "ok", "text": "ok", "none": "no_answer", "empty": "no_answer",
            "refusal": "refusal", "not_run": "not_run", "surrogate": "ok"}  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kinds=st.lists(st.sampled_from(sorted(ODD)), min_size=1, max_size=12),
    batch_size=st.integers(1, 5),
)
def test_every_mix_of_answers_is_paired_and_counted(tmp_path_factory, kinds, batch_size):
    recommender = Scripted(lambda request, _: ODD[kinds[int(request.user_id)]](request))
    target = target_for(recommender, tmp_path_factory.mktemp("run"), batch_size=batch_size)
    asked = requests(len(kinds))
    responses = target.recommend(asked)
    counts = target.status_counts()
    assert sum(counts.values()) == len(kinds)
    for number, (kind, response) in enumerate(zip(kinds, responses, strict=True)):
        if kind in ("good", "response", "text"):
            assert response.items[0].raw == TITLES[number]
        elif ANSWERED.get(kind, "target_error") != "ok":
            assert response.items == ()
            assert response.status in (ANSWERED.get(kind), "target_error")
    for status in set(counts):
        expected = sum(ANSWERED.get(kind, "target_error") == status for kind in kinds)
        assert counts[status] == expected


DAMAGES = {
    "drop the last": lambda answers: answers[:-1],
    "drop the first": lambda answers: answers[1:],
    "add one": lambda answers: [*answers, answers[0]],
    "reverse": lambda answers: answers[::-1],
    "repeat the first": lambda answers: [answers[0]] * len(answers),
    "none at all": lambda answers: None,
    "a text": lambda answers: "1. Heat (1995)",
    "a generator": lambda answers: (answer for answer in answers),
    "a mapping": lambda answers: dict(enumerate(answers)),
}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damage=st.sampled_from(sorted(DAMAGES)), n=st.integers(2, 8), batch_size=st.integers(1, 8))
def test_batch_that_loses_adds_or_reorders_responses_is_never_mispaired(
    tmp_path_factory, damage, n, batch_size
):
    recommender = Scripted(lambda request, _: respond(request), batch=DAMAGES[damage])
    target = target_for(recommender, tmp_path_factory.mktemp("run"), batch_size=batch_size)
    for number, response in enumerate(target.recommend(requests(n))):
        assert response.status in ("ok", "target_error")
        if response.status == "ok":
            assert response.items[0].raw == TITLES[number]
    assert sum(target.status_counts().values()) == n


@pytest.mark.parametrize("damage", ["reverse", "repeat the first"])
def test_batch_in_the_wrong_order_is_asked_again_one_by_one(tmp_path, damage):
    recommender = Scripted(lambda request, _: respond(request), batch=DAMAGES[damage])
    responses = target_for(recommender, tmp_path).recommend(requests(4))
    assert first_titles(responses) == TITLES[:4]


# --- what went wrong is recorded ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (7, "wrong_type"),
        ({"a": 1}, "wrong_type"),
        ([1], "wrong_type"),
        (Response(request_id="another", status="ok"), "misaligned"),
    ],
)
def test_answer_of_the_wrong_kind_is_a_target_error_with_its_reason(tmp_path, answer, reason):
    response, counts = one(answer, tmp_path)
    assert (response.status, response.reason) == ("target_error", reason)
    assert counts["target_error"] == 1


async def later(answers):
    return answers


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        (lambda answers: (answer for answer in answers), "wrong_type"),
        (lambda answers: b"1. Heat", "wrong_type"),
        (lambda answers: None, "wrong_type"),
        (lambda answers: later, "wrong_type"),
        (lambda answers: [*answers, *answers], "wrong_length"),
    ],
)
def test_batch_of_the_wrong_kind_is_a_target_error_with_its_reason(tmp_path, batch, reason):
    target = target_for(Scripted(batch=batch), tmp_path)
    assert {r.reason for r in target.recommend(requests(2))} == {reason}


def test_answer_over_16_mib_is_a_target_error(tmp_path):
    response, _ = one("x" * (17 << 20), tmp_path)
    assert (response.status, response.reason) == ("target_error", "too_large")
    assert len(evidence_text(tmp_path)) < 10_000


def answered_by(make, folder):
    target = target_for(Scripted(lambda request, _: make(request.id)), folder)
    return target.recommend(requests(1))[0]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_score_that_is_no_number_is_a_target_error(tmp_path, score):
    response = answered_by(
        lambda i: Response(request_id=i, status="ok", items=(RankedItem(raw="x", score=score),)),
        tmp_path,
    )
    assert (response.status, response.reason) == ("target_error", "non_finite")


def test_derived_number_that_is_no_number_is_a_target_error(tmp_path):
    response = answered_by(
        lambda i: Response(request_id=i, status="ok", derived={"x": math.nan}), tmp_path
    )
    assert (response.status, response.reason) == ("target_error", "non_finite")


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "fine"},
        {"derived": {"x": object()}},
        {"items": (RankedItem(raw=None),)},
        {"items": (RankedItem(raw="x", score=np.float32(1)),)},
    ],
)
def test_response_that_cannot_be_recorded_is_a_target_error(tmp_path, fields):
    response = answered_by(
        lambda i: Response(**{"request_id": i, "status": "ok", **fields}), tmp_path
    )
    assert (response.status, response.reason) == ("target_error", "wrong_type")


def test_exception_is_recorded_with_its_words_and_the_others_are_answered(tmp_path):
    def answer(request, number):
        if request.user_id == "2":
            raise KeyError("quota <b>")
        return [TITLES[int(request.user_id)]]

    responses = target_for(Scripted(answer), tmp_path).recommend(requests(4))
    assert first_titles(responses) == [TITLES[0], TITLES[1], None, TITLES[3]]
    assert responses[2].reason == "exception"
    assert responses[2].derived["error"] == "KeyError: 'quota <b>'"


def test_adapter_names_the_reason_of_a_failed_request(tmp_path):
    def answer(request, number):
        raise TargetError("context_overflow", detail="9000 tokens")

    assert (
        target_for(Scripted(answer), tmp_path).recommend(requests(1))[0].reason
        == "context_overflow"
    )


def test_interrupt_is_not_swallowed(tmp_path):
    def answer(request, number):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        target_for(Scripted(answer), tmp_path).recommend(requests(2))


def test_request_that_was_never_asked_counts_as_not_run(tmp_path):
    response, counts = one(NOT_RUN, tmp_path)
    assert counts["not_run"] == 1
    assert sum(counts.values()) == 1
    assert response.reason == "not_run"


class Scores(Clean):
    def __init__(self, row):
        self.row = row

    def score(self, prompts, continuations):
        return [self.row for _ in prompts]


def test_log_probability_that_is_no_number_is_a_target_error(tmp_path):
    target = target_for(Scores([TokenScores((math.nan,))]), tmp_path)
    response = target.score([Request(prompt="p")], [["x"]])[0]
    assert (response.status, response.reason) == ("target_error", "non_finite")


def test_scores_of_another_number_of_continuations_are_a_target_error(tmp_path):
    target = target_for(Scores([TokenScores((-1.0,))]), tmp_path)
    response = target.score([Request(prompt="p")], [["x", "y"]])[0]
    assert (response.status, response.reason) == ("target_error", "wrong_length")


def test_scores_come_back_per_continuation(tmp_path):
    target = target_for(Clean(), tmp_path)
    responses = target.score([Request(prompt="p")], [["x", "y"]])
    assert responses[0].derived["tokens"] == [[-1.0], [-1.0]]


def test_generated_blank_is_no_answer(tmp_path):
    class Silent(Clean):
        def generate(self, prompts, **options):
            return ["  " for _ in prompts]

    assert (
        target_for(Silent(), tmp_path).generate([Request(prompt="p")], max_new_tokens=3)[0].status
        == "no_answer"
    )


# --- items and edges ----------------------------------------------------------------------------


def test_item_id_outside_the_catalog_is_linked_to_nothing(tmp_path):
    response = answered_by(
        lambda i: Response(request_id=i, status="ok", items=(RankedItem(raw="x", item_id="999"),)),
        tmp_path,
    )
    assert (response.items[0].item_id, response.items[0].link, response.items[0].raw) == (
        None,
        "none",
        "x",
    )


def test_item_id_of_the_catalog_gets_its_title(tmp_path):
    response = answered_by(
        lambda i: Response(request_id=i, status="ok", items=(RankedItem(raw="", item_id="3"),)),
        tmp_path,
    )
    assert (response.items[0].raw, response.items[0].link) == (TITLES[2], "id")


def test_markup_in_a_title_survives_as_it_is(tmp_path):
    hostile = "<script>alert(1)</script> {k} \u202e\u2028 </s>"
    response, _ = one([hostile], tmp_path)
    assert response.items[0].raw == hostile
    assert response.items[0].item_id is None
    again, _ = one(["never asked"], tmp_path)
    assert again.items[0].raw == hostile


def test_user_without_history_is_asked_like_any_other(tmp_path):
    recommender = Scripted()
    assert target_for(recommender, tmp_path).recommend(requests(1))[0].status == "ok"
    assert "(nothing yet)" in recommender.asked[0][0].prompt


def test_more_items_than_the_catalog_holds_can_be_asked_for(tmp_path):
    request = Request(user_id="1", k=1000, history=(Item("1", TITLES[0]),))
    response = target_for(Clean(), tmp_path).recommend([request])[0]
    assert len(response.items) == len(TITLES) - 1
    assert len({item.item_id for item in response.items}) == len(TITLES) - 1


def test_no_requests_get_no_answers(tmp_path):
    recommender = Scripted()
    assert target_for(recommender, tmp_path).recommend([]) == []
    assert recommender.asked == []


def test_prompt_of_the_probe_is_not_rendered_again(tmp_path):
    recommender = Scripted()
    target_for(recommender, tmp_path).recommend([Request(user_id="1", prompt="as given")])
    assert recommender.asked[0][0].prompt == "as given"


def test_capabilities_are_those_that_the_recommender_has(tmp_path):
    assert target_for(Scripted(), tmp_path).capabilities == ("Recommends",)
    assert target_for(Clean(), tmp_path / "b").capabilities == (
        "Recommends",
        "Generates",
        "Scores",
        "Describes",
        "Judges",
    )
