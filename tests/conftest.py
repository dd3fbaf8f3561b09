"""Fixtures that several test folders share."""

from __future__ import annotations

import pytest

from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets import get_dataset
from auditkit.catalog.ml100k import load_ml100k
from auditkit.errors import CatalogError


@pytest.fixture(scope="session")
def ml100k() -> Dataset:
    """MovieLens-100k from the cache, fetched once; its tests skip where it cannot be had."""
    try:
        return load_ml100k(get_dataset("ml-100k"))
    except CatalogError as error:
        pytest.skip(str(error))
