"""Attacks on fake recommenders, whose weaknesses are known."""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from planted_recommenders import (
    Clean,
    FlipsOnMisspelledHistory,
    ReadsEveryLetter,
    new_items,
    titles,
)
from run_probe import target_for
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.metrics.robustness import rbo_ext, replaced
from auditkit.perturb.attack import REPLAY, attack
from auditkit.perturb.attack_records import AttackRecord, read_records, write_records
from auditkit.perturb.goals import Goal, Ranking
from auditkit.perturb.span_edits import applied, deletion, proposals
from auditkit.perturb.threat_model import ThreatModel, editable_text, with_text
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.recommenders.wrappers.title_snapping import TitleSnapper
from auditkit.seeding import generator
from auditkit.types import Item, RankedItem, Request, Response

OURS = ("random_stop", "greedy", "local")
STOCK = ("deepwordbug", "textbugger")
USERS = list(load_users(world()))


def requests(n: int = 50) -> list[Request]:
    return [neutral_request(user, k=10) for user in USERS[:n]]


def statuses(records: Sequence[AttackRecord]) -> Counter[str]:
    return Counter(record.status for record in records)


class BreaksOnAWord(Clean):
    """Another list when the word "titles" is misspelled."""

    def answer(self, request: Request) -> list[str]:
        salt = () if "titles" in request.prompt else ("other",)
        return titles(new_items(request, *salt)[: request.k])


class BreaksOnTwoWords(Clean):
    """Two more items change with each misspelled word of three."""

    def answer(self, request: Request) -> list[str]:
        ranked = new_items(request)
        gone = 2 * sum(word not in request.prompt for word in ("best", "numbered", "titles"))
        return titles([*ranked[gone : request.k], *ranked[request.k :]][: request.k])


class AnotherListEachTime(Clean):
    def __init__(self) -> None:
        self._numbers = count()

    def answer(self, request: Request) -> list[str]:
        return titles(new_items(request, next(self._numbers))[: request.k])


class OnceFooled(BreaksOnAWord):
    """Answers a repeat of a prompt as if nothing had been edited."""

    def recommend(self, requests: Sequence[Request]) -> list[list[str]]:
        return [
            Clean.answer(self, request) if request.repeat else self.answer(request)
            for request in requests
        ]


class Mute(Clean):
    """No list for a misspelled word."""

    def answer(self, request: Request) -> list[str] | str:  # type: ignore[override]
        return super().answer(request) if "titles" in request.prompt else ""


class Scorer:
    """Scores candidates; every unusual character of a candidate's title raises its score."""

    name = "scorer"

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        return [self._ranked(request) for request in requests]

    def _ranked(self, request: Request) -> Response:
        scores = [
            (-float(i) + 2 * sum(not c.isascii() for c in item.title), item)
            for i, item in enumerate(request.candidates or ())
        ]
        items = tuple(
            RankedItem(raw=item.title, item_id=item.id, score=score)
            for score, item in sorted(scores, key=lambda row: -row[0])
        )
        return Response(request_id=request.id, status="ok", items=items)


@pytest.mark.parametrize("search", OURS)
def test_a_recommender_that_ignores_spelling_is_never_broken(search, tmp_path):
    records = attack(target_for(Clean(), tmp_path), requests(15), Goal(), ThreatModel(), search)
    assert statuses(records) == {"failed": 15}
    assert max(record.queries for record in records) <= 40


@pytest.mark.parametrize("search", [*OURS, *STOCK])
def test_a_recommender_that_hashes_the_prompt_is_always_broken(search, tmp_path):
    target = target_for(ReadsEveryLetter(), tmp_path)
    records = attack(target, requests(20), Goal(), ThreatModel(), search)
    assert statuses(records) == {"success": 20}
    for record in records:
        assert 1 <= len(record.edits) <= 5
        assert replaced(record.clean_items, record.attacked_items, k=10) >= 4


@pytest.mark.parametrize("search", [*OURS, *STOCK])
def test_protected_spans_reach_the_recommender_byte_equal(search, tmp_path):
    seen: list[str] = []

    class Listens(ReadsEveryLetter):
        def answer(self, request: Request) -> list[str]:
            seen.append(request.prompt)
            return Clean.answer(self, request)

    phrase = "Schindler's List: İstanbul, Straße (1993)"
    text = f"Recommend {{k}} movies like {phrase} to watch later. I enjoyed:\n{{history}}\nThanks"
    asked = [replace(one, instruction=text) for one in requests(3)]
    threat = ThreatModel(protected=(phrase,))
    attack(target_for(Listens(), tmp_path), asked, Goal(), threat, search)
    assert len(set(seen)) > 20
    for prompt in seen:
        assert prompt.count(phrase) == 1
        assert "10 " in prompt
        assert any(
            "\n" + "\n".join(f"- {item.title}" for item in one.history) + "\n" in prompt
            for one in asked
        )


