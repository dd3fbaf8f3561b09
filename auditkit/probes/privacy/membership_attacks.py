"""Attack scores of users, from the audited model's log-probabilities and those of other models.

Source: Yeom et al. 2018 (loss); Carlini et al. 2021 (zlib, reference) and 2022 (LiRA); Shi et al.
2024 (Min-K%); Zhang et al. 2024 (Min-K%++); Zarifzadeh et al. 2024 (RMIA).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.metrics.privacy import lira, min_k, min_k_plus_plus, rmia, zlib_ratio
from auditkit.metrics.reference_attacks import Mode
from auditkit.probes.privacy.records import Record
from auditkit.probes.privacy.reference_models import ReferenceModel, mean_losses
from auditkit.recommenders.protocols import TokenMoments

__all__ = ["Attack", "AttackScores", "Evidence", "attack_scores"]

Attack = Literal[
    "loss", "zlib", "min_k", "min_k_pp", "reference",
    "lira_online", "lira_offline", "rmia_online", "rmia_offline",
]  # fmt: skip
Values = list[float | None]
_WORDS = {
    "loss": "loss attack: minus the mean negative log-likelihood of the user's history",
    "zlib": "zlib attack: minus the negative log-likelihood per byte of the compressed text",
    "min_k": "Min-K%: mean of the lowest fifth of the token log-probabilities",
    "min_k_pp": "Min-K%++: mean of the lowest fifth of the token log-probabilities, standardized "
    "by the next-token distribution",
    "reference": "reference attack: loss of reference models minus loss of the audited model",
    "lira_online": "LiRA: likelihood ratio of models trained with and without the user",
    "lira_offline": "LiRA: distance from models trained without the user",
    "rmia_online": "RMIA: share of other non-members that the user's likelihood ratio dominates",
    "rmia_offline": "RMIA: share of other non-members that the user's likelihood ratio dominates, "
    "with models trained without the user",
}
_MOST_POOLED = 64  # models, below which variances are pooled over users
_POPULATION = 3  # one in three held-out users is compared with and not tested


class AttackScores(NamedTuple):
    """Scores of members, then of non-members; a higher score means more likely a member.

    Attributes:
        scores: one score per user; None if missing.
        reason: why no user has a score; empty if some user has.
        excluded: number of non-members that the attack uses for calibration and does not test.
    """

    name: str
    scores: Sequence[float | None]
    words: str
    reason: str = ""
    excluded: int = 0

    @property
    def n_missing(self) -> int:
        """Number of users without a score, not counting excluded users."""
        return sum(score is None for score in self.scores) - self.excluded

    def sides(self, n_members: int) -> tuple[list[float], list[float]]:
        """Return the known scores of members and of non-members."""
        return (
            [one for one in self.scores[:n_members] if one is not None],
            [one for one in self.scores[n_members:] if one is not None],
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Inputs of the attacks; members come first.

    Attributes:
        records: prompt and scored text of every user.
        tokens: token log-probabilities of each text, nats; None if the model did not score it.
        recommender: the audited recommender, for attacks that need a local model.
        base: model with the weights before fine-tuning.
        references: models that were trained on other splits.
    """

    records: Sequence[Record]
    user_ids: Sequence[str]
    tokens: Sequence[list[float] | None]
    n_members: int
    recommender: object
    base: ReferenceModel | None
    references: Sequence[ReferenceModel]

    @cached_property
    def losses(self) -> Values:
        """Mean negative log-likelihood of every user, nats per token."""
        return [-float(np.mean(own)) if own else None for own in self.tokens]

    @cached_property
    def base_losses(self) -> Values:
        """Mean negative log-likelihood of every user under the base model, nats per token."""
        none: Values = [None] * len(self.records)
        return none if self.base is None else mean_losses(self.base, self.records)

    @cached_property
    def reference_losses(self) -> list[Values]:
        """Mean negative log-likelihood under each reference model, nats per token,
        [models][users].
        """
        return [mean_losses(model, self.records) for model in self.references]


def attack_scores(name: Attack, evidence: Evidence, *, rng: np.random.Generator) -> AttackScores:
    """Compute the scores of one attack, or return the reason why there are none.

    Args:
        name: name of the attack.
        evidence: inputs of the attacks.
        rng: generator that samples RMIA's population from the non-members.
    """
    words = _WORDS[name]
    if reason := _unavailable(name, evidence):
        return AttackScores(name, [None] * len(evidence.records), words, reason)
    if name.startswith("rmia"):
        scores, excluded = _rmia(evidence, _mode(name), rng)
        return AttackScores(name, scores, words, excluded=excluded)
    return AttackScores(name, _of_each(name, evidence), words)


