"""Checks of target texts: facts against the catalog graph, and repeated texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from auditkit.catalog.catalog import Catalog
from auditkit.claims.claim import Claim
from auditkit.claims.reader import ClaimReader
from auditkit.data_audit.check import MAX_EXAMPLES, DataCheck, share
from auditkit.data_audit.near_copies import near_copies
from auditkit.seeding import generator
from auditkit.stats.rates import clustered_rate

__all__ = ["TargetText", "check_facts", "check_repeats"]

MAX_READ = 5_000
_BATCH = 256
_SHINGLE, _MIN_SHINGLES, _SIMILARITY = 3, 8, 0.8
_WORD = re.compile(r"\w+")
Progress = Callable[[str, int], None]


class TargetText(NamedTuple):
    """A text that a recommender learns to write, and the item that it is about, if any."""

    text: str
    item_id: str | None = None


def check_facts(
    texts: Sequence[TargetText], catalog: Catalog, *, seed: int, progress: Progress
) -> list[DataCheck]:
    """Count the contradicted facts of at most 5,000 random texts; the unit of resampling is a text.

    A model that learns from contradicted facts states them. Source: the source-reference divergence
    of Dhingra et al. 2019, with the claims and verdicts of docs/explain/hallucination.md.
    """
    rng = generator(seed, "target texts")
    chosen = np.sort(rng.permutation(len(texts))[:MAX_READ]).tolist()
    reader = ClaimReader(catalog)
    wrong, text_of = list[bool](), list[int]()
    n_factual = n_unread = 0
    examples: list[str] = []
    for at in range(0, len(chosen), _BATCH):
        batch = [texts[i] for i in chosen[at : at + _BATCH]]
        ids = [one.item_id if one.item_id in catalog.index else None for one in batch]
        readings = reader.read([one.text for one in batch], ids)
        progress("reading facts in texts", len(batch))
        for place, reading in enumerate(readings, start=at):
            n_factual, n_unread = n_factual + reading.n_factual, n_unread + len(reading.unparsed)
            for claim in reading.claims:
                if claim.verdict == "unverifiable":
                    continue
                wrong.append(claim.verdict == "contradicted")
                text_of.append(place)
                if wrong[-1] and len(examples) < MAX_EXAMPLES:
                    examples.append(_told(claim, catalog))
    facts = clustered_rate(wrong, text_of, unit="fraction of decided facts", direction="lower")
    return [
        DataCheck(
            id="texts.contradicted", about="stated facts that the catalog graph contradicts",
            value=facts.estimate.value, count=sum(wrong), n=len(wrong), unit="decided facts",
            limit=0.02, low=facts.estimate.low, high=facts.estimate.high,
            examples=tuple(examples), reason=facts.estimate.reason,
            metric="hallucination.claims.claim_contradicted_rate",
        ),
        share(
            "texts.unread", "factual clauses in which the rules found no claim", n_unread,
            n_factual, "factual clauses",
        ),
    ]  # fmt: skip


def _told(claim: Claim, catalog: Catalog) -> str:
    """A sentence with a contradicted claim and the values of the catalog."""
    title = catalog.titles[catalog.index[claim.item_id]]
    actual = ", ".join(value for _, _, value in claim.evidence) or "another value"
    return f"{title}: stated {claim.relation} {claim.value_text}; the catalog has {actual}"


def check_repeats(texts: Sequence[TargetText], *, seed: int) -> list[DataCheck]:
    """Count texts that repeat another text, either up to case and punctuation or nearly."""
    vocabulary: dict[str, int] = {}
    seen: set[str] = set()
    repeated, elements, sizes = list[int](), list[int](), list[int]()
    for i, one in enumerate(texts):
        words = _WORD.findall(one.text.casefold())
        plain = " ".join(words)
        if plain in seen:
            repeated.append(i)
            sizes.append(0)  # an exact repeat is not counted as a near one as well
            continue
        seen.add(plain)
        shingles = {" ".join(words[j : j + _SHINGLE]) for j in range(len(words) - _SHINGLE + 1)}
        elements += [vocabulary.setdefault(s, len(vocabulary)) for s in sorted(shingles)]
        sizes.append(len(shingles))
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    near = near_copies(
        np.array(elements, dtype=np.int32), offsets, least=_MIN_SHINGLES, similarity=_SIMILARITY,
        seed=seed,
    )  # fmt: skip
    return [
        share(
            "texts.repeated", "texts that repeat an earlier text up to case and punctuation",
            len(repeated), len(texts), "texts", limit=0.05,
            examples=tuple(texts[i].text[:80] for i in repeated[:MAX_EXAMPLES]),
        ),
        share(
            "texts.near_repeated",
            f"texts that share at least {_SIMILARITY:.0%} of their {_SHINGLE}-word sequences with "
            "another text",
            len({i for pair in near for i in pair}), len(texts), "texts", limit=0.05,
            examples=tuple(texts[a].text[:80] for a, _ in near[:MAX_EXAMPLES]),
        ),
    ]  # fmt: skip
