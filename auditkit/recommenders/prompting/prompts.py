"""Render a Request as a prompt: slots, phrases for the user, and references to items.

Some recommenders read items as tokens, others as titles. A rendered prompt is plain text in which
`<item_50>` refers to item 50. Text typed by a user is escaped first, so that a typed `<item_5>` or
`</s>` is encoded as characters and never as the token. Templates are data (`templates/*.yaml`),
which are copied into the folder of every trained model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from auditkit.domains.pack import DomainPack
from auditkit.errors import ConfigurationError
from auditkit.recommenders.prompting.json_lists import is_item_path
from auditkit.security.redaction import map_text
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.types import Item, Message, Request

__all__ = [
    "Example",
    "Prompts",
    "TaskPrompt",
    "as_text",
    "describe_user",
    "escape",
    "item_reference",
    "segments",
]

SLOTS = (
    "who", "k", "history", "candidates", "item", "title", "genres", "year", "genre", "rating",
    "liked", "disliked", "shared", "constraint", "anchor", "predicate", "values",
)  # fmt: skip
_INERT_OR_ITEM = re.compile(r"\\([\\<])|<item_([^\s<>\\]+)>")
_SLOT = re.compile(r"\{(\w+)\}")


def escape(text: str) -> str:
    """Escape text typed by a user: put a backslash before every `<` and every backslash."""
    return text.replace("\\", "\\\\").replace("<", "\\<")


def item_reference(item_id: str) -> str:
    """The reference to an item inside a prompt, such as `<item_50>`."""
    return f"<item_{item_id}>"


def segments(prompt: str) -> list[tuple[Literal["text", "item"], str]]:
    """Split a rendered prompt into typed text and item ids, in order, without empty text."""
    parts: list[tuple[Literal["text", "item"], str]] = []
    text = ""
    # Escapes are read from left to right: an item may directly follow a typed backslash.
    for position, piece in enumerate(_INERT_OR_ITEM.split(prompt)):
        if position % 3 != 2:
            text += piece or ""
        elif piece is not None:
            if text:
                parts.append(("text", text))
            parts.append(("item", piece))
            text = ""
    return [*parts, ("text", text)] if text else parts


def as_text(messages: Sequence[Message]) -> str:
    """Chat turns as one text, for a model without a chat template."""
    return "".join(f"{turn.role.capitalize()}: {turn.content}\n" for turn in messages)


def describe_user(attributes: Mapping[str, str]) -> str:
    """Return a noun phrase that states a user's attributes, except those with unknown values.

    Example:
        >>> describe_user({"gender": "female", "age": "under 25", "occupation": "student"})
        'a female student aged under 25'
        >>> describe_user({})
        'a user'
    """
    known = {name: value for name, value in attributes.items() if value and value != "unknown"}
    words = [known[name] for name in ("gender",) if name in known]
    words.append(known.get("occupation", "user"))
    if "age" in known:
        words += ["aged", known["age"]]
    words += [value for name, value in known.items() if name not in ("gender", "age", "occupation")]
    article = "an" if words[0][0].lower() in "aeiou" and not words[0].startswith("us") else "a"
    return " ".join([article, *words])


@dataclass(frozen=True)
class Example:
    """A few-shot example: a request and its expected response."""

    user: str
    assistant: str


@dataclass(frozen=True)
class TaskPrompt:
    """Templates of an additional task that a recommender was trained on.

    Attributes:
        ask: templates of the request; the first is the default, and training uses all of them.
        answer: template of the answer.
        options: all possible answers, if there are only a few.
    """

    ask: tuple[str, ...]
    answer: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The templates of one recommender.

    Args:
        history: whether items are written as `<item_..>` references or as titles.
        recommend: templates of the request for a list; the first is the default, and training uses
            all of them.
        describe: templates of the request to describe one item.
        description: template of the answer to `describe`.
        system: the system turn; empty for none.
        examples: few-shot examples, as earlier turns of the conversation.
        answer_after: words that precede the list, for models that reason first.
        item_path: path of the title or id of each item in a JSON answer, such as
            `result.picks[].sku`; empty to detect the path.
        tasks: additional tasks that the recommender was trained on, by name.
    """

    history: Literal["item_tokens", "titles"]
    recommend: tuple[str, ...]
    describe: tuple[str, ...]
    description: str
    system: str = ""
    examples: tuple[Example, ...] = ()
    answer_after: str = ""
    item_path: str = ""
    tasks: Mapping[str, TaskPrompt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.item_path and not is_item_path(self.item_path):
            raise ConfigurationError(
                f"item_path is {self.item_path!r}. Write names joined by periods, with [] after a "
                "list, such as result.picks[].sku."
            )
        trained = [part for task in self.tasks.values() for part in (*task.ask, task.answer)]
        for template in (*self.recommend, *self.describe, *trained):
            unknown = set(_SLOT.findall(template)) - set(SLOTS)
            if unknown:
                raise ConfigurationError(
                    f"prompt template {template!r} has the unknown slot {sorted(unknown)[0]!r}. "
                    f"Use one of {SLOTS}."
                )

    @classmethod
    def read(cls, path: Path) -> Prompts:
        """Read a template file.

        Raises:
            ConfigurationError: the file is not a template file, or a template has an unknown slot.
        """
        try:
            return cls.from_mapping(load_yaml(path).data)
        except (ValidationError, TypeError) as error:
            raise ConfigurationError(
                f"{path} is not a prompt file ({error}). See docs, how-to: recommender.yaml."
            ) from None

    @classmethod
    def shipped(
        cls, name: Literal["item_tokens", "titles", "title_lists"], pack: DomainPack
    ) -> Prompts:
        """Read a template file that ships with auditkit, filled with the words of a domain.

        Raises:
            ConfigurationError: a template of the pack has an unknown key or slot.
        """
        text = (files("auditkit.recommenders.prompting") / "templates" / f"{name}.yaml").read_text(
            encoding="utf-8"
        )
        fields = {**yaml.safe_load(text), **pack.templates.get(name, {})}
        return cls.from_mapping(map_text(fields, pack.filled))

    @classmethod
    def from_mapping(cls, fields: Mapping[str, object]) -> Prompts:
        """Build the templates from the content of a template file.

        Raises:
            ConfigurationError: `fields` has an unknown key, or a template an unknown slot.
            ValidationError: a key is missing, or a value has a wrong type.
        """
        if not isinstance(fields, Mapping):
            raise TypeError("not a mapping")
        unknown = set(fields) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigurationError(
                f"a prompt file has the unknown key {sorted(unknown)[0]!r}. "
                f"Known: {', '.join(cls.__dataclass_fields__)}."
            )
        return TypeAdapter(cls).validate_python(fields)

    def as_mapping(self) -> dict[str, object]:
        """Return the mapping that `from_mapping` reads."""
        return {
            "history": self.history,
            "recommend": list(self.recommend),
            "describe": list(self.describe),
            "description": self.description,
            **({"system": self.system} if self.system else {}),
            **(
                {"examples": [asdict(example) for example in self.examples]}
                if self.examples
                else {}
            ),
            **({"answer_after": self.answer_after} if self.answer_after else {}),
            **({"item_path": self.item_path} if self.item_path else {}),
            **(
                {"tasks": {name: _plain(task) for name, task in self.tasks.items()}}
                if self.tasks
                else {}
            ),
        }

    def opening(self) -> tuple[Message, ...]:
        """The first turns of every conversation: the system turn, then the examples."""
        system = (Message("system", self.system),) if self.system else ()
        shown = (
            turn
            for example in self.examples
            for turn in (
                Message("user", example.user),
                Message("assistant", example.assistant),
            )
        )
        return (*system, *shown)

    def render(self, request: Request) -> str:
        """Render a request for a list; `request.instruction` replaces the default wording.

        Slots are filled in one pass, so braces in titles or attributes are never read as slots.
        """
        return self._fill(
            request.instruction or self.recommend[0],
            who=self._typed(request.who or describe_user(request.attributes)),
            k=str(request.k),
            anchor=self._item(request.history[-1]) if request.history else "",
            history=self._items(request.history),
            candidates=self._items(request.candidates or ()),
        )

    def render_description(self, item: Item, *, wording: int = 0) -> str:
        """Render the prompt that asks for one item's genres and year."""
        return self._fill(self.describe[wording % len(self.describe)], item=self._item(item))

    def ask(self, task: str, *, wording: int = 0, **slots: str | Item | Sequence[Item]) -> str:
        """Render the prompt of a task. `wording` is the index of its template; `slots` fill the
        template with texts, items or sequences of items.
        """
        wordings = self.tasks[task].ask
        return self._fill(wordings[wording % len(wordings)], **self._written(slots))

    def answer(self, task: str, **slots: str | Item | Sequence[Item]) -> str:
        """Render the answer to a task; `slots` fill the template as in `ask`."""
        return self._fill(self.tasks[task].answer, **self._written(slots))

    def _written(self, slots: Mapping[str, str | Item | Sequence[Item]]) -> dict[str, str]:
        return {
            name: self._typed(value)
            if isinstance(value, str)
            else self._item(value)
            if isinstance(value, Item)
            else self._items(value)
            for name, value in slots.items()
        }

    def _fill(self, template: str, **slots: str) -> str:
        pieces = _SLOT.split(template)
        return "".join(
            (slots.get(piece, "{" + piece + "}") if position % 2 else self._typed(piece))
            for position, piece in enumerate(pieces)
        )

    def _typed(self, text: str) -> str:
        return escape(text) if self.history == "item_tokens" else text

    def _item(self, item: Item) -> str:
        return item_reference(item.id) if self.history == "item_tokens" else item.title

    def _items(self, items: Sequence[Item]) -> str:
        if self.history == "item_tokens":
            return "".join(item_reference(item.id) for item in items)
        return "\n".join(f"- {item.title}" for item in items) or "(nothing yet)"


def _plain(task: TaskPrompt) -> dict[str, object]:
    """The mapping of a task, without empty fields."""
    return {
        "ask": list(task.ask),
        "answer": task.answer,
        **({"options": list(task.options)} if task.options else {}),
    }
