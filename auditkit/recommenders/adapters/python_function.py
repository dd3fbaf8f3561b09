"""Python functions and objects as recommenders.

The user's code is executed, so the command line requires `--allow-code`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.protocols import RawResponse, Recommends
from auditkit.types import Request

__all__ = ["FunctionRecommender", "import_recommender"]


class FunctionRecommender:
    """A recommender that calls a function with a batch of requests."""

    def __init__(
        self, name: str, function: Callable[[Sequence[Request]], Sequence[RawResponse]]
    ) -> None:
        self.name = name
        self._function = function

    def recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Call the function."""
        return self._function(requests)


def import_recommender(path: str) -> Recommends:
    """Import `MODULE:NAME`: an object with `recommend`, a class to instantiate, or a plain
    function.

    Raises:
        TargetUnavailable: the module or name does not exist, or the object cannot recommend.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
        if isinstance(found, type):
            found = found()
    except (ImportError, AttributeError, ValueError) as error:
        raise TargetUnavailable(
            f"python:{path} cannot be imported: {error}. Check MODULE:NAME and its imports."
        ) from None
    except SystemExit as error:
        raise TargetUnavailable(
            f"python:{path} calls sys.exit when it is imported (exit {error.code}). Put the code "
            'of a script under `if __name__ == "__main__":`.'
        ) from None
    if isinstance(found, Recommends):
        return found
    if callable(found):
        return FunctionRecommender(path, found)
    raise TargetUnavailable(
        f"python:{path} is a {type(found).__name__}. Give a function of requests or an object "
        "with recommend()."
    )
