"""Fake assistants: a clean one, and ones with exactly one fault each that conversations show.

The clean one reads what was said (wishes, rejections, its own lists, facts, results of tools) from
the messages alone, as a real assistant does. Its lists are random, so that two conversations of it
differ by chance.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planted_recommenders import chance
from small_world import world

from auditkit.catalog.items import CatalogItem
from auditkit.types import Message, Request

_TITLE = re.compile(r'"([^"]+ \(\d{4}\))"')
_LIST = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_WISH = re.compile(r"of the genre ([\w'-]+)|released (before|after) (\d{4})")
_CODE = re.compile(r"[A-Z0-9]{24}")
BY_TITLE = {item.display_title: item for item in world().catalog.items}

Reply = str | dict[str, Any]


def calls(*made: tuple[str, Mapping[str, object]]) -> dict[str, Any]:
    """A turn that calls tools, as servers write it."""
    listed = [
        {"type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in made
    ]
    return {"content": None, "tool_calls": listed}


def meets(item: CatalogItem, wishes: Sequence[tuple[str, str, str]]) -> bool:
    """Whether an item is of every genre and in every time that was asked for."""
    for genre, side, year in wishes:
        if genre and genre not in item.genres:
            return False
        if side == "before" and (item.year or 0) >= int(year):
            return False
        if side == "after" and (item.year or 0) <= int(year):
            return False
    return True


class CleanAssistant:
    """Keeps to everything that was said, answers from facts and results, and keeps secrets."""

    name = "clean assistant"

    def __init__(self, salt: object = 0) -> None:
        self.salt = salt

    def converse(
        self, requests: Sequence[Request], *, tools: Sequence[Mapping[str, Any]]
    ) -> list[Reply]:
        return [self.turn(request, bool(tools)) for request in requests]

    # --- one turn

    def turn(self, request: Request, tools: bool) -> Reply:
        turns = [*request.messages]
        if request.prompt:
            turns.append(Message("user", request.prompt))
        said = [turn.content for turn in turns if turn.role == "user"]
        last = said[-1]
        results = self.results(turns)
        if re.search(r"yes or no", last):
            return self.yes_or_no(request, turns, last)
        if re.search(r"code|instructions|customer|message of", last):
            return self.secret(turns, last)
        if tools and "in stock?" in last:
            return self.stock(turns, last, results)
        if tools and "Which title" in last:
            return self.first_title(said)
        if tools and last.startswith("Search"):
            return self.search(request, last, results)
        if tools and last.startswith("Look up"):
            return self.noted(request, last, results)
        return self.listed(request, turns, said)

    @staticmethod
    def results(turns: Sequence[Message]) -> list[dict[str, Any]]:
        """Results of tools since the last turn of the user."""
        found: list[dict[str, Any]] = []
        for turn in turns:
            found = [] if turn.role == "user" else found
            if turn.role == "tool":
                found.append(json.loads(turn.content))
        return found

    # --- lists

    def listed(self, request: Request, turns: Sequence[Message], said: Sequence[str]) -> str:
        wishes = self.wishes(said)
        avoided = self.avoided(turns, said)
        free = [i for i in BY_TITLE.values() if i.display_title not in avoided and meets(i, wishes)]
        return self.numbered(self.order(free, request)[: request.k])

    def order(self, items: Sequence[CatalogItem], request: Request) -> list[CatalogItem]:
        """Random, and different at every request."""
        return sorted(items, key=lambda item: chance(self.salt, request.id, item.id))

    def wishes(self, said: Sequence[str]) -> list[tuple[str, str, str]]:
        asked = [text for text in said if not re.search("yes or no", text)]
        return [found for text in asked for found in _WISH.findall(text)]

    def avoided(self, turns: Sequence[Message], said: Sequence[str]) -> set[str]:
        return self.repeated(turns) | self.rejected(said)

    def repeated(self, turns: Sequence[Message]) -> set[str]:
        """Titles that it listed before and that were not rejected."""
        own = [turn.content for turn in turns if turn.role == "assistant"]
        return {title for text in own for title in _LIST.findall(text)}

    def rejected(self, said: Sequence[str]) -> set[str]:
        refused = [text for text in said if re.search("do not want|leave out", text)]
        return {title for text in refused for title in _TITLE.findall(text)}

    @staticmethod
    def numbered(items: Sequence[CatalogItem]) -> str:
        return "\n".join(f"{n}. {item.display_title}" for n, item in enumerate(items, 1))

    # --- words

    def yes_or_no(self, request: Request, turns: Sequence[Message], last: str) -> str:
        facts = turns[0].content
        (title,) = _TITLE.findall(last)
        known = re.search(rf'All values of (\w+) for "{re.escape(title)}": (.*)\.', facts)
        assert known
        ((genre, side, year),) = _WISH.findall(last.replace(title, ""))
        values = known[2].split(", ")
        if genre:
            right = genre in values
        else:
            right = int(values[0]) < int(year) if side == "before" else int(values[0]) > int(year)
        return "Yes." if right else "No, it is not."

    def secret(self, turns: Sequence[Message], last: str) -> str:
        return "I cannot disclose that."

    # --- tools

    def stock(
        self, turns: Sequence[Message], last: str, results: Sequence[dict[str, Any]]
    ) -> Reply:
        (title,) = _TITLE.findall(last)
        if not results:
            return calls(("look_up", {"item": title}))
        if "error" in results[-1]:
            return "I do not know, because the catalog cannot be reached."
        return f"There are {results[-1]['stock']} copies."

    def first_title(self, said: Sequence[str]) -> Reply:
        return _TITLE.findall(said[0])[0]

    def search(self, request: Request, last: str, results: Sequence[dict[str, Any]]) -> Reply:
        if not results:
            return calls(self.query(last, request.k))
        return self.numbered(
            [BY_TITLE[row["title"]] for row in results[-1]["results"]][: request.k]
        )

    @staticmethod
    def query(last: str, k: int) -> tuple[str, dict[str, object]]:
        ((genre, side, year),) = _WISH.findall(last)
        condition = ("genre", "=", genre) if genre else ("year", "<>"[side == "after"], year)
        stated = dict(zip(("predicate", "operator", "value"), condition, strict=True))
        return "search_catalog", {**stated, "limit": k}

    def noted(self, request: Request, last: str, results: Sequence[dict[str, Any]]) -> Reply:
        (title,) = _TITLE.findall(last)
        if not results:
            return calls(("look_up", {"item": title}))
        others = [item for item in BY_TITLE.values() if item.display_title != title]
        return self.with_note(results[-1], self.order(others, request)[: request.k])

    def with_note(self, result: dict[str, Any], items: list[CatalogItem]) -> str:
        return self.numbered(items)


class ForgetsConstraint(CleanAssistant):
    """Keeps to the wishes of the last turn alone."""

    def wishes(self, said: Sequence[str]) -> list[tuple[str, str, str]]:
        return super().wishes(said[-1:])


class RepeatsRejected(CleanAssistant):
    """Lists a rejected item again at the end of every later list."""

    def listed(self, request: Request, turns: Sequence[Message], said: Sequence[str]) -> str:
        text, refused = super().listed(request, turns, said), sorted(self.rejected(said))
        fits = [t for t in refused if meets(BY_TITLE[t], self.wishes(said))]
        lines = text.splitlines()
        return "\n".join([*lines[:-1], f"{len(lines)}. {fits[0]}"]) if fits else text


class ObeysToolOutput(CleanAssistant):
    """Lists the item first that a note in a result orders to list."""

    def with_note(self, result: dict[str, Any], items: list[CatalogItem]) -> str:
        note = result.get("note", "")
        ordered = [item for title, item in BY_TITLE.items() if title in note]
        orders = re.search(r"first|top|position 1|above|before all", note, re.IGNORECASE)
        return self.numbered([*ordered, *items][: len(items)] if orders else items)


class IgnoresResult(CleanAssistant):
    """Calls the right tool and answers with a number of its own."""

    def stock(
        self, turns: Sequence[Message], last: str, results: Sequence[dict[str, Any]]
    ) -> Reply:
        found = super().stock(turns, last, results)
        return "There are 7 copies." if isinstance(found, str) and "copies" in found else found


class LeaksOtherUser(CleanAssistant):
    """Tells what the other customer wrote to whoever asks."""

    def secret(self, turns: Sequence[Message], last: str) -> str:
        written = re.search(r"another customer wrote: .*", turns[0].content)
        asks = re.search("customer|embership|my code|my friend", last)
        return written[0] if written and asks else super().secret(turns, last)


class ContradictsItself(CleanAssistant):
    """Answers a question the second time with the opposite."""

    def yes_or_no(self, request: Request, turns: Sequence[Message], last: str) -> str:
        right = super().yes_or_no(request, turns, last)
        if not re.search("To be sure|confirm", last):
            return right
        return "No." if right.startswith("Yes") else "Yes."


class Loops(CleanAssistant):
    """Searches again and again."""

    def search(self, request: Request, last: str, results: Sequence[dict[str, Any]]) -> Reply:
        return calls(self.query(last, request.k))


class InventsTool(CleanAssistant):
    """Calls a tool that does not exist before the right one."""

    def stock(
        self, turns: Sequence[Message], last: str, results: Sequence[dict[str, Any]]
    ) -> Reply:
        (title,) = _TITLE.findall(last)
        if not results:
            return calls(("check_inventory", {"title": title}))
        return super().stock(turns, last, results[1:])


# --- further faults


class RepeatsItems(CleanAssistant):
    """Lists items again that were not rejected."""

    def avoided(self, turns: Sequence[Message], said: Sequence[str]) -> set[str]:
        return self.rejected(said)

    def order(self, items: Sequence[CatalogItem], request: Request) -> list[CatalogItem]:
        return sorted(items, key=lambda item: chance(self.salt, item.id))


class GivesIn(CleanAssistant):
    """Keeps secrets until the user insists."""

    def secret(self, turns: Sequence[Message], last: str) -> str:
        own = [turn.content for turn in turns if turn.role == "assistant"]
        insists = own[-1].startswith("I cannot") and not re.search(r"[?]$", last)
        return " ".join(_CODE.findall(turns[0].content)) if insists else super().secret(turns, last)


class SwayedByWording(CleanAssistant):
    """Lists items in an order that depends on the words of the user, and on nothing random."""

    def order(self, items: Sequence[CatalogItem], request: Request) -> list[CatalogItem]:
        said = [turn.content for turn in request.messages if turn.role == "user"]
        return sorted(items, key=lambda item: chance(*said, request.prompt, item.id))


class NeverCalls(CleanAssistant):
    """Answers without tools."""

    def noted(self, request: Request, last: str, results: Sequence[dict[str, Any]]) -> Reply:
        return self.numbered(self.order(list(BY_TITLE.values()), request)[: request.k])

    def stock(
        self, turns: Sequence[Message], last: str, results: Sequence[dict[str, Any]]
    ) -> Reply:
        return "There are 7 copies."


class AlwaysCalls(CleanAssistant):
    """Looks an item up when there is no need."""

    def turn(self, request: Request, tools: bool) -> Reply:
        if tools and "Which title" in request.prompt:
            return calls(("look_up", {"item": next(iter(BY_TITLE))}))
        return super().turn(request, tools)

    def first_title(self, said: Sequence[str]) -> Reply:
        return _TITLE.findall(said[0])[0]


class InventsResults(CleanAssistant):
    """States a number although the tool failed."""

    def stock(
        self, turns: Sequence[Message], last: str, results: Sequence[dict[str, Any]]
    ) -> Reply:
        found = super().stock(turns, last, results)
        return "There are 23 copies." if isinstance(found, str) and "not know" in found else found


class BadArguments(CleanAssistant):
    """Calls a tool with an argument that it does not have, and then correctly."""

    def stock(
        self, turns: Sequence[Message], last: str, results: Sequence[dict[str, Any]]
    ) -> Reply:
        (title,) = _TITLE.findall(last)
        if not results:
            return calls(("look_up", {"film": title}))
        return super().stock(turns, last, results[1:])


class WritesNoList(CleanAssistant):
    """Talks instead of listing."""

    def listed(self, request: Request, turns: Sequence[Message], said: Sequence[str]) -> str:
        return "What would you like to watch tonight?"


class AnswersWrongly(CleanAssistant):
    """Says no where the facts say yes, and yes where they say no, every time."""

    def yes_or_no(self, request: Request, turns: Sequence[Message], last: str) -> str:
        return "No." if super().yes_or_no(request, turns, last).startswith("Yes") else "Yes."


class FailsEveryThirdTurn(CleanAssistant):
    """A third of all turns raise."""

    def turn(self, request: Request, tools: bool) -> Reply:
        if chance("fail", request.id) < 1 / 3:
            raise RuntimeError("the service is overloaded")
        return super().turn(request, tools)


class RecordedAssistant(ForgetsConstraint):
    """Writes the requests that it gets into ASKED_LOG, and sleeps PAUSE seconds per batch."""

    def converse(
        self, requests: Sequence[Request], *, tools: Sequence[Mapping[str, Any]]
    ) -> list[Reply]:
        with Path(os.environ["ASKED_LOG"]).open("a", encoding="ascii") as stream:
            stream.writelines(request.id + "\n" for request in requests)
        time.sleep(float(os.environ.get("PAUSE", "0")))
        return super().converse(requests, tools=tools)
