"""Probing classifiers that decode an attribute from the states of a model's layers.

A linear classifier is trained on the states of some users and evaluated on other users. Accuracy
alone is not conclusive, because a classifier with many inputs also learns meaningless labels.
Selectivity is therefore the accuracy minus the accuracy of the same classifier on shuffled labels
(the control task of Hewitt & Liang 2019). One p-value covers all layers: the largest accuracy of
any layer is compared with the largest accuracy under permuted labels, where all layers use the same
permutation.

The permutations use ridge regression on class indicators instead of the logistic classifier,
because one matrix then serves all permutations; a permutation test is valid for any statistic. The
permutations also estimate by which factor an out-of-fold accuracy varies more than an accuracy over
independent users, because it depends on the users of the other folds, too. Intervals are widened by
this factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.attribute_leakage import out_of_fold_scores
from auditkit.stats.max_t import resample_weights

__all__ = ["LayerProbe", "Probing", "balanced_accuracy", "permutation_p", "probe_layers"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
FOLDS = 5


class LayerProbe(NamedTuple):
    """Result for the states of one layer.

    Attributes:
        accuracy: balanced accuracy on users outside the training folds, in [0, 1].
        control: mean balanced accuracy on shuffled labels, in [0, 1].
        accuracy_draws, selectivity_draws: accuracy and selectivity in resamples of users, [draws]
            each.
    """

    accuracy: float
    control: float
    accuracy_draws: Array
    selectivity_draws: Array

    @property
    def selectivity(self) -> float:
        """Accuracy minus control, in [-1, 1]; about 0 if the attribute cannot be decoded."""
        return self.accuracy - self.control


class Probing(NamedTuple):
    """Results by layer, the classes in alphabetic order, and the p-value over all layers."""

    layers: tuple[LayerProbe, ...]
    classes: tuple[str, ...]
    p: float

    @property
    def chance(self) -> float:
        """Balanced accuracy of always predicting the largest class."""
        return 1 / len(self.classes)


def probe_layers(
    tables: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 999,
    shuffles: int = 5,
    permutations: int = 200,
    min_class: int = 20,
) -> Probing | None:
    """Decode labels from every layer by L2-regularized logistic regression (C = 1).

    Args:
        tables: states of the users by layer, [users, width] each; standardized on training folds.
        labels: attribute value of every user, [users].
        rng: generator for folds, shuffles, permutations and resamples.
        draws: number of resamples of users.
        shuffles: number of control labelings.
        permutations: number of permutations for the p-value.
        min_class: minimum number of users per value.

    Returns:
        The result; None if there are fewer than two values, or if a value has fewer than
        `min_class` users.

    Raises:
        InvalidArgument: there are no layers, or a table does not have one row per label.
        MissingDependency: scikit-learn is not installed.
    """
    layers = [np.asarray(table, dtype=np.float64) for table in tables]
    names = np.asarray(labels, dtype=np.str_)
    if not layers or any(table.ndim != 2 or len(table) != len(names) for table in layers):
        raise InvalidArgument(
            f"probe_layers got {len(layers)} layers for {len(names)} labels. Give at least one "
            "layer, each with one row of numbers per label."
        )
    classes, codes, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(classes) < 2 or sizes.min() < min_class:
        return None
    y = codes.astype(np.int64)
    seed = int(rng.integers(2**31))
    controls = [rng.permutation(y) for _ in range(shuffles)]
    weights = np.vstack([np.ones((1, len(y))), resample_weights(rng, n=len(y), draws=draws)])
    permuted = permuted_accuracies(layers, y, rng=rng, permutations=permutations)
    found = tuple(
        _probe(table, y, controls, weights, seed, factor=_excess_spread(own[1:], sizes))
        for table, own in zip(layers, permuted, strict=True)
    )
    return Probing(found, tuple(map(str, classes)), _p_of_largest(permuted))


def _excess_spread(permuted: Array, sizes: Codes) -> float:
    """Ratio of the spread of accuracies under permuted labels to that over independent users.

    The ratio is at least 1.
    """
    mean = float(permuted.mean())
    independent = float(np.sqrt((mean * (1 - mean) / sizes).sum())) / len(sizes)
    return max(1.0, float(permuted.std()) / independent) if independent else 1.0


def _probe(
    table: Array,
    y: Codes,
    controls: Sequence[Codes],
    weights: Array,
    seed: int,
    *,
    factor: float,
) -> LayerProbe:
    """Measure one layer.

    The first row of `weights` is the data; the other rows are resamples, whose deviations from the
    data are multiplied by `factor`.
    """

    def reached(codes: Codes) -> Array:
        scores = out_of_fold_scores(table, codes, attacker="logistic", seed=seed, folds=FOLDS)
        return balanced_accuracy(scores.argmax(axis=1), codes, weights)

    own, control = reached(y), np.mean([reached(codes) for codes in controls], axis=0)
    gain = own - control
    # The shuffled labelings are a sample, too, which resampling users does not show.
    of_gain = factor * np.sqrt(1 + 1 / len(controls))
    return LayerProbe(
        float(own[0]),
        float(control[0]),
        np.clip(own[0] + factor * (own[1:] - own[0]), 0, 1),
        np.clip(gain[0] + of_gain * (gain[1:] - gain[0]), -1, 1),
    )


def balanced_accuracy(predicted: ArrayLike, codes: ArrayLike, weights: ArrayLike) -> Array:
    """Compute the mean recall over classes.

    Args:
        predicted, codes: predicted and true class of every user, from 0, [users].
        weights: how often each resample contains every user, [draws, users].

    Returns:
        One value per resample, [draws], in [0, 1]; the mean leaves out classes without users in the
        resample. A constant prediction has 1 / number of classes.
    """
    guess, y = np.asarray(predicted), np.asarray(codes)
    w = np.asarray(weights, dtype=np.float64)
    recalls = np.full((int(y.max()) + 1, len(w)), np.nan)
    for c in range(len(recalls)):
        size = w @ (y == c)
        right = w @ ((y == c) & (guess == c))
        np.divide(right, size, out=recalls[c], where=size > 0)
    return np.asarray(np.nanmean(recalls, axis=0))


def permuted_accuracies(
    tables: Sequence[Array], codes: Codes, *, rng: np.random.Generator, permutations: int
) -> Array:
    """Compute balanced accuracies by ridge regression, [layers, 1 + permutations].

    The first column is for the true labels, the others are for permuted labels, which are the same
    for all layers.
    """
    labelings = np.stack([codes, *(rng.permutation(codes) for _ in range(permutations))])
    folds = rng.permutation(np.arange(len(codes)) % FOLDS)
    return np.stack([_ridge_accuracy(table, labelings, folds) for table in tables])


def permutation_p(
    tables: Sequence[Array], codes: Codes, *, rng: np.random.Generator, permutations: int
) -> float:
    """Compute the p-value of the largest balanced accuracy of any layer, by permuting labels.

    Returns:
        (1 + number of permutations that reach the observed value) / (1 + permutations).
    """
    return _p_of_largest(permuted_accuracies(tables, codes, rng=rng, permutations=permutations))


def _p_of_largest(accuracies: Array) -> float:
    largest = accuracies.max(axis=0)
    return float(np.mean(largest >= largest[0] - 1e-12))


def _ridge_accuracy(table: Array, labelings: Codes, folds: Codes) -> Array:
    """Compute the out-of-fold balanced accuracy of ridge regression for every labeling,
    [labelings].
    """
    n_classes = int(labelings.max()) + 1
    right = np.zeros((len(labelings), n_classes))
    for fold in range(FOLDS):
        held = folds == fold
        center, scale = table[~held].mean(axis=0), table[~held].std(axis=0)
        x = (table - center) / np.where(scale > 0, scale, 1.0)
        gram = x @ x[~held].T
        own = gram[~held]
        penalty = max(float(np.trace(own)) / len(own), 1e-12)
        solver = np.linalg.solve(own + penalty * np.eye(len(own)), gram[held].T).T
        known = np.eye(n_classes)[labelings[:, ~held]]  # [labelings, training users, classes]
        means = known.mean(axis=1, keepdims=True)
        guess = (np.einsum("ht,ltc->lhc", solver, known - means) + means).argmax(axis=2)
        for c in range(n_classes):
            true = labelings[:, held] == c
            right[:, c] += (true & (guess == c)).sum(axis=1)
    sizes = np.stack([(labelings == c).sum(axis=1) for c in range(n_classes)], axis=1)
    return np.asarray((right / sizes).mean(axis=1))
