import importlib
import importlib.util
import sys

import pytest

from auditkit.errors import MissingDependency
from auditkit.perturb.placeholders import placeholders


def test_what_was_not_imported_before_can_be_imported_and_subclassed_but_not_called():
    with placeholders(["absent_package", "json"]):
        parts = importlib.import_module("absent_package.parts")
        from absent_package.parts import Tagger

        class Own(Tagger):
            pass

        assert importlib.import_module("json").dumps([1]) == "[1]"  # the real one
        for use in (Tagger, Own, lambda: Tagger.load("x"), lambda: parts.tag("x")):
            with pytest.raises(MissingDependency, match="pip install absent_package"):
                use()


def test_afterwards_no_library_takes_a_placeholder_for_installed():
    with placeholders(["absent_package"]):
        importlib.import_module("absent_package.parts")
    assert not [name for name in sys.modules if name.startswith("absent_package")]
    assert importlib.util.find_spec("absent_package") is None
