"""Attribute leakage: how well a newly trained attacker infers a user's attribute.

Two attackers of different capacity, a logistic regression and a network with two hidden layers of
64 units, are trained on frozen inputs and evaluated on users they were not trained on. The
adversary of an adversarial training is not used for evaluation, because the model may have learned
to fool only this adversary. Source: the attack on representations follows UP5 (Hua et al. 2023).

The scores of one fold depend on the users of the other folds, which resampling users does not take
into account: on pure noise (120 to 400 users, 6 to 32 features) the standard deviation of the AUC
is 1.2 to 1.6 times that of independent scores. An AUC slightly above 0.5 is therefore no proof of
leakage.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument, MissingDependency
from auditkit.stats.max_t import resample_weights

__all__ = ["ATTACKERS", "Attack", "Attacker", "attack_auc", "macro_auc", "out_of_fold_scores"]

Attacker = Literal["logistic", "mlp"]
ATTACKERS: tuple[Attacker, ...] = ("logistic", "mlp")
Array = NDArray[np.float64]


class Attack(NamedTuple):
    """AUCs of the two attackers, and which of them is stronger.

    Attributes:
        auc: the larger of the two AUCs, in [0, 1]; ideal 0.5.
        attacker: name of the attacker with this AUC.
        by_attacker: AUC of each attacker.
        draws: AUC of each attacker in resamples of users, [draws] each.
        classes: values of the attribute in alphabetic order.
    """

    auc: float
    attacker: Attacker
    by_attacker: Mapping[Attacker, float]
    draws: Mapping[Attacker, Array]
    classes: tuple[str, ...]


def attack_auc(
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 999,
    folds: int = 5,
    min_class: int = 20,
) -> Attack | None:
    """Out-of-fold AUC of the stronger of two newly trained attackers.

    Args:
        inputs: representation or multi-hot list of every user, [users, features].
        labels: attribute value of every user, [users].
        rng: generator for the folds, the attackers' seeds and the resamples.
        draws: number of resamples of users; the attackers are not retrained.
        folds: number of folds; each fold is scored by attackers trained on the other folds.
        min_class: minimum number of users per value.

    Returns:
        The result, or None if there are fewer than two values, or a value has fewer than
        `min_class` users.

    Raises:
        InvalidArgument: inputs and labels differ in length, there are no features, or an input is
            not finite.
        MissingDependency: scikit-learn is not installed.
    """
    table, names = _checked(inputs, labels)
    classes, codes, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(classes) < 2 or sizes.min() < min_class:
        return None
    seed = int(rng.integers(2**31))
    scores = {
        attacker: out_of_fold_scores(table, codes, attacker=attacker, seed=seed, folds=folds)
        for attacker in ATTACKERS
    }
    once = np.ones((1, len(codes)))
    reached = {name: float(macro_auc(found, codes, once)[0]) for name, found in scores.items()}
    best = max(ATTACKERS, key=reached.__getitem__)
    n = len(codes)
    weights = resample_weights(rng, n=n, draws=draws)
    drawn = {name: macro_auc(found, codes, weights) for name, found in scores.items()}
    return Attack(reached[best], best, reached, drawn, tuple(map(str, classes)))


def out_of_fold_scores(
    inputs: ArrayLike, codes: ArrayLike, *, attacker: Attacker, seed: int, folds: int = 5
) -> Array:
    """Estimate class probabilities of every user with an attacker that was not trained on the user.

    Args:
        inputs: features of the users, [users, features], standardized on the training folds.
        codes: class of every user, from 0, [users]; at least `folds` users per class.
        attacker: name of the attacker.
        seed: seed of the folds and of the attacker.
        folds: number of stratified folds.

    Returns:
        Probabilities in [0, 1], [users, classes].

    Raises:
        MissingDependency: scikit-learn is not installed.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingDependency(
            "scikit-learn", extra="fair", purpose="An attribute leakage attack"
        ) from None

    x, y = np.asarray(inputs, dtype=np.float64), np.asarray(codes, dtype=np.int64)
    scores = np.zeros((len(y), int(y.max()) + 1))
    # One thread is faster for tables of this size and always rounds in the same way.
    with warnings.catch_warnings(), threadpool_limits(1):
        # An attacker that stops early is a weaker attacker, not an error.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
            model: Any = (
                LogisticRegression(max_iter=1_000)
                if attacker == "logistic"
                else MLPClassifier((64, 64), max_iter=200, random_state=seed)
            )
            pipeline = make_pipeline(StandardScaler(), model)
            pipeline.fit(x[train], y[train])
            scores[held_out] = pipeline.predict_proba(x[held_out])
    return scores


def macro_auc(scores: ArrayLike, codes: ArrayLike, weights: ArrayLike) -> Array:
    """Area under the ROC curve; for more than two classes, the mean over one-vs-rest AUCs.

    Args:
        scores: score of every class, [users, classes]; of two classes, only the score of the second
            counts.
        codes: class of every user, from 0, [users].
        weights: how often each resample contains every user, [draws, users].

    Returns:
        AUC per resample, [draws], in [0, 1], 0.5 for guessing; ties count one half. A class that no
        user or every user of a resample belongs to is ignored; if all classes are ignored, the AUC
        is 0.5.
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(codes, dtype=np.int64)
    w = np.asarray(weights, dtype=np.float64)
    columns = [1] if s.shape[1] == 2 else range(s.shape[1])
    sums, counted = np.zeros(len(w)), np.zeros(len(w))
    for column in columns:
        order = np.argsort(s[:, column], kind="stable")
        begins = np.flatnonzero(np.diff(s[order, column], prepend=-np.inf))
        positive = (y[order] == column).astype(np.float64)
        above = np.add.reduceat(w[:, order] * positive, begins, axis=1)
        below = np.add.reduceat(w[:, order] * (1 - positive), begins, axis=1)
        pairs = above.sum(axis=1) * below.sum(axis=1)
        won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        sums += np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), 0.0)
        counted += pairs > 0
    return np.where(counted > 0, sums / np.maximum(counted, 1), 0.5)


def _checked(inputs: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.str_]]:
    table, names = np.asarray(inputs, dtype=np.float64), np.asarray(labels, dtype=np.str_)
    described = table.ndim == 2 and table.shape[1] > 0 and len(table) == len(names)
    if not described or not np.all(np.isfinite(table)):
        raise InvalidArgument(
            f"attack_auc got inputs of shape {table.shape} for {len(names)} labels, or an input "
            "that is not finite. Give one row of finite numbers and one label per user."
        )
    return table, names