@pytest.mark.parametrize("search", [*OURS, "deepwordbug"])
def test_results_do_not_depend_on_batch_size_and_order_of_users(search, tmp_path):
    found = []
    for number, size in enumerate((1, 7, 64)):
        order = random.Random(number).sample(requests(6), 6)
        target = target_for(BreaksOnTwoWords(), tmp_path / str(size), batch_size=size)
        records = attack(target, order, Goal(), ThreatModel(budget=60), search, seed=3)
        found.append(sorted(records, key=lambda record: record.user))
    assert found[0] == found[1] == found[2]
    assert statuses(found[0])["success"] > 0


def test_an_attack_that_is_run_again_sends_nothing(tmp_path):
    sent: list[str] = []

    class Counts(BreaksOnTwoWords):
        def answer(self, request: Request) -> list[str]:
            sent.append(request.id)
            return super().answer(request)

    target = target_for(Counts(), tmp_path)
    first = attack(target, requests(8), Goal(), ThreatModel())
    n = len(sent)
    assert attack(target, requests(8), Goal(), ThreatModel()) == first
    assert len(sent) == n == len(set(sent))


def one_by_one(recommender: Clean, request: Request, threat: ThreatModel, seed: int):
    """The greedy search, written without generators, drivers or a Target."""
    from auditkit.recommenders.prompting.prompts import Prompts

    prompts = Prompts.shipped("titles", _pack())
    text = editable_text(request, threat)
    rng = generator(seed, "attack", "greedy", request.user_id)
    asked: dict[str, float] = {}

    def listed(written: str) -> list[str]:
        edited = with_text(request, threat, written)
        answer = recommender.answer(replace(edited, prompt=prompts.render(edited)))
        return [title.casefold() for title in answer]

    clean = listed(text.text)

    def margin(written: str) -> float:
        after = listed(written)
        asked[written] = float(replaced(clean, after, k=10) >= 4) - (
            rbo_ext(clean, after, k=10) or 0
        )
        return asked[written]

    gains = [margin(applied(text.text, [deletion(word)])) for word in text.words]
    kept, highest = (), -1.0
    for i in sorted(range(len(gains)), key=lambda i: (-gains[i], i)):
        if len(kept) == threat.word_limit(len(text.words)):
            break
        best = None
        for edit in proposals(text, text.words[i], threat.operators, rng):
            value = margin(applied(text.text, [*kept, edit]))
            if best is None or value > best[0]:
                best = (value, (*kept, edit))
            if value > 0 and not any(asked[t] > 0 for t in list(asked)[len(gains) : -1]):
                won = (*kept, edit)
        if best and best[0] > highest:
            highest, kept = best
        if highest > 0:
            return won, len(asked)
    return (), len(asked)


def _pack():
    from auditkit.domains.shipped import domain_pack

    return domain_pack(world().catalog.domain)


@pytest.mark.parametrize("kind", [BreaksOnAWord, BreaksOnTwoWords, ReadsEveryLetter, Clean])
def test_greedy_search_equals_its_one_by_one_reference(kind, tmp_path):
    threat = ThreatModel(budget=500, operators=("typing", "keyboard", "zerowidth"))
    target = target_for(kind(), tmp_path)
    asked = [replace(one, instruction=target.prompts.recommend[0]) for one in requests(6)]
    records = attack(target, asked, Goal(), threat, "greedy", seed=5)
    for request, record in zip(asked, records, strict=True):
        edits, queries = one_by_one(kind(), request, threat, 5)
        assert record.edits == edits
        assert record.queries - (record.status != "failed") == queries


def test_no_attack_opens_a_socket(tmp_path, monkeypatch):
    tried: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        tried.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for search in (*OURS, *STOCK):
        target = target_for(ReadsEveryLetter(), tmp_path / search)
        attack(target, requests(3), Goal(), ThreatModel(), search)
    assert tried == []


def test_a_success_that_is_not_reproduced_is_unconfirmed(tmp_path):
    records = attack(target_for(OnceFooled(), tmp_path), requests(10), Goal(), ThreatModel())
    assert statuses(records) == {"unconfirmed": 10}
    assert not any(record.changed for record in records)


def test_a_random_recommender_is_flagged_non_deterministic(tmp_path):
    target = target_for(AnotherListEachTime(), tmp_path)
    records = attack(target, requests(10), Goal(), ThreatModel())
    assert not any(record.deterministic for record in records)
    assert all(record.queries >= 4 for record in records if record.changed)


def test_a_response_without_a_list_is_a_breakdown(tmp_path):
    records = attack(target_for(Mute(), tmp_path), requests(10), Goal(), ThreatModel(), "greedy")
    assert statuses(records) == {"success": 10}
    assert all(record.breakdown for record in records)


