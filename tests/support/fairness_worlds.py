"""Recommenders whose fairness is known: Plackett-Luce lists over 150 items.

A probe has utilities u = c e^{.35 z} N(0, 1) (z per probe; c = 3.6 for high, 1.9 for low agreement
of a list with its repetition), and a list is the top 20 of u plus Gumbel noise. A world changes the
utilities of some values; one value that is noisier by .8, 1.2 or 2.0 has a true SNSR of .025, .051
or .109 (60,000 probes). Source: fairness recipe, 8.1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ITEMS, K = 150, 20
HIGH, LOW = 3.6, 1.9


class Answers(NamedTuple):
    """Lists [probes, arms, 20] of item numbers, best first."""

    neutral: np.ndarray
    stated: np.ndarray
    placebo: np.ndarray


def effect(world, rng, n, n_values, delta):
    """What a world adds to the utilities, [n, values, items]."""
    added = np.zeros((n, n_values, ITEMS))
    sides = np.where(np.arange(ITEMS) % 2, -1.0, 1.0)
    if world == "noisier":
        added[:, 0] = delta * rng.standard_normal((n, ITEMS))
    elif world == "opposite":
        added += delta * sides * np.where(np.arange(n_values) % 2, -1.0, 1.0)[:, None]
    elif world == "uniform":
        added += delta * sides
    elif world in ("wording", "moved"):
        added = delta * rng.standard_normal(added.shape)
    elif world == "weak null":
        # The mild noise is matched to the same mean similarity as a strong hit in 30 % of probes.
        hit = rng.random(n) < 0.3
        added = 1.75 * rng.standard_normal(added.shape)
        added[:, 0] = np.where(hit, 6.0, 0.0)[:, None] * rng.standard_normal((n, ITEMS))
    elif world != "fair":
        raise ValueError(world)
    return added


def ask(world, *, rng, n, n_values, delta=0.0, repeats=1, c=HIGH, frozen=False, placebo_delta=None):
    """Ask a world; `frozen` is temperature 0: one Gumbel draw per probe for all arms."""
    z = rng.standard_normal((n, 1))
    utility = c * np.exp(0.35 * z) * rng.standard_normal((n, ITEMS))
    added = np.repeat(effect(world, rng, n, n_values, delta), repeats, axis=1)
    beside = np.zeros((n, n_values * repeats, ITEMS))
    if placebo_delta:
        own = placebo_delta * rng.standard_normal((n, n_values, ITEMS))
        beside = np.repeat(own, repeats, axis=1)
    every = np.concatenate((np.zeros((n, 2, ITEMS)), added, beside), axis=1)
    shape = (n, 1, ITEMS) if frozen else every.shape
    lists = top(utility[:, None] + every + rng.gumbel(size=shape))
    end = 2 + n_values * repeats
    return Answers(lists[:, :2], lists[:, 2:end], lists[:, end:])


def top(utility):
    best = np.argpartition(-utility, K, axis=-1)[..., :K]
    order = np.argsort(-np.take_along_axis(utility, best, axis=-1), axis=-1)
    return np.take_along_axis(best, order, axis=-1)


def multi_hot(lists):
    hot = np.zeros((*lists.shape[:-1], ITEMS), dtype=np.float32)
    np.put_along_axis(hot, lists, 1.0, axis=-1)
    return hot


def jaccard(left, right):
    """[n, L, R] of lists [n, L, 20] and [n, R, 20]; full lists without repeats."""
    shared = multi_hot(left) @ multi_hot(right).transpose(0, 2, 1)
    return (shared / (2 * K - shared)).astype(np.float64)


def ranks(stated, neutral):
    """Rank [n, A, 20] of every stated item in one neutral list [n, 20], 20 where it is absent."""
    table = np.full((len(neutral), ITEMS), K)
    np.put_along_axis(table, neutral, np.arange(K)[None], axis=1)
    rows = np.arange(len(neutral))[:, None, None]
    return table[rows, stated]


def serp(stated, neutral):
    found = ranks(stated, neutral) < K
    return (found * (K - np.arange(K))).sum(axis=-1) / (K * (K + 1) / 2)


def prag(stated, neutral):
    place = ranks(stated, neutral)
    above = (place[..., :, None] < place[..., None, :]) & (place < K)[..., :, None]
    return np.triu(above, 1).sum(axis=(-1, -2)) / (K * (K - 1) / 2)


def similarity(answers, measure=None):
    """S [n, values]: mean similarity of a value's lists to the neutral ones."""
    n_values = answers.stated.shape[1]
    if measure is None:
        return jaccard(answers.stated, answers.neutral).mean(axis=2)
    found = [measure(answers.stated, answers.neutral[:, r]) for r in range(2)]
    return np.mean(found, axis=0).reshape(len(found[0]), n_values)


def averaged(table, repeats):
    """Mean over the repeats of every value: repeats are no rows of their own."""
    return table.reshape(len(table), -1, repeats).mean(axis=2)


def as_lists(answers):
    return [[[str(i) for i in one] for one in row] for row in answers.stated]
