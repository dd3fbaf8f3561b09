"""Python functions and objects as recommenders.

The user's code is executed, so the command line requires `--allow-code`. Modules are searched for
first in the current folder, as with `python -m`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.protocols import Converses, RawResponse, Recommends, Scores
from auditkit.serialization.atomic_files import sha256_file
from auditkit.types import Request

__all__ = ["CodeFile", "FunctionRecommender", "code_file", "import_recommender"]


class CodeFile(NamedTuple):
    """The file of a module that was executed, and its SHA-256 as 64 hex digits."""

    path: Path
    sha256: str


class FunctionRecommender:
    """A recommender that calls a function with a batch of requests."""

    def __init__(
        self, name: str, function: Callable[[Sequence[Request]], Sequence[RawResponse]]
    ) -> None:
        self.name = name
        self._function = function

    def recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Call the function with all requests at once."""
        return self._function(requests)


def import_recommender(path: str) -> Recommends | Converses | Scores:
    """Import `MODULE:NAME` or `FILE.py:NAME`, where NAME is an object with `recommend`, `converse`
    or `score`, a class of such objects, or a function that recommends.

    Raises:
        TargetUnavailable: the module or name does not exist, or the object is none of these.
    """
    module, name = _split(path)
    try:
        found = getattr(_import(module), name)
        if isinstance(found, type):
            found = found()
    except (ImportError, AttributeError, ValueError) as error:
        raise TargetUnavailable(
            f"python:{path} cannot be imported: {error}. Check MODULE:NAME and its imports."
        ) from None
    except SystemExit as error:
        raise TargetUnavailable(
            f"python:{path} calls sys.exit on import (exit code {error.code}). Put the code of a "
            'script under `if __name__ == "__main__":`.'
        ) from None
    if isinstance(found, Recommends | Converses):
        return found
    if callable(found):
        return FunctionRecommender(path, found)
    if isinstance(found, Scores):
        return found
    raise TargetUnavailable(
        f"python:{path} is a {type(found).__name__}. Give a function of requests or an object "
        "with recommend(), converse() or score()."
    )


def code_file(path: str) -> CodeFile | None:
    """The file of an imported `MODULE:NAME`; None for a module without a file."""
    module, _ = _split(path)
    source = sys.modules[_file_module(Path(module)) if _is_file(module) else module].__file__
    return CodeFile(Path(source), sha256_file(Path(source))) if source else None


def _split(path: str) -> tuple[str, str]:
    module, _, name = path.rpartition(":")
    return (module, name) if _is_file(module) else (path.partition(":")[0], path.partition(":")[2])


def _is_file(module: str) -> bool:
    return module.endswith(".py")


def _import(module: str) -> ModuleType:
    """Import a module by its name or file, with its folder first in the search path."""
    if not _is_file(module):
        _search_first(Path.cwd())
        return importlib.import_module(module)
    file = Path(module).resolve()
    if not file.is_file():
        raise ImportError(f"there is no file {module}")
    name = _file_module(file)
    if name in sys.modules:
        return sys.modules[name]
    _search_first(file.parent)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{module} is not a Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # as a module that is imported by its name; dataclasses need it
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


def _file_module(file: Path) -> str:
    """Name of a file in `sys.modules`: the file name, or another name if an installed module has
    this name.
    """
    file = file.resolve()
    taken = sys.modules.get(file.stem)
    free = taken is None or Path(getattr(taken, "__file__", None) or "").resolve() == file
    return file.stem if free else f"{file.stem} at {file}"


def _search_first(folder: Path) -> None:
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
