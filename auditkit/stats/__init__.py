"""Confidence intervals, tests and multiplicity corrections as pure functions.

The tests of a fairness audit are imported lazily from this package; import everything else from its
module. Functions that need random numbers take the generator as an argument.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.stats.counterfactual import CounterfactualTest, counterfactual_test
    from auditkit.stats.interaction import interaction_test
    from auditkit.stats.list_shift import list_shift_tests
    from auditkit.stats.list_tests import (
        between_values_test,
        item_exposure_test,
        repeat_request_test,
    )
    from auditkit.stats.multiplicity import holm, westfall_young
    from auditkit.stats.placebo import placebo_contrast
    from auditkit.stats.power import detectable_difference, probes_to_detect, probes_to_pass

__all__ = [
    "CounterfactualTest",
    "between_values_test",
    "counterfactual_test",
    "detectable_difference",
    "holm",
    "interaction_test",
    "item_exposure_test",
    "list_shift_tests",
    "placebo_contrast",
    "probes_to_detect",
    "probes_to_pass",
    "repeat_request_test",
    "westfall_young",
]

_HOME = {
    "CounterfactualTest": "counterfactual",
    "between_values_test": "list_tests",
    "counterfactual_test": "counterfactual",
    "detectable_difference": "power",
    "list_shift_tests": "list_shift",
    "holm": "multiplicity",
    "interaction_test": "interaction",
    "item_exposure_test": "list_tests",
    "placebo_contrast": "placebo",
    "probes_to_detect": "power",
    "probes_to_pass": "power",
    "repeat_request_test": "list_tests",
    "westfall_young": "multiplicity",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'auditkit.stats' has no attribute {name!r}")
    return getattr(importlib.import_module(f"auditkit.stats.{_HOME[name]}"), name)
