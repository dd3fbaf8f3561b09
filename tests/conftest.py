"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.errors import CatalogError

SLOW_TEST_SECONDS = 1200

# An example takes longer where other processes use the cores; that is no fault of the code.
settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")


# Coverage's tracer makes Python code 1.6 times slower before 3.12. These modules take most of the
# time and run lines that shorter tests measure; every one of their tests runs all the same.
UNMEASURED = {
    "architecture/test_probe_contract.py",
    "catalog/graph/test_stores.py",
    "catalog/linking/test_linking_noise.py",
    "catalog/sources/test_sources.py",
    "claims/test_reader.py",
    "cli/test_endpoint_audit.py",
    "cli/test_kill.py",
    "engine/test_executors.py",
    "engine/test_generation.py",
    "engine/test_plan.py",
    "engine/test_title_decoding.py",
    "metrics/test_attribute_leakage.py",
    "planted/test_planted_faults.py",
    "planted/test_planted_items.py",
    "planted/test_planted_lists.py",
    "probes/fairness/counterfactual/test_probe.py",
    "probes/fairness/test_attribute_leakage.py",
    "probes/fairness/test_group_utility.py",
    "probes/hallucination/test_judge.py",
    "probes/hallucination/test_planted_shares.py",
    "recommenders/prompting/test_parsing.py",
    "reporting/test_fairness.py",
    "reporting/test_html.py",
    "run/test_runner.py",
    "stats/test_concentration.py",
    "stats/test_exposure_bounds.py",
    "stats/test_placebo.py",
    "stats/test_simultaneous.py",
    "stats/test_stratified.py",
    "test_hostile_answers.py",
    "training/test_attribute_adversary.py",
    "training/test_dp_sgd.py",
    "training/test_families.py",
    "training/test_loop.py",
    "training/test_preflight.py",
}
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time, and start the longest modules first, so that no worker idles."""
    long = {item for item in items if item.path.relative_to(TESTS).as_posix() in UNMEASURED}
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(SLOW_TEST_SECONDS))
        if item in long:
            item.add_marker(pytest.mark.no_cover)
    items.sort(key=lambda item: item not in long)


@pytest.fixture(scope="session")
def ml100k() -> Dataset:
    """MovieLens-100k from the cache, fetched once; its tests skip where it cannot be had."""
    try:
        return load_ml100k(get_dataset("ml-100k"))
    except CatalogError as error:
        pytest.skip(str(error))
