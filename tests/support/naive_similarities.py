"""The list similarities of the fairness recipe, 3.2, written once more as plain loops.

Independent of the package: nothing is imported from it, every variant is spelled out on its own,
and a division that fails stands for a missing value.
"""

from __future__ import annotations


def first_ones(items, k):
    kept = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept[:k]


def or_missing(formula):
    def answered(left, right, k):
        try:
            return formula(left, right, k)
        except ZeroDivisionError:
            return None

    return answered


def jaccard_normalized(left, right, k):
    a, r = first_ones(left, k), first_ones(right, k)
    shared = sum(1 for item in a if item in r)
    return shared / (len(a) + len(r) - shared)


def jaccard_code(left, right, k):
    union = {*left[:k], *right[:k]}
    return sum(1 for item in union if item in left[:k] and item in right[:k]) / len(union)


def serp_normalized(left, right, k):
    a, r = first_ones(left, k), first_ones(right, k)
    longer = max(len(a), len(r))
    weights = [longer - i for i in range(longer)]
    return sum(weights[i] for i in range(len(a)) if a[i] in r) / sum(weights)


def serp_paper(left, right, k):
    a, r = first_ones(left, k), first_ones(right, k)
    total = 0
    for i in range(len(a)):
        if a[i] in r:
            total += k - i
    return 2 * total / (k * (k + 1))


def serp_fairllm_code(left, right, k):
    x, y = left[:k], right[:k]
    if y == []:
        return 0.0
    total = 0
    for i in range(len(x)):
        for j in range(len(y)):
            if x[i] == y[j]:
                total += len(x) - i + 1
    return total / 2 / len(y) / (len(y) + 1)


def serp_langfair(left, right, k):
    x, y = left[:k], right[:k]
    if y == []:
        return 0.0
    total = 0
    for i in range(len(x)):
        if x[i] in y:
            total += len(x) - i + 1
    return total / 2 / len(x) / (len(x) + 1)


def _agreeing_pairs(x, place_of):
    """Pairs i < j with x_i listed, and x_j listed below it or not at all."""
    total = 0
    for j in range(len(x)):
        for i in range(j):
            above, below = place_of(x[i]), place_of(x[j])
            if above is not None and (below is None or above < below):
                total += 1
    return total


def _first_place(y):
    return lambda item: y.index(item) if item in y else None


def _last_place(y):
    return lambda item: len(y) - 1 - y[::-1].index(item) if item in y else None


def prag_normalized(left, right, k):
    a, r = first_ones(left, k), first_ones(right, k)
    longer = max(len(a), len(r))
    if longer == 1:
        return 1.0 if a == r else 0.0
    return _agreeing_pairs(a, _first_place(r)) * 2 / (longer * (longer - 1))


def prag_paper(left, right, k):
    a, r = first_ones(left, k), first_ones(right, k)
    return _agreeing_pairs(a, _first_place(r)) / (k * (k + 1))


def prag_fairllm_code(left, right, k):
    x, y = left[:k], right[:k]
    if x == [] or y == []:
        return 0.0
    if len(x) == 1:
        return 1.0 if x == y else 0.0
    n_pairs = len([(i, j) for j in range(len(x)) for i in range(j)])
    return _agreeing_pairs(x, _last_place(y)) / n_pairs


def prag_langfair(left, right, k):
    x, y = left[:k], right[:k]
    if x == [] or y == []:
        return 0.0
    if len(x) == 1:
        return 1.0 if x == y else 0.0
    return _agreeing_pairs(x, _first_place(y)) / len(x) / (len(x) + 1)


NAIVE = {
    ("jaccard", "normalized"): or_missing(jaccard_normalized),
    ("jaccard", "paper"): or_missing(jaccard_normalized),
    ("jaccard", "fairllm_code"): or_missing(jaccard_code),
    ("jaccard", "langfair"): or_missing(jaccard_code),
    ("serp", "normalized"): or_missing(serp_normalized),
    ("serp", "paper"): or_missing(serp_paper),
    ("serp", "fairllm_code"): or_missing(serp_fairllm_code),
    ("serp", "langfair"): or_missing(serp_langfair),
    ("prag", "normalized"): or_missing(prag_normalized),
    ("prag", "paper"): or_missing(prag_paper),
    ("prag", "fairllm_code"): or_missing(prag_fairllm_code),
    ("prag", "langfair"): or_missing(prag_langfair),
}