def _unavailable(name: Attack, evidence: Evidence) -> str:
    if name == "min_k_pp" and not isinstance(evidence.recommender, TokenMoments):
        return (
            "not_assessable: Min-K%++ needs the whole next-token distribution, which only a local "
            "model folder provides"
        )
    if name == "reference" and evidence.base is None and not evidence.references:
        return (
            "not_assessable: this attack needs base_model or reference_models, but the recipe "
            "names none"
        )
    if name.startswith(("lira", "rmia")) and not evidence.references:
        return "not_assessable: this attack needs reference_models, but the recipe names none"
    return ""


def _of_each(name: Attack, evidence: Evidence) -> Values:
    if name == "min_k_pp":
        return _min_k_pp(evidence)
    if name == "reference":
        return _reference(evidence)
    if name.startswith("lira"):
        return _lira(evidence, _mode(name))
    scores: Values = []
    for record, tokens in zip(evidence.records, evidence.tokens, strict=True):
        if not tokens:
            scores.append(None)
        elif name == "loss":
            scores.append(float(np.mean(tokens)))
        elif name == "zlib":
            ratio = zlib_ratio(tokens, record.continuation)
            scores.append(None if ratio is None else -ratio)
        else:
            scores.append(min_k(tokens))
    return scores


def _min_k_pp(evidence: Evidence) -> Values:
    kept = [i for i, tokens in enumerate(evidence.tokens) if tokens]
    scores: Values = [None] * len(evidence.tokens)
    if isinstance(evidence.recommender, TokenMoments):
        moments = evidence.recommender.token_moments(
            [evidence.records[i].request.prompt for i in kept],
            [evidence.records[i].continuation for i in kept],
        )
        for i, (mean, std) in zip(kept, moments, strict=True):
            scores[i] = min_k_plus_plus(evidence.tokens[i] or [], mean, std)
    return scores


def _reference(evidence: Evidence) -> Values:
    """Return the loss of the base model, or mean loss of the reference models, minus the audited
    loss.
    """
    columns = [evidence.base_losses] if evidence.base else evidence.reference_losses
    scores: Values = []
    for own, others in zip(evidence.losses, zip(*columns, strict=True), strict=True):
        known = [one for one in others if one is not None]
        complete = own is not None and len(known) == len(others)
        scores.append(float(np.mean(known)) - own if complete and own is not None else None)
    return scores


class _Table(NamedTuple):
    """Users for whom all losses are known.

    The fields are positions [n], losses [n], losses of the reference models [n, models], and
    whether each reference model was trained on the user [n, models].
    """

    rows: list[int]
    losses: NDArray[np.float64]
    others: NDArray[np.float64]
    inside: NDArray[np.bool_]


def _table(evidence: Evidence, wanted: Sequence[int]) -> _Table:
    columns = evidence.reference_losses
    rows = [
        i
        for i in wanted
        if evidence.losses[i] is not None and all(column[i] is not None for column in columns)
    ]
    inside = np.array([model.trained_on(evidence.user_ids) for model in evidence.references]).T
    return _Table(
        rows,
        np.array([evidence.losses[i] for i in rows], dtype=np.float64),
        np.array([[column[i] for column in columns] for i in rows], dtype=np.float64).reshape(
            len(rows), len(columns)
        ),
        inside[rows],
    )


def _lira(evidence: Evidence, mode: Mode) -> Values:
    table = _table(evidence, range(len(evidence.records)))
    variance: Literal["row", "pooled"] = (
        "pooled" if len(evidence.references) < _MOST_POOLED else "row"
    )
    found = lira(table.losses, table.others, table.inside, mode=mode, variance=variance)
    return _placed(found, table.rows, len(evidence.records))


def _rmia(evidence: Evidence, mode: Mode, rng: np.random.Generator) -> tuple[Values, int]:
    """Compute RMIA scores; return also the number of held-out users that form the population."""
    n, n_members = len(evidence.records), evidence.n_members
    held_out = n_members + rng.permutation(n - n_members)
    population = sorted(int(i) for i in held_out[: len(held_out) // _POPULATION])
    table = _table(evidence, [i for i in range(n) if i not in set(population)])
    z = _table(evidence, population)
    found = rmia(
        table.losses, table.others, table.inside,
        population_losses=z.losses, population_reference_losses=z.others,
        population_is_member=z.inside, mode=mode,
    )  # fmt: skip
    return _placed(found, table.rows, n), len(population)


def _mode(name: str) -> Mode:
    return "online" if name.endswith("online") else "offline"


def _placed(found: Sequence[float | None], rows: Sequence[int], n: int) -> Values:
    scores: Values = [None] * n
    for row, score in zip(rows, found, strict=True):
        scores[row] = score
    return scores
