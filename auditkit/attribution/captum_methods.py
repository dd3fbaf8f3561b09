"""Captum's perturbation methods, without changes, on values that are measured in one batch.

Captum evaluates one mask per call. Here a method runs twice under one seed: the first run records
its masks and gets zeros, then all distinct masks are measured in one call, and the second run looks
up their values. Both runs use the same random numbers, so the result equals that of Captum's
LLMAttribution, with far fewer processed tokens. Source: Captum (Kokhlikyan et al. 2020) and its
LLMAttribution (Miglani et al. 2023), which must be called with `use_cached_outputs=False`; see
`docs/explain/explanations.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import AuditkitError, InvalidArgument, MissingDependency

if TYPE_CHECKING:
    import torch

__all__ = ["CAPTUM_METHODS", "CaptumMethod", "CaptumPlan", "record", "replay"]

CaptumMethod = Literal["FeatureAblation", "ShapleyValueSampling", "KernelShap"]
CAPTUM_METHODS: tuple[CaptumMethod, ...] = ("FeatureAblation", "ShapleyValueSampling", "KernelShap")


@dataclass(frozen=True)
class CaptumPlan:
    """A recorded run of a Captum method.

    Attributes:
        method: name of the class in `captum.attr`.
        n: number of spans.
        seed: seed of torch.
        n_samples: number of permutations or masks; None for Captum's default.
        sequence: the masks in the order in which Captum requested them, with repeats.
    """

    method: CaptumMethod
    n: int
    seed: int
    n_samples: int | None
    sequence: tuple[int, ...]

    @property
    def masks(self) -> tuple[int, ...]:
        """The distinct masks to measure."""
        return tuple(dict.fromkeys(self.sequence))


def record(
    method: CaptumMethod, n: int, *, seed: int = 0, n_samples: int | None = None
) -> CaptumPlan:
    """Run a method with all values set to 0 and record the masks that it requests.

    Raises:
        InvalidArgument: there is no span, or only one span, which Captum's KernelShap does not
            support.
        MissingDependency: the extra `explain` is not installed.
    """
    if n < (2 if method == "KernelShap" else 1):
        raise InvalidArgument(
            f"Captum's {method} got {n} spans, which are too few. Give a request with more spans, "
            "or use the estimator `loo`."
        )
    sequence, _ = _run(method, n, seed, n_samples, None)
    return CaptumPlan(method, n, seed, n_samples, tuple(sequence))


def replay(plan: CaptumPlan, known: Mapping[int, float]) -> NDArray[np.float64]:
    """Compute the attribution of a recorded run from measured values, [n], in their unit.

    Args:
        plan: the recorded run.
        known: the value of every mask of the plan.

    Raises:
        InvalidArgument: a value is missing.
        AuditkitError: the second run requested other masks than the first run.
    """
    lacking = [mask for mask in plan.masks if mask not in known]
    if lacking:
        raise InvalidArgument(
            f"{len(lacking)} of {len(plan.masks)} values for Captum's {plan.method} are missing. "
            "Measure all masks of the plan, or use an estimator that leaves missing values out."
        )
    sequence, found = _run(plan.method, plan.n, plan.seed, plan.n_samples, known)
    if tuple(sequence) != plan.sequence:
        raise AuditkitError(
            f"Captum's {plan.method} requested other masks in a second run with the same seed. "
            "Report this as a bug of auditkit, with the versions of captum and torch."
        )
    return found


def _run(
    method: CaptumMethod,
    n: int,
    seed: int,
    n_samples: int | None,
    known: Mapping[int, float] | None,
) -> tuple[list[int], NDArray[np.float64]]:
    try:
        import torch
        from captum import attr
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="explain", purpose="Attribution") from None

    sequence: list[int] = []

    def forward(kept: torch.Tensor) -> torch.Tensor:
        (mask,) = (sum(1 << i for i, bit in enumerate(row) if bit) for row in kept.tolist())
        sequence.append(mask)
        return torch.tensor([0.0 if known is None else known[mask]], dtype=torch.float64)

    options: dict[str, Any] = {} if n_samples is None else {"n_samples": n_samples}
    # The mask is float32, as in LLMAttribution: Captum takes the type of some sums from it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        effects = getattr(attr, method)(forward).attribute(torch.ones((1, n)), **options)
    return sequence, np.asarray(effects.reshape(-1).tolist(), dtype=np.float64)
