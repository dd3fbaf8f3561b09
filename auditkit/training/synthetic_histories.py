"""Synthetic training histories, sampled from differentially private item transitions.

The transitions are released once and stored in the model folder, because a second release after a
kill would cost epsilon again. Synthetic users state attribute values that are sampled uniformly
from those in the data, so a model sees the words but learns no correlation with items. Everything
after the release is post-processing, so tasks, objectives and steps cost no epsilon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.dataset import Dataset
from auditkit.catalog.interactions import Interactions
from auditkit.errors import ConfigurationError
from auditkit.privacy.accounting import StepRun, delta_for, epsilon_of, noise_for
from auditkit.privacy.canary_file import Canary
from auditkit.privacy.canary_planting import with_canaries
from auditkit.privacy.transitions import (
    Lags,
    NoisyTransitions,
    TransitionCounts,
    transition_counts,
)
from auditkit.recommenders.adapters.manifest import PrivacyClaim
from auditkit.recommenders.prompting.attribute_phrases import known_values
from auditkit.seeding import generator
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json
from auditkit.training.recipe import SyntheticRecipe, TrainingRecipe
from auditkit.training.rows.history_sampling import training_histories
from auditkit.training.training_users import left_out

__all__ = ["RELEASE", "Synthetic", "open_synthetic", "synthetic_plan"]

RELEASE = "transitions"  # name of the stored release, without suffix
_DISCLOSED = (
    "the number of units and the hash of the data, which are published",
    "hyperparameters, chosen on validation items outside this accounting",
    "the tokenizer, learned from catalog texts and the attribute vocabulary",
    "the list of held-out users, which tells who else was in the data",
)


class Synthetic(NamedTuple):
    """The data with synthetic instead of real users, and the privacy claim of the release."""

    dataset: Dataset
    claim: PrivacyClaim


def open_synthetic(
    recipe: TrainingRecipe,
    dataset: Dataset,
    folder: Path,
    identity: Mapping[str, str],
    *,
    canaries: Sequence[Canary] = (),
) -> Synthetic | None:
    """Sample the histories of a recipe from the release in `folder`, or create the release first.

    Args:
        identity: hashes of recipe and data; a release with other hashes is replaced.
        canaries: all canaries of the run; planted canaries become users of the release.

    Returns:
        The synthetic data and the claim; None for a recipe that trains on real histories.

    Raises:
        ConfigurationError: no user has two training interactions.
        InvalidArgument: the target epsilon cannot be met, or the catalog is too large.
    """
    settings = recipe.data.synthetic
    if settings is None:
        return None
    claim = _stored_claim(folder, identity)
    if claim is None:
        noisy, claim = _release(recipe, settings, dataset, canaries)
        np.savez_compressed(
            folder / f"{RELEASE}.npz", weights=noisy.weights, frequency=noisy.frequency
        )
        # Written last: a release without its claim is not used.
        record = {"identity": dict(identity), "claim": claim.model_dump(mode="json")}
        write_atomically(folder / f"{RELEASE}.json", canonical_json(record, indent=1) + "\n")
    with np.load(folder / f"{RELEASE}.npz") as arrays:
        noisy = NoisyTransitions(
            arrays["weights"], arrays["frequency"], Lags(settings.lags, settings.decay)
        )
    histories = noisy.sample(
        settings.histories, length=min(settings.length, len(dataset.catalog.items)),
        rng=generator(recipe.seed, "synthetic histories"),
    )  # fmt: skip
    return Synthetic(_with_histories(dataset, histories, recipe.seed), claim)


def synthetic_plan(recipe: TrainingRecipe, settings: SyntheticRecipe, dataset: Dataset) -> str:
    """Describe the units and the noise that a release would have, without creating it.

    Raises:
        ConfigurationError: no user has two training interactions.
        InvalidArgument: the target epsilon cannot be met, or the catalog is too large.
    """
    counts, noise, delta = _planned(recipe, settings, dataset, ())
    noun = {"target": "targets", "window": f"windows of {settings.window} items", "user": "users"}
    return (
        f"{recipe.name}: {recipe.steps} steps on {settings.histories} synthetic histories, "
        f"sampled from transitions of {counts.n_units} {noun[settings.unit]} as units, noise "
        f"multiplier {noise:.4f}, epsilon {settings.epsilon} at delta {delta:.3g} (PRV)"
    )


def _stored_claim(folder: Path, identity: Mapping[str, str]) -> PrivacyClaim | None:
    """Read the claim of an earlier release of this run; None if there is none."""
    path = folder / f"{RELEASE}.json"
    if not path.is_file():
        return None
    record = read_json(path.read_text(encoding="ascii"))
    if record["identity"] != dict(identity):
        return None
    return PrivacyClaim.model_validate(record["claim"])


class _Planned(NamedTuple):
    """Private transition counts, delta, and the noise multiplier that meets the target epsilon."""

    counts: TransitionCounts
    noise_multiplier: float
    delta: float


def _planned(
    recipe: TrainingRecipe,
    settings: SyntheticRecipe,
    dataset: Dataset,
    canaries: Sequence[Canary],
) -> _Planned:
    held_out = left_out(recipe, dataset.interactions.user_ids)
    repeats = recipe.canaries.repeats if recipe.canaries else 1
    read = with_canaries(dataset, canaries, repeats=repeats, fit=recipe.data.fit)
    histories = [
        history
        for user, history in enumerate(training_histories(read, fit=recipe.data.fit))
        if user not in held_out
    ]
    counts = transition_counts(
        histories, n_items=len(dataset.catalog.items), unit=settings.unit,
        lags=Lags(settings.lags, settings.decay), window=settings.window,
    )  # fmt: skip
    if not counts.n_units:
        raise ConfigurationError(
            "data.synthetic: no user has two training interactions. Give more data or a smaller "
            "data.holdout_users."
        )
    delta = delta_for(counts.n_units, stated=settings.delta)
    noise = noise_for(settings.epsilon, sample_rate=1.0, steps=1, delta=delta)
    return _Planned(counts, noise, delta)


def _release(
    recipe: TrainingRecipe,
    settings: SyntheticRecipe,
    dataset: Dataset,
    canaries: Sequence[Canary],
) -> tuple[NoisyTransitions, PrivacyClaim]:
    """Count transitions, add noise from OS entropy, and compute the privacy claim."""
    counts, noise, delta = _planned(recipe, settings, dataset, canaries)
    noisy = NoisyTransitions.release(
        counts, noise_multiplier=noise, lags=Lags(settings.lags, settings.decay), rng=_os_entropy()
    )
    return noisy, _claim(settings, n_units=counts.n_units, noise=noise, delta=delta)


def _os_entropy() -> np.random.Generator:
    """Create a generator from OS entropy, because a known seed would reveal the noise."""
    return np.random.default_rng()


def _claim(settings: SyntheticRecipe, *, n_units: int, noise: float, delta: float) -> PrivacyClaim:
    spent = [StepRun(noise, 1.0, 1)]
    return PrivacyClaim(
        mechanism="gaussian_transitions",
        claim="dp",
        epsilon=epsilon_of(spent, delta=delta),
        epsilon_rdp=epsilon_of(spent, delta=delta, accountant="rdp"),
        delta=delta,
        unit="user" if settings.unit == "user" else "example",
        n_units=n_units,
        records_per_unit=1,
        adjacency="add_remove",
        sampling="all",
        sample_rate=1.0,
        steps=1,
        noise_multiplier=noise,
        clip_norm=1.0,
        gradient_path="none",
        self_test={},
        noise_source="numpy generator seeded from OS entropy",
        accountant=f"prv, opacus {version('opacus')}",
        libraries={name: version(name) for name in ("numpy", "opacus")},
        not_covered=[*_uncovered(settings), *_DISCLOSED],
    )


def _uncovered(settings: SyntheticRecipe) -> list[str]:
    if settings.unit == "user":
        return ["catalog items, which no user owns: their titles and attributes are public"]
    if settings.unit == "window":
        return [
            "the user: a user's interactions are in several stretches, and the unit is one stretch "
            f"of at most {settings.window} consecutive interactions"
        ]
    return [
        "the user, and the interaction itself: it is the target of one row, which is the unit, and "
        f"in the context of up to {settings.lags} later rows"
    ]


def _with_histories(dataset: Dataset, histories: NDArray[np.int32], seed: int) -> Dataset:
    """Return the data set with the same catalog and one synthetic user per history."""
    n, length = histories.shape
    rng = generator(seed, "synthetic attributes")
    values = known_values(dataset.interactions.attributes)
    attributes = [
        {name: known[rng.integers(len(known))] for name, known in values.items()} for _ in range(n)
    ]
    interactions = Interactions.from_rows(
        np.repeat(np.arange(n), length), histories.ravel(),
        timestamp=np.tile(np.arange(length), n), rating=np.ones(n * length),
        user_ids=[f"synthetic-{number}" for number in range(n)],
        item_ids=dataset.interactions.item_ids, attributes=attributes,
    )  # fmt: skip
    return Dataset(catalog=dataset.catalog, interactions=interactions)