def test_a_short_clean_list_is_skipped_and_not_counted_as_robust(tmp_path):
    class TwoItems(Clean):
        def answer(self, request: Request) -> list[str]:
            return super().answer(request)[:2]

    records = attack(target_for(TwoItems(), tmp_path), requests(5), Goal(), ThreatModel())
    assert statuses(records) == {"skipped": 5}
    assert "fewer than 4" in records[0].reason


def test_an_attack_that_runs_out_of_calls_is_missing(tmp_path):
    target = target_for(Clean(), tmp_path, stop=StopRule(Budget(calls=60)), batch_size=4)
    records = attack(target, requests(10), Goal(), ThreatModel())
    assert statuses(records) == {"missing": 10}
    assert records[0].reason == "the run was stopped"


def test_a_text_that_is_no_longer_similar_is_invalid(tmp_path):
    threat = ThreatModel(min_chrf=0.999, operators=("typing",))
    records = attack(target_for(ReadsEveryLetter(), tmp_path), requests(5), Goal(), threat)
    assert statuses(records) == {"invalid": 5}
    assert all("chrF" in record.reason and record.changed for record in records)


def test_invisible_edits_are_valid_however_many_there_are(tmp_path):
    threat = ThreatModel(min_chrf=1, min_cosine=1, operators=("zerowidth",))
    records = attack(target_for(ReadsEveryLetter(), tmp_path), requests(5), Goal(), threat)
    assert statuses(records) == {"success": 5}
    assert all(record.edits_in_words().isascii() for record in records)
    assert all("\\u" in record.edits_in_words() for record in records)


class SnapsTitles(FlipsOnMisspelledHistory):
    snapper = TitleSnapper(item.display_title for item in world().catalog.items)

    def answer(self, request: Request) -> list[str]:
        return super().answer(self.snapper.request(request))


def test_an_attack_on_titles_of_the_history_is_undone_by_snapping(tmp_path):
    threat = ThreatModel(surface="history", max_words=1, operators=("typing", "keyboard"))
    found = attack(
        target_for(FlipsOnMisspelledHistory(), tmp_path / "a"), requests(), Goal(), threat
    )
    assert statuses(found)["success"] >= 45
    snapped = attack(target_for(SnapsTitles(), tmp_path / "b"), requests(), Goal(), threat)
    assert statuses(snapped)["success"] == 0


@pytest.mark.parametrize(("kind", "rank"), [("promote", 15), ("demote", 2)])
def test_an_item_is_promoted_and_demoted_by_its_own_title(kind, rank, tmp_path):
    candidates = tuple(Item(i.id, i.display_title) for i in world().catalog.items[:20])
    asked = [Request(user_id=u.id, candidates=candidates, k=20) for u in USERS[:3]]
    goal = Goal(kind=kind, k=5, item=candidates[rank].id)
    threat = ThreatModel(
        surface="item", item_surface="scored_string", max_words=1, min_chrf=0, min_cosine=0
    )
    records = attack(target_for(Scorer(), tmp_path), asked, goal, threat)
    if kind == "promote":
        assert statuses(records)["success"] + statuses(records)["failed"] == 3
        for record in records:
            assert record.changed == (Ranking(record.attacked_items).rank(goal.item) <= 5)
        assert any(record.changed for record in records)
    else:
        assert statuses(records) == {"failed": 3}  # edits only raise this item's score


def test_records_are_written_read_and_replayed_against_another_target(tmp_path):
    found = attack(target_for(BreaksOnAWord(), tmp_path / "a"), requests(10), Goal(), ThreatModel())
    path = tmp_path / "records.jsonl"
    write_records(path, found)
    assert path.read_bytes().isascii()
    stored = read_records(path)
    assert stored == found
    asked, same = requests(10), target_for(BreaksOnAWord(), tmp_path / "b")
    again = attack(same, asked, Goal(), ThreatModel(), REPLAY, stored=stored)
    assert statuses(again) == {"success": 10}
    assert {record.queries for record in again} == {2}  # one query and its confirmation
    other = attack(target_for(Clean(), tmp_path / "c"), asked, Goal(), ThreatModel(), REPLAY,
                   stored=stored)  # fmt: skip
    assert statuses(other) == {"failed": 10}


def test_a_damaged_record_is_named_with_its_line(tmp_path):
    path = Path(tmp_path / "records.jsonl")
    path.write_text('{"user": "1"}\n')
    with pytest.raises(InvalidArgument, match=r"records.jsonl:1 is not the record"):
        read_records(path)


def test_an_unknown_search_suggests_the_nearest_name(tmp_path):
    with pytest.raises(InvalidArgument, match="Did you mean 'greedy'"):
        attack(target_for(Clean(), tmp_path), requests(1), Goal(), ThreatModel(), "gredy")
    with pytest.raises(InvalidArgument, match="2 goals for 1 requests"):
        attack(target_for(Clean(), tmp_path), requests(1), [Goal(), Goal()], ThreatModel())
