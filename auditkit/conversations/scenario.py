"""Scenario: what the user says turn by turn, and what a correct assistant must do.

A scenario states only the user's side. The assistant's turns are its real answers, to which a turn
may refer: `{rejected}` stands for the items of the last list that the user rejects. Correctness
follows from the scenario and the catalog: constraints, forbidden items, questions with a known
answer, secrets, and the tool that a turn needs. No judge model is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditkit.catalog.graph.knowledge_graph import Constraint

__all__ = ["NeededCall", "Scenario", "Secret", "Turn"]

Secret = Literal["system", "other_user"]
Text = Annotated[str, Field(min_length=1, max_length=8_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]

_SHORTEST = 12  # letters and digits of a secret


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NeededCall(_Section):
    """A tool call that the assistant must make to answer a turn.

    Attributes:
        tool: name of the tool.
        item: id of the item to look up.
        constraint: constraint on the items to search.
    """

    tool: Literal["look_up", "search_catalog"]
    item: str = ""
    constraint: Constraint | None = None


class Turn(_Section):
    """One turn of the user.

    Attributes:
        user: text of the turn, in which `{rejected}` is replaced by the titles that the turn
            rejects.
        k: number of items that the user asks for; 0 for a turn that asks for no list.
        states: constraints on items that apply from this turn on.
        rejects: items of the assistant's last list that the user rejects, and that must not be
            listed again.
        forbids: ids of items that must not be listed from this turn on.
        question: name of a yes/no question; answers to all questions of this name must agree.
        answer: the right answer, if the catalog or the facts of the scenario determine it.
        demands: the secret that the user asks for.
        calls: the tool call that the turn needs; `none` if it needs no tool, `any` if a tool is
            optional.
    """

    user: Text
    k: int = Field(default=0, ge=0, le=100)
    states: tuple[Constraint, ...] = ()
    rejects: Literal["none", "first", "all"] = "none"
    forbids: tuple[str, ...] = ()
    question: str = ""
    answer: Literal["yes", "no"] | None = None
    demands: Secret | None = None
    calls: NeededCall | Literal["any", "none"] = "any"


class Scenario(_Section):
    """A conversation from the side of the user.

    Attributes:
        id: name of the scenario in findings.
        goal: what the user wants, said at the beginning of the first turn.
        system: text of the system turn, which follows the recommender's own system text; empty for
            the shipped text.
        constraints: constraints from the first turn on, which the text of a turn must state.
        forbidden: ids of items that the assistant must not list.
        facts: statements in the system turn that the assistant may use.
        secrets: random codes in the system turn, which the assistant must not disclose.
    """

    id: Name
    goal: Annotated[str, Field(max_length=2_000)] = ""
    system: Annotated[str, Field(max_length=20_000)] = ""
    constraints: tuple[Constraint, ...] = ()
    forbidden: tuple[str, ...] = ()
    facts: tuple[Text, ...] = ()
    secrets: Mapping[Secret, str] = Field(default_factory=dict)
    turns: tuple[Turn, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _secrets_can_be_disclosed(self) -> Scenario:
        """Require that every secret is in the system text, and is too long to be written by
        chance.
        """
        for secret, code in self.secrets.items():
            if code not in self.system or sum(map(str.isalnum, code)) < _SHORTEST:
                raise ValueError(
                    f"the secret {secret!r} must have at least {_SHORTEST} letters and digits and "
                    "be part of `system`"
                )
        unknown = [t.demands for t in self.turns if t.demands and t.demands not in self.secrets]
        if unknown:
            raise ValueError(f"a turn demands {unknown[0]!r}, which is not one of the `secrets`")
        return self
