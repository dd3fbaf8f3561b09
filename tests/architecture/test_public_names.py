"""The public names are a promise: changing this list is a decision."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import auditkit

PUBLIC = [
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
    "load_recommender",
]
MODULES = sorted(m.name for m in pkgutil.walk_packages(auditkit.__path__, "auditkit."))


def test_public_names_are_the_committed_ones():
    assert sorted(auditkit.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads(name):
    assert getattr(auditkit, name) is not None


def test_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'secret'"):
        _ = auditkit.secret


@pytest.mark.parametrize("name", MODULES)
def test_every_name_in_an_all_exists(name):
    module = importlib.import_module(name)
    assert all(hasattr(module, public) for public in getattr(module, "__all__", ()))
