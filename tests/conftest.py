"""Fixtures that several test folders share."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets import user_tables
from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.errors import CatalogError

SLOW_TEST_SECONDS = 1200
LONGEST = "test_shipped_recipes.py"  # begins first, or it would run alone at the end

# An example takes longer where other processes use the cores; that is no fault of the code.
settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time, and begin with the longest file."""
    items.sort(key=lambda item: item.path.name != LONGEST)
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(SLOW_TEST_SECONDS))


@pytest.fixture(autouse=True)
def _fresh_data_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tables are parsed by the code that is tested, not found in the cache of another version."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr(user_tables, "cache_dir", lambda: folder / uuid4().hex)


@pytest.fixture(scope="session")
def ml100k() -> Dataset:
    """MovieLens-100k from the cache, fetched once; its tests skip where it cannot be had."""
    try:
        return load_ml100k(get_dataset("ml-100k"))
    except CatalogError as error:
        pytest.skip(str(error))
