"""Fake recommenders: clean ones, and ones with exactly one planted fault each."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from small_world import world

from auditkit.catalog.items import CatalogItem
from auditkit.domains.shipped import domain_pack
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.protocols import ItemQuestion, TokenScores
from auditkit.types import Item, Request


def chance(*words: object) -> float:
    """A number in [0, 1) that depends on the words alone."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def new_items(request: Request, *salt: object, obeys: bool = True) -> list[CatalogItem]:
    """Unseen catalog items in an order that depends on the user and the salt, those that keep the
    terms of the request first."""
    seen = {item.id for item in request.history}
    fresh = [item for item in world().catalog.items if item.id not in seen]
    return sorted(
        fresh,
        key=lambda item: (
            keeps_terms(request, item) is not obeys,
            chance(request.user_id, item.id, *salt),
        ),
    )


def keeps_terms(request: Request, item: CatalogItem) -> bool:
    """Is the item among the candidates, of the genre and the time that the prompt asks for?"""
    if request.candidates is not None:
        return item.id in {candidate.id for candidate in request.candidates}
    genre = re.search(r"of the genre ([\w'-]+)", request.prompt)
    bound = re.search(r"released (before|after) (\d{4})", request.prompt)
    year = item.year or 0
    in_time = not bound or (year < int(bound[2]) if bound[1] == "before" else year > int(bound[2]))
    return in_time and (not genre or genre[1] in item.genres)


def titles(items: Sequence[CatalogItem]) -> list[str]:
    return [item.display_title for item in items]


class Clean:
    """Answers every kind of question correctly and pays no attention to wording or attributes."""

    name = "clean"

    def recommend(self, requests: Sequence[Request]) -> list[list[str]]:
        return [self.answer(request) for request in requests]

    def answer(self, request: Request) -> list[str]:
        return titles(new_items(request)[: request.k])

    def describe_prompt(self, item: Item) -> str:
        return f"DESCRIBE {item.id}"

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[str]:
        return [self.write(prompt) for prompt in prompts]

    def write(self, prompt: str) -> str:
        """One item described, or a list with a reason each."""
        if prompt.startswith("DESCRIBE"):
            return self.describe(world().catalog[prompt.split()[-1]])
        listed = enumerate(world().catalog.items[:5], start=1)
        return "\n".join(f"{n}. {i.display_title}: {self.describe(i)}" for n, i in listed)

    def describe(self, item: CatalogItem) -> str:
        return f"Genres: {', '.join(item.genres)}. Year: {item.year}."

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        return [
            [TokenScores((self.log_probability(prompt, text),)) for text in options]
            for prompt, options in zip(prompts, continuations, strict=True)
        ]

    def log_probability(self, prompt: str, continuation: str) -> float:
        return -1.0

    def item_question(
        self, task: str, request: Request, item: Item, *, disliked: Sequence[Item] = ()
    ) -> ItemQuestion | None:
        answers = {"like": (" Yes", " No"), "rating": (" 1", " 2", " 3", " 4", " 5")}
        return ItemQuestion(f"{task} {request.user_id} {item.id}", answers[task])


