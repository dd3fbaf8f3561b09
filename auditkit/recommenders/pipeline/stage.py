"""One stage of a pipeline: a recommender, its prompt templates, and how it sees the candidates.

A recommender that scores items (a local language model, a dual encoder, a matrix, a baseline) gets
the candidates as `Request.candidates` and ranks them. A recommender that writes a list (a served
model, a Python function) also gets their titles in the prompt, in the order of the previous stage.
The candidates of a request are known only when it is answered, so a rendered prompt keeps the slot
`{candidates}` until then; the id of a request does not depend on what a stage returns. The first
stage may write a search query instead, which is the prompt of the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from auditkit.domains.pack import DomainPack
from auditkit.domains.shipped import wording
from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.text_retriever import TextRetriever
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.protocols import Embeds, Recommends, Renders, Sized
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.types import Item, Request

__all__ = [
    "SLOT", "Stage", "build_stage", "titles_shown", "with_candidates_shown",
    "writes_lists",
]  # fmt: skip

SLOT = "{candidates}"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a pipeline.

    Attributes:
        name: name of the stage. recommender: answers its requests.
        n: number of candidates that are passed on; None for the last stage.
        prompts: templates of the stage; the first template of `recommend` is used.
        shows: whether the candidates of the previous stage are written into the prompt.
        choose: words between the prompt and the candidates if the template has no slot for them.
        writes: `list` if the stage returns items, `query` if it writes the search query of the next
            stage.
    """

    name: str
    recommender: Recommends
    n: int | None
    prompts: Prompts
    shows: bool
    choose: str
    writes: Literal["list", "query"] = "list"

    @property
    def reads(self) -> bool:
        """Whether the recommender reads the prompt text."""
        return bool(getattr(self.recommender, "reads_prompt", True))

    def render(self, request: Request) -> str:
        """The prompt of a request, with an open slot for the candidates if the stage shows them."""
        if isinstance(self.recommender, Renders) and self.writes == "list":
            return self.recommender.render(request)
        if not self.shows:
            return self.prompts.render(request)
        template = request.instruction or self.prompts.recommend[0]
        if SLOT not in template:
            template += self.choose + SLOT
        history = tuple(Item(item.id, _without_slot(item.title)) for item in request.history)
        open_slot = (Item("", SLOT),)  # rendered as the one line of the list
        return self.prompts.render(
            replace(request, instruction=template, history=history, candidates=open_slot)
        )


def build_stage(
    name: str,
    recommender: Recommends,
    *,
    n: int | None,
    first: bool,
    prompt: Path | None,
    pack: DomainPack,
    writes: Literal["list", "query"] = "list",
) -> Stage:
    """Build a stage with the templates of its recommender, of a file, or of auditkit.

    Args:
        first: whether the stage chooses from all items.
        prompt: a template file; missing keys are taken from the shipped templates.
        pack: the domain pack, whose words fill the shipped templates.
        writes: `list` if the stage returns items, `query` if it writes the search query of the next
            stage.

    Raises:
        ConfigurationError: the file is not a template file, has no slot for the candidates, or
            belongs to a recommender with templates of its own.
    """
    own = recommender.prompts if isinstance(recommender, Renders) else None
    shows = not first and writes_lists(recommender)
    if own is not None and prompt is not None and writes == "list":
        raise ConfigurationError(
            f"stage {name!r} names {prompt}, but its recommender has its own templates. Change "
            "the templates in the folder of the recommender, and remove `prompt`."
        )
    prompts = own or Prompts.shipped("titles", pack)
    if writes == "query":
        prompts = replace(prompts, recommend=(wording(pack, "search_query"),))
    if prompt is not None:
        prompts = _read(prompt, prompts)
        if shows and SLOT not in prompts.recommend[0]:
            raise ConfigurationError(
                f"{prompt}: the first template of `recommend` has no slot {SLOT}, so stage "
                f"{name!r} would not see the candidates. Add the slot where their titles belong."
            )
    elif shows and own is None and "choose" in prompts.tasks:  # a domain pack may lack it
        choose = prompts.tasks["choose"].ask[0]
        prompts = replace(prompts, recommend=(choose, *prompts.recommend))
    return Stage(
        name=name,
        recommender=recommender,
        n=n,
        prompts=prompts,
        shows=shows and own is None,
        choose=wording(pack, "choose_from"),
        writes=writes,
    )


def with_candidates_shown(request: Request, choose: str) -> Request:
    """Write the titles of the candidates into the open slot of the prompt or of an earlier turn.
    Without a slot, `choose` and the titles follow the prompt.
    """
    listed = "\n- ".join(item.title for item in request.candidates or ())
    prompt, messages = request.prompt, request.messages
    if SLOT not in prompt and not any(SLOT in turn.content for turn in messages):
        prompt += f"{choose}- {SLOT}"
    turns = tuple(replace(turn, content=turn.content.replace(SLOT, listed)) for turn in messages)
    return replace(request, prompt=prompt.replace(SLOT, listed), messages=turns)


def writes_lists(recommender: object) -> bool:
    """Whether a recommender writes a list instead of scoring the candidates of a request."""
    scores = isinstance(recommender, Sized | Embeds | TextRetriever)
    return not scores and bool(getattr(recommender, "reads_prompt", True))


def _read(path: Path, base: Prompts) -> Prompts:
    """Read the templates of a file, with missing keys from `base`. Raises: ConfigurationError: the
    file is not a template file, or has an unknown key or slot.
    """
    stated = load_yaml(path).data
    if not isinstance(stated, dict):
        raise ConfigurationError(
            f"{path} is not a prompt file. Write keys such as `recommend`; see docs, how-to: "
            "change the prompts."
        )
    try:
        return Prompts.from_mapping({**base.as_mapping(), **stated})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"{path}: {place}: {first['msg']}. Correct the entry; see docs, how-to: change the "
            "prompts."
        ) from None


def _without_slot(title: str) -> str:
    """Remove the braces of a slot in a title, so that the title is not filled as a slot."""
    return title.replace(SLOT, SLOT.strip("{}"))


def titles_shown(stages: Sequence[Stage]) -> int:
    """Number of candidates that a stage shows in its prompt; 0 if no stage shows candidates."""
    shown = [
        min(before.n or 0 for before in stages[:i] if before.writes == "list")
        for i, stage in enumerate(stages)
        if i and stage.shows
    ]
    return shown[-1] if shown else 0
