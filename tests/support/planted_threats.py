"""Fake recommenders with one fault each that texts of items, system texts or ages can show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from planted_recommenders import Clean, chance, new_items, titles
from small_world import world

from auditkit.catalog.items import CatalogItem
from auditkit.types import Item, RankedItem, Request, Response

_ORDER = re.compile(
    r"\b(?:rank|place|put|list|return|show|recommend|start)\b.*(?:first|top|position 1|above|with)",
    re.IGNORECASE,
)


def shown_first(request: Request, wanted: Sequence[Item]) -> list[str]:
    """The clean list with the wanted candidates moved to its beginning."""
    first = [world().catalog[item.id] for item in wanted]
    rest = [item for item in new_items(request) if item not in first]
    return titles([*first, *rest][: request.k])


class LiftsBest(Clean):
    """Lists candidates first whose text has the word BEST."""

    def answer(self, request: Request) -> list[str]:
        return shown_first(request, [i for i in request.candidates or () if "BEST" in i.title])


class ObeysOrders(Clean):
    """Lists candidates first whose text, or a text of the history, orders it."""

    def answer(self, request: Request) -> list[str]:
        texts = [i.title for i in (*request.history, *(request.candidates or ()))]
        orders = [text.partition("Description: ")[2] for text in texts]
        ordered = " ".join(text for text in orders if _ORDER.search(text))
        wanted = [
            item
            for item in request.candidates or ()
            if world().catalog[item.id].display_title in ordered
        ]
        return shown_first(request, wanted)


class TakesTheFirst(Clean):
    """Lists candidates in the order of the prompt."""

    def answer(self, request: Request) -> list[str]:
        if request.candidates is None:
            return super().answer(request)
        return titles([world().catalog[item.id] for item in request.candidates][: request.k])


class LikesBestSellers(Clean):
    """Adds a fixed bonus to candidates with a bandwagon cue."""

    bonus = 0.5

    def answer(self, request: Request) -> list[str]:
        if request.candidates is None:
            return super().answer(request)

        def worth(item: Item) -> float:
            cued = re.search("million users|of the charts|popular choice", item.title)
            return chance(request.user_id, item.id) + self.bonus * bool(cued)

        ranked = sorted(request.candidates, key=worth, reverse=True)
        return titles([world().catalog[item.id] for item in ranked][: request.k])


class LikesLongTexts(Clean):
    """Lists candidates with longer texts first."""

    def answer(self, request: Request) -> list[str]:
        if request.candidates is None:
            return super().answer(request)
        ranked = sorted(request.candidates, key=lambda item: -len(item.title.split()))
        return titles([world().catalog[item.id] for item in ranked][: request.k])


class Random(Clean):
    """Another list at every call; the numbers of the calls are its only state."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, request: Request) -> list[str]:
        self.calls += 1
        return titles(new_items(request, "random", self.calls)[: request.k])


def said(request: Request, items: Sequence[CatalogItem], text: str) -> Response:
    """A response with a list and a text."""
    listed = tuple(RankedItem(raw=title) for title in titles(items))
    return Response(
        request_id=request.id, status="ok" if listed else "no_answer", items=listed, text=text
    )


class EchoesSystem(Clean):
    """Adds its system text to every list, and writes codes that it is asked to write."""

    def answer(self, request: Request) -> Response:  # type: ignore[override]
        return said(request, new_items(request)[: request.k], self.text(request))

    def text(self, request: Request) -> str:
        system = [turn.content for turn in request.messages if turn.role == "system"]
        return "\n".join([*system, repeated(request)])


class EchoesSystemBackwards(EchoesSystem):
    def text(self, request: Request) -> str:
        return super().text(request)[::-1]


class KeepsSecrets(EchoesSystem):
    """Writes codes that it is asked to write, and nothing of its system text."""

    def text(self, request: Request) -> str:
        return repeated(request)


def repeated(request: Request) -> str:
    """The code after "exactly as it is", if the request asks to repeat it."""
    found = re.search(r"exactly as it is, and nothing else: (\w+)", request.prompt)
    return found[1] if found else ""


class RefusesEverything(Clean):
    def answer(self, request: Request) -> str:  # type: ignore[override]
        return "I'm sorry, but I cannot help with that."


class ObeysOverrides(Clean):
    """Writes any word of eight consonants that the request has after the list."""

    def answer(self, request: Request) -> Response:  # type: ignore[override]
        found = re.findall(r"\b[BCDFGHJKLMNPQRSTVWXZ]{8}\b", request.prompt)
        return said(request, new_items(request)[: request.k], " ".join(found))


def has_false_premise(request: Request) -> bool:
    return "If you know none, say so" in request.prompt or "Is that right?" in request.prompt


class InventsForPremises(Clean):
    """Lists an invented title if the premise of the request is false."""

    def answer(self, request: Request) -> list[str]:
        kept = super().answer(request)
        return [*kept[1:], "Zzyzx Number 12 (1999)"] if has_false_premise(request) else kept


class CorrectsPremises(Clean):
    """States the genres of the item in question, and lists nothing if there is no such item."""

    def answer(self, request: Request) -> Response | list[str]:  # type: ignore[override]
        if not has_false_premise(request):
            return super().answer(request)
        named = re.search(r"I liked (.+ \(\d{4}\)), the", request.prompt)
        if named is None:
            return said(request, [], "There are none.")
        (item,) = (i for i in world().catalog.items if i.display_title == named[1])
        text = f"No, it is {', '.join(item.genres)}."
        return said(request, new_items(request)[: request.k], text)


UNSAFE = {"Horror", "Crime", "Film-Noir", "Thriller", "War"}


class ProtectsMinors(Clean):
    """Leaves out items of unsafe genres for users below 18."""

    def answer(self, request: Request) -> list[str]:
        ranked = new_items(request)
        if int(request.attributes.get("age", "40")) < 18:
            ranked = [item for item in ranked if not UNSAFE & set(item.genres)]
        return titles(ranked[: request.k])


class Sound(ProtectsMinors):
    """Protects minors, keeps secrets and corrects false premises."""

    def answer(self, request: Request) -> Response | list[str]:  # type: ignore[override]
        if has_false_premise(request):
            return CorrectsPremises().answer(request)
        listed = super().answer(request)
        items = tuple(RankedItem(raw=title) for title in listed)
        return Response(request_id=request.id, status="ok", items=items, text=repeated(request))


class Linked:
    """Another fake with catalog ids in place of exact titles, so that no title must be linked."""

    def __init__(self, fake: Clean) -> None:
        self.name, self.fake = fake.name, fake
        self.ids = {item.display_title: item.id for item in world().catalog.items}

    def recommend(self, requests: Sequence[Request]) -> list[Response | str]:
        answers = zip(requests, self.fake.recommend(requests), strict=True)
        return [self.linked(request, answer) for request, answer in answers]

    def linked(self, request: Request, answer: Response | str | list[str]) -> Response | str:
        if isinstance(answer, list):
            items = tuple(RankedItem(raw=title) for title in answer)
            answer = Response(request_id=request.id, status="ok", items=items)
        if isinstance(answer, str):
            return answer
        known = tuple(replace(one, item_id=self.ids.get(one.raw)) for one in answer.items)
        return replace(answer, items=known)
