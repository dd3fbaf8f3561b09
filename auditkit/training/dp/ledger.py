"""Accounting before training, and the ledger of steps from which the privacy claim is computed.

A step is written to the ledger before the weights change, so the ledger also contains steps whose
result is lost when the process is killed. Accounting is in `auditkit.privacy.accounting`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.privacy.accounting import (
    ACCOUNTANTS,
    Accountant,
    StepRun,
    delta_for,
    epsilon_of,
    noise_for,
)
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json
from auditkit.training.dp.settings import PrivacySettings

__all__ = ["LEDGER", "Accounting", "Ledger", "Spent", "calibrate", "open_ledger", "spent_by"]

LEDGER = "ledger.jsonl"


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """Parameters fixed before training: sampling rate, noise multiplier and delta for `n_units`."""

    n_units: int
    sample_rate: float
    noise_multiplier: float
    delta: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Epsilon spent by the recorded `steps`, in nats.

    Attributes:
        epsilon: epsilon of the claim, computed by the `accountant`.
        epsilon_rdp: upper bound of epsilon by Renyi DP accounting, for comparison.
        accountant: `prv`, or `rdp` if the PRV accountant fails for these steps.
    """

    epsilon: float
    epsilon_rdp: float
    steps: int
    accountant: Accountant


def calibrate(recipe: PrivacySettings, *, n_units: int, steps: int) -> Accounting:
    """Find the noise multiplier that meets the target epsilon, rounded up.

    Raises:
        InvalidArgument: no noise multiplier meets the target, delta is at least 1 / N, or the
            expected batch exceeds the number of units N.
    """
    if recipe.expected_batch > n_units:
        raise InvalidArgument(
            f"privacy.expected_batch {recipe.expected_batch} exceeds the {n_units} units of the "
            "training data. Choose a smaller batch."
        )
    rate = recipe.expected_batch / n_units
    delta = delta_for(n_units, stated=recipe.delta)
    noise = noise_for(recipe.epsilon, sample_rate=rate, steps=steps, delta=delta)
    return Accounting(
        n_units=n_units,
        sample_rate=rate,
        noise_multiplier=noise,
        delta=delta,
    )


class Ledger:
    """Append-only file with one line per step, written to disk before the weights change.

    The first line may contain the identity of the run, which `open_ledger` writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def charge(self, *, noise_multiplier: float, sample_rate: float) -> None:
        """Append one step with its noise multiplier and sampling rate."""
        with self._path.open("a", encoding="ascii") as stream:
            stream.write(canonical_json({"sigma": noise_multiplier, "q": sample_rate}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def spent(self, delta: float) -> Spent:
        """Epsilon of all steps recorded so far."""
        text = self._path.read_text(encoding="ascii") if self._path.exists() else ""
        entries = [entry for entry in map(read_json, text.splitlines()) if "sigma" in entry]
        runs = [
            StepRun(noise, rate, len(list(equal)))
            for (noise, rate), equal in groupby((entry["sigma"], entry["q"]) for entry in entries)
        ]
        return spent_by(runs, delta=delta)


def spent_by(runs: Sequence[StepRun], *, delta: float) -> Spent:
    """Epsilon of steps, by PRV or, if PRV cannot compute them, by RDP.

    Source: `auditkit.privacy.accounting`.
    """
    rdp, accountant = epsilon_of(runs, delta=delta, accountant="rdp"), ACCOUNTANTS[0]
    try:
        epsilon = epsilon_of(runs, delta=delta, accountant=accountant)
    except InvalidArgument:
        epsilon = math.inf
    if not math.isfinite(epsilon):
        epsilon, accountant = rdp, "rdp"
    steps = sum(run.steps for run in runs)
    return Spent(epsilon=epsilon, epsilon_rdp=rdp, steps=steps, accountant=accountant)


def open_ledger(folder: Path, identity: Mapping[str, str], *, first_step: int) -> None:
    """Open the ledger of this run.

    Recorded steps of this run remain, including those whose result was lost when the process was
    killed. The ledger of another run is replaced.

    Args:
        first_step: step at which training resumes; 0 without a checkpoint.

    Raises:
        ConfigurationError: the ledger has fewer steps than the checkpoint.
    """
    path = folder / LEDGER
    text = path.read_text(encoding="ascii") if path.exists() else ""
    # An incomplete line belongs to a step that did not change the weights, because a line is
    # written to disk completely before the weights change.
    lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    charged = sum("sigma" in read_json(line) for line in lines)
    if charged < first_step:
        raise ConfigurationError(
            f"{path} records {charged} steps but the checkpoint is at step {first_step}, so "
            "epsilon cannot be computed. Restore the ledger, or give another --out folder."
        )
    if not first_step and not (lines and read_json(lines[0]) == identity):
        lines = [canonical_json(dict(identity)) + "\n"]
    write_atomically(path, "".join(lines))
