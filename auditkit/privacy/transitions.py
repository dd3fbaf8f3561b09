"""Noisy item transitions, and synthetic histories sampled from them.

Two tables are counted once and get Gaussian noise in every cell: how often item j follows item i
within a few interactions, and how often each item follows any other item. Everything else is
computed from the noisy counts. All counts of one unit together have an L2 norm of 1, so noise of
standard deviation sigma is one step of the Gaussian mechanism (`auditkit.privacy.accounting` with a
sample rate of 1). For small recommenders, this release costs less utility than DP-SGD, which adds
noise to every weight in every step.

Source: Dwork & Roth 2014 (Gaussian mechanism, post-processing); McKenna et al. 2021 (data sampled
from noisy marginals); the lagged transitions are those of a first-order Markov chain with decay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument

__all__ = ["Lags", "NoisyTransitions", "TransitionCounts", "Unit", "transition_counts"]

Unit = Literal["target", "window", "user"]
_MOST_ITEMS = 10_000  # every cell gets noise, so the matrix is dense
_THRESHOLD = 4.0  # cells below this many standard deviations of the noise are set to 0
_DAMPING = 0.5  # exponent of a row's sum; 1 would give rare items the weight of popular ones
_POPULAR_SHARE = 1.0  # weight of the item frequencies in every step
_FREQUENCY_BUDGET = 0.1  # share of the squared norm that the item frequencies have
_AT_ONCE = 256  # histories that are sampled together


class Lags(NamedTuple):
    """Lags at which transitions are counted.

    The lags are 1 to `reach`; lag l has the weight decay^(l - 1).
    """

    reach: int = 10
    decay: float = 0.85

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the latest to the earliest preceding interaction, [reach]."""
        return np.array(self.decay ** np.arange(self.reach))


class TransitionCounts(NamedTuple):
    """Sums over units, in which each unit contributes values of a joint L2 norm of 1.

    Attributes:
        matrix: weighted number of transitions from row item to column item, [items, items].
        frequency: weighted number of times that each item follows another item, [items].
    """

    matrix: NDArray[np.float64]
    frequency: NDArray[np.float64]
    n_units: int


def transition_counts(
    histories: Sequence[NDArray[np.int32]],
    *,
    n_items: int,
    unit: Unit,
    lags: Lags,
    window: int = 10,
) -> TransitionCounts:
    """Count transitions without noise; the result is private.

    Args:
        histories: catalog row numbers of each user's items, oldest first.
        unit: `target` is one interaction with the interactions before it, `window` is a group of
            `window` consecutive interactions of a user (groups do not overlap), and `user` is all
            interactions of a user.

    Raises:
        InvalidArgument: more than 10,000 items, a window below 2, or invalid lags.
    """
    if n_items > _MOST_ITEMS or window < 2 or lags.reach < 1 or not 0 < lags.decay <= 1:
        raise InvalidArgument(
            f"transition_counts got n_items={n_items}, window={window}, lags={tuple(lags)}. Give "
            f"at most {_MOST_ITEMS:,} items, because every cell of items x items gets noise, a "
            "window of at least 2, at least 1 lag and a decay in (0, 1]."
        )
    matrix, frequency, n_units = np.zeros((n_items, n_items)), np.zeros(n_items), 0
    for before, after, weight in _units(histories, unit, lags, window):
        cells = before * np.int64(n_items) + after
        _add(matrix.ravel(), cells, weight, (1 - _FREQUENCY_BUDGET) ** 0.5)
        _add(frequency, after, weight, _FREQUENCY_BUDGET**0.5)
        n_units += 1
    return TransitionCounts(matrix, frequency, n_units)


def _add(
    total: NDArray[np.float64],
    places: NDArray[np.int64],
    weight: NDArray[np.float64],
    norm: float,
) -> None:
    """Add the weights of one unit to `total`, summed by place and scaled to an L2 norm of
    `norm`.
    """
    distinct, position = np.unique(places, return_inverse=True)
    summed = np.bincount(position, weights=weight)
    total[distinct] += summed * (norm / np.linalg.norm(summed))


_Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def _units(
    histories: Sequence[NDArray[np.int32]], unit: Unit, lags: Lags, window: int
) -> Iterator[_Pairs]:
    """Yield earlier item, later item and weight of all pairs, for each unit that has pairs."""
    for history in histories:
        size = window if unit == "window" else max(1, len(history))
        for begin in range(0, len(history), size):
            items = np.asarray(history[begin : begin + size], dtype=np.int64)
            places = np.arange(1, len(items))
            if not len(places):
                continue
            distance = np.arange(1, lags.reach + 1)
            source = places[:, None] - distance
            kept = source >= 0
            weight = np.broadcast_to(lags.weights, kept.shape)
            if unit != "target":
                target = np.broadcast_to(places[:, None], kept.shape)
                yield items[source[kept]], items[target[kept]], weight[kept]
                continue
            for row, place in enumerate(places):
                own = kept[row]
                earlier = items[source[row][own]]
                yield earlier, np.full(len(earlier), items[place]), weight[row][own]


@dataclass(frozen=True)
class NoisyTransitions:
    """Noisy transitions, from which histories can be sampled without further privacy cost.

    Attributes:
        weights: [items, items], at least 0; row i has the weights of the items that follow item i.
        frequency: [items], share of each item among all items that follow another; sums to 1.
    """

    weights: NDArray[np.float32]
    frequency: NDArray[np.float64]
    lags: Lags

    @classmethod
    def release(
        cls,
        counts: TransitionCounts,
        *,
        noise_multiplier: float,
        lags: Lags,
        rng: np.random.Generator,
    ) -> NoisyTransitions:
        """Add noise, set cells that are mostly noise to 0, and divide each row by a power of its
        sum.

        Args:
            counts: the private counts.
            noise_multiplier: standard deviation of the noise of every cell, above 0.
            lags: the lags with which the counts were made.
            rng: generator seeded from OS entropy, because a known seed would reveal the noise.
        """
        noisy = counts.matrix + rng.normal(0, noise_multiplier, counts.matrix.shape)
        kept = np.where(noisy > _THRESHOLD * noise_multiplier, noisy, 0.0)
        noisy_total = counts.frequency + rng.normal(0, noise_multiplier, counts.frequency.shape)
        # Items that are rarer than the noise are drawn rarely, not never.
        total = np.where(noisy_total > noise_multiplier, noisy_total, 1e-3)
        rows = np.maximum(kept.sum(axis=1, keepdims=True), 1e-9)
        weights = (kept / rows**_DAMPING).astype(np.float32)
        return cls(weights, total / total.sum(), lags)

    def scores(self, recent: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the weight of every item as the successor of recent items.

        Args:
            recent: catalog row numbers of the recent items, latest first, [B, up to `lags.reach`].

        Returns:
            Weights above 0, [B, items].
        """
        found = np.zeros((len(recent), len(self.frequency)))
        for place, weight in enumerate(self.lags.weights[: recent.shape[1]]):
            found += weight * self.weights[recent[:, place]]
        return found + _POPULAR_SHARE * self.frequency

    def sample(self, n: int, *, length: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Sample n synthetic histories without repeated items.

        Returns:
            Catalog row numbers of the items, oldest first, [n, length].

        Raises:
            InvalidArgument: a history would be longer than the catalog.
        """
        if not 1 <= length <= len(self.frequency) or n < 1:
            raise InvalidArgument(
                f"sample got n={n}, length={length}. Give at least 1 history, of 1 to "
                f"{len(self.frequency)} items."
            )
        parts = [
            self._sampled(min(_AT_ONCE, n - begin), length, rng) for begin in range(0, n, _AT_ONCE)
        ]
        return np.concatenate(parts)

    def _sampled(self, n: int, length: int, rng: np.random.Generator) -> NDArray[np.int32]:
        histories = np.zeros((n, length), dtype=np.int64)
        left = np.ones((n, len(self.frequency)), dtype=bool)
        for place in range(length):
            begin = max(0, place - self.lags.reach)
            chances = self.scores(histories[:, begin:place][:, ::-1]) * left
            bounds = chances.cumsum(axis=1)
            drawn = rng.random((n, 1)) * bounds[:, -1:]
            chosen = (bounds > drawn).argmax(axis=1)
            histories[:, place] = chosen
            left[np.arange(n), chosen] = False
        return histories.astype(np.int32)
