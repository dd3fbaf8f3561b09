"""Stages of pipelines: clean ones, and ones with exactly one planted fault each."""

from __future__ import annotations

from collections.abc import Sequence

from planted_recommenders import Clean, chance, held_out_item, new_items, titles
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.recommenders.pipeline.pipeline import Pipeline
from auditkit.recommenders.pipeline.stage import build_stage
from auditkit.types import Request, Response

N = 20  # candidates


class Finds(Clean):
    """Retrieves the held-out item of every user in a place from 1 to 4, among other new items."""

    reads_prompt = False

    def answer(self, request: Request) -> list[str]:
        hit = held_out_item(request)
        rest = [item for item in new_items(request) if item != hit][: request.k - 1]
        place = int(4 * chance("place", request.user_id))
        return titles([*rest[:place], hit, *rest[place:]])


class NeverFinds(Clean):
    """Retrieves anything but the held-out item."""

    reads_prompt = False

    def answer(self, request: Request) -> list[str]:
        rest = [item for item in new_items(request) if item != held_out_item(request)]
        return titles(rest[: request.k])


class RetrievesInvented(Finds):
    """Every fourth candidate has no entry in the catalog."""

    def answer(self, request: Request) -> list[str]:
        found = super().answer(request)
        hit = titles([held_out_item(request)])[0]
        return [
            f"Zzyzx Number {request.user_id}{i} (1999)" if i % 4 == 3 and one != hit else one
            for i, one in enumerate(found)
        ]


class RetrievesNothing(Clean):
    reads_prompt = False

    def answer(self, request: Request) -> list[str]:
        return []


class Keeps(Clean):
    """Lists the first k candidates in their order."""

    def answer(self, request: Request) -> list[str]:
        return self.candidates(request)[: request.k]

    @staticmethod
    def candidates(request: Request) -> list[str]:
        return [item.title for item in request.candidates or ()]


class Promotes(Keeps):
    """Lists the held-out item first, if it is a candidate."""

    def candidates(self, request: Request) -> list[str]:
        hit = titles([held_out_item(request)])[0]
        return sorted(super().candidates(request), key=lambda title: title != hit)


class Demotes(Keeps):
    """Lists the held-out item last, still in the top k."""

    def answer(self, request: Request) -> list[str]:
        hit = titles([held_out_item(request)])[0]
        return sorted(super().answer(request), key=lambda title: title == hit)


class LeavesOut(Keeps):
    """Lists candidates, but never the held-out item."""

    def candidates(self, request: Request) -> list[str]:
        hit = titles([held_out_item(request)])[0]
        return [title for title in super().candidates(request) if title != hit]


class ListsTooLate(LeavesOut):
    """Lists the held-out item after the first k."""

    def answer(self, request: Request) -> list[str]:
        return [*super().answer(request), titles([held_out_item(request)])[0]]


class AddsInvented(Keeps):
    """Half of the list is neither a candidate nor in the catalog."""

    def answer(self, request: Request) -> list[str]:
        kept = super().answer(request)[: request.k // 2]
        return [*kept, *(f"Zzyzx Number {request.user_id}{i} (1999)" for i in range(5))]


class AddsReal(Keeps):
    """Half of the list is in the catalog, but not among the candidates."""

    def answer(self, request: Request) -> list[str]:
        given = set(self.candidates(request))
        others = [title for title in titles(world().catalog.items) if title not in given]
        return [*super().answer(request)[: request.k // 2], *others[:5]]


class Searches(Finds):
    """Finds the held-out item if the prompt names it or an item of the history."""

    reads_prompt = True

    def answer(self, request: Request) -> list[str]:
        known = [*titles([held_out_item(request)]), *(item.title for item in request.history)]
        if any(title in request.prompt for title in known):
            return super().answer(request)
        return NeverFinds.answer(self, request)


class SearchesBadly(NeverFinds):
    """Reads the query, and finds anything but the held-out item."""

    reads_prompt = True


class Asks:
    """Writes the title of the held-out item as the query."""

    name, reads_prompt = "asks", True

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        return [Response(request_id=one.id, status="ok", text=self.query(one)) for one in requests]

    def query(self, request: Request) -> str:
        return titles([held_out_item(request)])[0]


class AsksOffTopic(Asks):
    def query(self, request: Request) -> str:
        return "Search query: weather in Lisbon"


class AsksNothing(Asks):
    def query(self, request: Request) -> str:
        return "<think>What could this user like?</think>"


def searching(writer: object, retriever: object, ranker: object, *, n: int = N) -> Pipeline:
    """The three stages `query`, `retrieval` and `ranking` on the small world."""
    return chain([("query", writer, None), ("retrieval", retriever, n), ("ranking", ranker, None)])


def pipeline(retriever: object, ranker: object, *, n: int = N) -> Pipeline:
    """The two stages `retrieval` and `ranking` on the small world."""
    return chain([("retrieval", retriever, n), ("ranking", ranker, None)])


def chain(stages: Sequence[tuple[str, object, int | None]]) -> Pipeline:
    """A pipeline of (name, recommender, n); a first stage without n writes the query."""
    queries = stages[0][2] is None
    steps = [
        build_stage(
            name,
            one,
            n=n,
            first=place <= queries,
            prompt=None,
            pack=domain_pack("movies"),
            writes="query" if queries and not place else "list",
        )
        for place, (name, one, n) in enumerate(stages)
    ]
    return Pipeline("pipeline:planted", steps, catalog=world().catalog)
