"""The public names are a promise: changing this list is a decision."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import auditkit
import auditkit.stats

PUBLIC = [
    "AuditOptions",
    "AuditResult",
    "AuditkitError",
    "Catalog",
    "Estimate",
    "Finding",
    "Item",
    "Request",
    "Response",
    "audit",
    "gate",
    "load_catalog",
    "load_recommender",
    "log_to_mlflow",
    "report",
    "train",
]
# Flower needs older releases of other libraries, so it has its own environment (make test-fl).
NEEDS_FLOWER = {
    f"auditkit.training.federated.{name}" for name in ("client_app", "local_grid", "strategy")
}
MODULES = sorted(m.name for m in pkgutil.walk_packages(auditkit.__path__, "auditkit."))


def test_public_names_are_the_committed_ones():
    assert sorted(auditkit.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads(name):
    assert getattr(auditkit, name) is not None


def test_no_module_hides_a_public_function():
    folders = {path.stem for path in Path(auditkit.__path__[0]).iterdir()}
    assert not folders & set(PUBLIC)


def test_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'secret'"):
        _ = auditkit.secret


@pytest.mark.parametrize("name", MODULES)
def test_every_name_in_an_all_exists(name):
    if name in NEEDS_FLOWER:
        pytest.importorskip("flwr", reason="flwr is not installed; make test-fl runs this")
    module = importlib.import_module(name)
    assert all(hasattr(module, public) for public in getattr(module, "__all__", ()))


STATISTICS = [
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


def test_public_statistics_are_the_committed_ones_and_load():
    assert sorted(auditkit.stats.__all__) == STATISTICS
    assert all(getattr(auditkit.stats, name).__name__ == name for name in STATISTICS)
    with pytest.raises(AttributeError, match="no attribute 'secret'"):
        _ = auditkit.stats.secret
