"""Conversation: does an assistant respect what the user said, stay consistent and keep secrets?

Every user gets a conversation made by a walk on the catalog graph (`walk_scenarios`), with two
constraints, a rejection, and a question that is asked twice. Its first turns are also repeated and
paraphrased. A further conversation asks for secrets. Scenarios and recorded dialogues of the recipe
are held once each and reported as separate groups. All checks use the same conversations, so each
turn is sent only once. Whether an answer is right follows from the catalog and from earlier turns,
without a judge model. See docs/how-to/audit-a-conversation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from auditkit.catalog.catalog import Catalog
from auditkit.conversations.dialogue import Dialogue, hold
from auditkit.conversations.recorded import (
    RecordedDialogue,
    read_recorded,
    with_known_items,
)
from auditkit.conversations.scenario import Scenario
from auditkit.conversations.scenario_file import read_scenarios, require_known
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable, User
from auditkit.probes.conversation.answer_checks import (
    contradictions,
    disclosures,
    late_disclosures,
    wrong_answers,
)
from auditkit.probes.conversation.dialogue_texts import opening_of
from auditkit.probes.conversation.list_checks import (
    WHEN,
    broken_constraints,
    missing_lists,
    rejected_items,
    repeated_items,
)
from auditkit.probes.conversation.paraphrases import Triple, paraphrase_shift
from auditkit.probes.conversation.requirements import left_out, require_chat
from auditkit.probes.conversation.rows import Row, rate_of_rows
from auditkit.probes.conversation.secret_scenarios import SECRETS, secret_scenario
from auditkit.probes.conversation.walk_scenarios import N_PARAPHRASED, Walker
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Converses
from auditkit.types import Finding

__all__ = ["DialoguesProbe"]

_RECORDED_K = 10  # items that are read from an answer to a recorded turn
_SECRET_TURNS = 5


@dataclass(frozen=True, kw_only=True)
class DialoguesProbe:
    """Rates of repeated and rejected items, broken constraints, contradictions and disclosures.

    Attributes:
        n_users: number of users, with four conversations each; 0 to use only the files.
        k: number of items in every list, 1 to 20.
        scenarios_file: YAML file of scenarios; empty for none.
        recorded_file: JSON Lines file of recorded dialogues, whose user turns are sent again; empty
            for none.
    """

    n_users: int = 30
    k: int = 3
    scenarios_file: str = ""
    recorded_file: str = ""
    needs: ClassVar[tuple[type, ...]] = (Converses,)

    def __post_init__(self) -> None:
        files = bool(self.scenarios_file or self.recorded_file)
        if not 1 <= self.k <= 20 or self.n_users < (0 if files else 1):
            raise InvalidArgument(
                f"conversation.dialogues got n_users={self.n_users}, k={self.k}. Give lists of 1 "
                "to 20 items, and at least 1 user or a file of conversations."
            )
        self._stated()  # a file with errors is refused when the recipe is read
        self._recorded()

    def most_requests(self, n_users: int) -> int:
        """Return an upper bound on the number of distinct requests: all turns of all
        conversations.
        """
        stated = sum(len(one.turns) for one in self._stated())
        stated += sum(len(one.turns) for one in self._recorded())
        return min(self.n_users, n_users) * (6 + 2 * N_PARAPHRASED + _SECRET_TURNS) + stated

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Hold all conversations, then check them."""
        require_chat(target)
        catalog = target.catalog
        stated = self._stated()
        require_known(stated, catalog)
        recorded = with_known_items(self._recorded(), catalog, k=_RECORDED_K)
        users = context.sample_users(self.n_users) if self.n_users else []
        triples = self._walks(target, context, users)
        if users and not triples:
            raise NotAssessable(
                "the catalog has no facts that the domain pack can phrase as constraints, or no "
                f"two constraints are met by at least {4 * self.k} items together"
            )
        secrets = self._secrets(target, context, users)
        files = {
            name: [self._once(target, scenario) for scenario in listed]
            for name, listed in (("scenarios", stated), ("recorded", recorded))
        }
        walked = [conversation for one in triples for conversation in one]
        hold(target, [*walked, *secrets, *files["scenarios"], *files["recorded"]])
        if users:
            notes = left_out(len(users) - len(triples), len(users))
            held = [*(one.original for one in triples), *secrets]
            for metric, group, rows in _checks(held, catalog):
                yield rate_of_rows(context, metric, rows, group=group or "all", notes=notes)
            yield paraphrase_shift(context, triples, notes=notes)
        for name, held in files.items():
            for metric, group, rows in _checks(held, catalog):
                if rows and (name, metric) != ("recorded", "no_list_rate"):
                    place = "&".join(filter(None, (f"source={name}", group)))
                    yield rate_of_rows(context, metric, rows, group=place)

    def _stated(self) -> tuple[Scenario, ...]:
        return read_scenarios(Path(self.scenarios_file)) if self.scenarios_file else ()

    def _recorded(self) -> tuple[RecordedDialogue, ...]:
        return read_recorded(Path(self.recorded_file)) if self.recorded_file else ()

    def _walks(self, target: Target, context: Context, users: Sequence[User]) -> list[Triple]:
        """Hold the three conversations of every user for whom there is a walk."""
        walker = Walker(target.catalog, target.pack, k=self.k)
        found = []
        for user in users:
            walk = walker.walk(user.history, context.rng("walk", user.id))
            if walk is None:
                continue
            original, other = (
                walker.scenario(walk, user.history, wording=wording) for wording in (0, 1)
            )
            first = original.model_copy(update={"turns": original.turns[:N_PARAPHRASED]})
            other = other.model_copy(update={"turns": other.turns[:N_PARAPHRASED]})
            one = Dialogue(user.id, original, opening_of(target, original), history=user.history)
            again = replace(one, scenario=first, repeat=1, held=[])
            found.append(Triple(one, again, replace(one, scenario=other, held=[])))
        return found

    def _secrets(self, target: Target, context: Context, users: Sequence[User]) -> list[Dialogue]:
        """Hold one conversation per user, with text of the next user in the system turn."""
        found = []
        for number, user in enumerate(users):
            scenario = secret_scenario(
                target.pack, number=number, other=users[(number + 1) % len(users)].history,
                k=self.k, rng=context.rng("secrets", user.id),
            )  # fmt: skip
            opening = opening_of(target, scenario)
            found.append(Dialogue(user.id, scenario, opening, history=user.history))
        return found

    def _once(self, target: Target, scenario: Scenario) -> Dialogue:
        """Hold a conversation from a file; it is its own sampling unit."""
        return Dialogue(f"scenario:{scenario.id}", scenario, opening_of(target, scenario))


def _checks(held: Sequence[Dialogue], catalog: Catalog) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield metric, group and rows of every check."""
    yield "no_list_rate", "", [*missing_lists(held)]
    yield "repeated_rate", "", [*repeated_items(held)]
    yield "rejected_rate", "", [*rejected_items(held)]
    for when in WHEN:
        rows = [*broken_constraints(held, catalog, when=when)]
        yield "constraint_broken_rate", f"when={when}", rows
    yield "contradiction_rate", "", [*contradictions(held)]
    yield "wrong_answer_rate", "", [*wrong_answers(held)]
    for secret in SECRETS:
        yield "leak_rate", f"context={secret}", [*disclosures(held, secret)]
    yield "late_disclosure_rate", "", [*late_disclosures(held)]
