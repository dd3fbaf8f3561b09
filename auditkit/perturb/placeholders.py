"""Placeholders for packages that a library imports but that are not needed here.

TextAttack imports flair, datasets and others at module level for parts that auditkit never uses.
flair 0.15.1 requires transformers below 5, and the others take hundreds of megabytes and most of
the time of the import. A placeholder can be imported and subclassed; a call raises
`MissingDependency`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from auditkit.errors import MissingDependency

__all__ = ["placeholders"]


class _Unusable(type):
    """Metaclass of placeholder classes: they may be named and subclassed, but not called."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unusable(name, (), {"package": cls.package})

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise MissingDependency(
            cls.package,
            purpose="This part of TextAttack",
            command=f"pip install {cls.package}",
        )


class _Placeholder(ModuleType):
    """Module whose every attribute is a placeholder class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unusable(name, (), {"package": self.__name__.partition(".")[0]})


class _Finder(MetaPathFinder, Loader):
    """Finds placeholders for top-level packages and their submodules."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        known = name.partition(".")[0] in self._packages
        return ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """A placeholder has no code."""


@contextmanager
def placeholders(packages: Sequence[str]) -> Iterator[None]:
    """Context manager that replaces packages that are not imported yet by placeholders.

    After the block, the placeholders are removed: installed packages can be imported as usual, and
    missing packages are missing again.
    """
    replaced = [name for name in packages if name not in sys.modules]
    finder = _Finder(replaced)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] in replaced]:
            del sys.modules[name]
