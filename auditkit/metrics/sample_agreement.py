"""Agreement of sampled lists: a confidence for items of a recommender without log-probabilities.

The same request is answered several times at a temperature above 0. An item that the recommender
knows occurs in most samples, whereas an invented item changes from sample to sample. Source:
self-consistency (Wang et al. 2023), a majority vote over sampled answers; SelfCheckGPT (Manakul et
al. 2023), inconsistency of samples as a sign of invented facts. Deviation: both papers compare
texts; we compare sets of item ids, because a list either contains an item or does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.errors import InvalidArgument

__all__ = ["agreement", "majority"]


def agreement(listed: Sequence[str], samples: Sequence[Sequence[str]]) -> list[float]:
    """Share of the samples that contain each item of a list.

    Args:
        listed: item ids of the list.
        samples: item ids of each sample, at least one sample; order and repeats do not matter.

    Returns:
        One fraction in [0, 1] per item, in the order of `listed`; 1 if all samples contain it.

    Raises:
        InvalidArgument: there is no sample.
    """
    if not samples:
        raise InvalidArgument("agreement got no samples. Count a list without samples as missing.")
    sets = [set(sample) for sample in samples]
    return [sum(item in sample for sample in sets) / len(sets) for item in listed]


def majority(
    samples: Sequence[Sequence[str]], *, k: int, share: float = 0.5
) -> list[tuple[str, float]]:
    """Items that at least a given share of the samples contains, by decreasing share.

    Args:
        samples: item ids of each sample, best first, at least one sample.
        k: largest number of items to return, at least 1.
        share: smallest share of the samples, in (0, 1].

    Returns:
        Pairs of item id and share in [share, 1], at most k. Items of equal share are ordered by
        their mean position in the samples that contain them, then by id, so the order of the
        samples does not matter.

    Raises:
        InvalidArgument: there is no sample, k < 1, or the share is outside (0, 1].
    """
    if not samples or k < 1 or not 0 < share <= 1:
        raise InvalidArgument(
            f"majority got {len(samples)} samples, k={k} and share={share}. Give at least one "
            "sample, k of at least 1, and a share above 0 and at most 1."
        )
    places: dict[str, list[int]] = {}
    for sample in samples:
        for place, item in enumerate(dict.fromkeys(sample)):
            places.setdefault(item, []).append(place)
    kept = [
        (-len(found) / len(samples), sum(found) / len(found), item)
        for item, found in places.items()
        if len(found) >= share * len(samples) - 1e-9
    ]
    return [(item, -negative) for negative, _, item in sorted(kept)[:k]]