class InventsTitles(Clean):
    def answer(self, request: Request) -> list[str]:
        kept = titles(new_items(request)[: request.k // 2])
        return kept + [
            f"Zzyzx Number {request.user_id}{i} (1999)" for i in range(request.k - len(kept))
        ]


class WrongYears(Clean):
    def answer(self, request: Request) -> list[str]:
        return [f"{item.title} (2019)" for item in new_items(request)[: request.k]]


class RepeatsItems(Clean):
    def answer(self, request: Request) -> list[str]:
        half = titles(new_items(request)[: request.k // 2])
        return half + half


class RecommendsConsumed(Clean):
    def answer(self, request: Request) -> list[str]:
        known = [item.title for item in request.history[: request.k // 2]]
        return known + titles(new_items(request)[: request.k - len(known)])


class WrongCount(Clean):
    def answer(self, request: Request) -> list[str]:
        return titles(new_items(request)[: request.k - 3])


class IgnoresTerms(Clean):
    def answer(self, request: Request) -> list[str]:
        return titles(new_items(request, obeys=False)[: request.k])


class InventsSequels(Clean):
    def answer(self, request: Request) -> list[str]:
        return [f"{item.title} 7" for item in new_items(request)[: request.k]]


class Misspells(Clean):
    """Leaves a letter out of the last word: titles that are linked, but not exactly."""

    def answer(self, request: Request) -> list[str]:
        return [f"{item.title[:-2]}{item.title[-1]}" for item in new_items(request)[: request.k]]


class StatesWrongFacts(Clean):
    def describe(self, item: CatalogItem) -> str:
        other = next(g for g in ("Western", "Drama", "War") if g not in item.genres)
        return f"Genres: {other}. Year: {(item.year or 0) + 11}."


class ReadsEveryLetter(Clean):
    """Another list for every other wording; only doubled blanks are forgiven."""

    def answer(self, request: Request) -> list[str]:
        text = re.sub(" {3,}", "@", request.prompt).replace("  ", " ")
        return titles(new_items(request, text)[: request.k])


class FlipsOnMisspelledHistory(Clean):
    """Another list as soon as one title of the history is not written as in the catalog."""

    def answer(self, request: Request) -> list[str]:
        known = {item.display_title for item in world().catalog.items}
        flips = any(item.title not in known for item in request.history)
        return titles(new_items(request, *["flipped"] * flips)[: request.k])


def names_a_woman(request: Request) -> bool:
    return request.attributes.get("gender") in ("female", "a woman")


class FavorsWomen(Clean):
    """Naming a woman changes the whole list; every other statement changes nothing."""

    def answer(self, request: Request) -> list[str]:
        ranked = new_items(request)
        if names_a_woman(request):
            ranked.reverse()
        return titles(ranked[: request.k])


class RefusesSomeWomen(Clean):
    """Refuses a third of the requests that name a woman."""

    def answer(self, request: Request) -> list[str] | str:  # type: ignore[override]
        if names_a_woman(request) and chance(request.user_id) < 1 / 3:
            return "I'm sorry, but I cannot help with that."
        return super().answer(request)


def half_and(request: Request, *salt: object) -> list[str]:
    """The upper half of the clean list, and other items that the salt chooses."""
    clean = new_items(request)
    kept = clean[: request.k // 2]
    others = [item for item in new_items(request, *salt) if item not in kept]
    return titles([*kept, *others][: request.k])


class Stereotypes(Clean):
    """Every gender gets other items, each as far from the neutral list as the next."""

    def answer(self, request: Request) -> list[str]:
        gender = request.attributes.get("gender")
        if gender is None:
            return super().answer(request)
        kept = new_items(request)[: request.k // 2]
        own = [i for i in world().catalog.items if chance(i.id) * 3 // 1 == len(gender) % 3]
        seen = {item.id for item in (*request.history, *kept)}
        fill = [item for item in own if item.id not in seen][: request.k - len(kept)]
        return titles([*kept, *fill])


class MovesEveryoneAlike(Clean):
    """Naming any attribute replaces half of the list, whatever its value; other phrases do not."""

    def answer(self, request: Request) -> list[str]:
        return half_and(request, "named") if request.attributes else super().answer(request)


class FairButNoisy(Clean):
    """Half of the list depends on every letter of the request, whoever asks."""

    def answer(self, request: Request) -> list[str]:
        return half_and(request, request.prompt)


class Garbage(Clean):
    """Another list for every wording, which has nothing to do with the request."""

    def answer(self, request: Request) -> list[str]:
        return titles(new_items(request, request.prompt)[: request.k])


def held_out_item(request: Request) -> CatalogItem:
    interactions = world().interactions
    user = interactions.user_ids.index(request.user_id)
    return world().catalog.items[interactions.item_index[interactions.offsets[user + 1] - 1]]


class FindsEveryTestItem(Clean):
    def answer(self, request: Request) -> list[str]:
        hit = held_out_item(request)
        rest = [item for item in new_items(request) if item != hit]
        return titles([hit, *rest][: request.k])


class FindsNoTestItem(Clean):
    def answer(self, request: Request) -> list[str]:
        rest = [item for item in new_items(request) if item != held_out_item(request)]
        return titles(rest[: request.k])


class ServesMenBetter(Clean):
    """Finds the test item of three men in four and of one woman in four."""

    def answer(self, request: Request) -> list[str]:
        interactions = world().interactions
        user = interactions.user_ids.index(request.user_id)
        male = interactions.attributes[user]["gender"] == "male"
        served = user // 2 % 4 < 3 if male else user // 2 % 4 == 3
        kind = FindsEveryTestItem if served else FindsNoTestItem
        return kind().answer(request)


class WorseForNamedWomen(Clean):
    """Finds the test item unless a woman is named."""

    def answer(self, request: Request) -> list[str]:
        named = names_a_woman(request)
        return (FindsNoTestItem() if named else FindsEveryTestItem()).answer(request)


HELD_OUT = tuple(world().interactions.user_ids[i] for i in range(0, 80, 4))


class Memorizes(Clean):
    """Sure of the histories that it was trained on, unsure of others."""

    def __init__(self) -> None:
        interactions, items = world().interactions, world().catalog.items
        self.memory = {
            "\n".join(
                f"- {items[row].display_title}"
                for row in interactions.history(u, until="test")[:-1]
            )
            for u, user_id in enumerate(interactions.user_ids)
            if user_id not in HELD_OUT
        }

    def log_probability(self, prompt: str, continuation: str) -> float:
        trained = any(f"\n{history}\n" in prompt for history in self.memory)
        return (-0.2 if trained else -3.0) - chance(prompt)


class ForgetsEveryone(Clean):
    def log_probability(self, prompt: str, continuation: str) -> float:
        return -1.0 - chance(prompt, continuation)


class OneCause(Clean):
    """The top item's score depends on exactly one item of the history: the user's `cause`."""

    def __init__(self) -> None:
        self.prompts = Prompts.shipped("titles", domain_pack("movies"))

    @staticmethod
    def cause(user_id: str, history: Sequence[str]) -> str:
        return min(history, key=lambda item_id: chance("cause", user_id, item_id))

    def render(self, request: Request) -> str:
        return f"{request.user_id}: {' '.join(item.id for item in request.history)}"

    def reference(self, item: Item) -> str:
        return item.title

    def log_probability(self, prompt: str, continuation: str) -> float:
        user_id, _, shown = prompt.partition(": ")
        interactions, items = world().interactions, world().catalog.items
        rows = interactions.history(interactions.user_ids.index(user_id), until="test")[-10:]
        return (
            -0.5 if self.cause(user_id, [items[row].id for row in rows]) in shown.split() else -4.0
        )


class RedundantCauses(OneCause):
    """The top item's score depends on two items of the history, and either suffices."""

    def log_probability(self, prompt: str, continuation: str) -> float:
        user_id, _, shown = prompt.partition(": ")
        interactions, items = world().interactions, world().catalog.items
        rows = interactions.history(interactions.user_ids.index(user_id), until="test")[-10:]
        ids = [items[row].id for row in rows]
        first = self.cause(user_id, ids)
        second = self.cause(user_id, [item_id for item_id in ids if item_id != first])
        return -0.5 if {first, second} & set(shown.split()) else -4.0


class FailsEveryThird(Clean):
    """A third of all questions raise, whatever they ask."""

    def answer(self, request: Request) -> list[str]:
        self._fail(request.id)
        return super().answer(request)

    def describe(self, item: CatalogItem) -> str:
        self._fail(item.id)
        return super().describe(item)

    def log_probability(self, prompt: str, continuation: str) -> float:
        self._fail(prompt)
        return super().log_probability(prompt, continuation)

    @staticmethod
    def _fail(what: str) -> None:
        if chance("fail", what) < 1 / 3:
            raise RuntimeError("the service is overloaded")


class CannotDescribe(Clean):
    """A fault of the adapter outside any request: the claims probe crashes on it."""

    def describe_prompt(self, item: Item) -> str:
        raise RuntimeError("describe_prompt <b>is broken</b>")


class OnlyRecommends:
    name = "only-recommends"

    def recommend(self, requests: Sequence[Request]) -> list[list[str]]:
        return Clean().recommend(requests)


class Recorded(Clean):
    """Writes what it is asked into ASKED_LOG; STOP_AFTER interrupts, PAUSE sleeps per batch."""

    def recommend(self, requests: Sequence[Request]) -> list[list[str]]:
        log = Path(os.environ["ASKED_LOG"])
        with log.open("a", encoding="ascii") as stream:
            for request in requests:
                stream.write(request.id + "\n")
        time.sleep(float(os.environ.get("PAUSE", "0")))
        stop = int(os.environ.get("STOP_AFTER", "0"))
        if stop and len(log.read_text(encoding="ascii").split()) > stop:
            raise KeyboardInterrupt
        return super().recommend(requests)
