"""Any Python function or object as a recommender. Its code runs, so the command line asks for
`--allow-code`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.protocols import RawResponse, Recommends
from auditkit.types import Request

__all__ = ["FunctionRecommender", "import_recommender"]


class FunctionRecommender:
    """A function from requests to answers."""

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
        TargetUnavailable: no such module or name, or something that cannot recommend.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
        if isinstance(found, type):
            found = found()
    except (ImportError, AttributeError, ValueError) as error:
        raise TargetUnavailable(
            f"python:{path} cannot be imported: {error}. Write python:MODULE:NAME."
        ) from None
    except SystemExit as error:
        raise TargetUnavailable(
            f"python:{path} ends the process when it is loaded (exit {error.code}). Keep what runs "
            'as a script under `if __name__ == "__main__":`.'
        ) from None
    if isinstance(found, Recommends):
        return found
    if callable(found):
        return FunctionRecommender(path, found)
    raise TargetUnavailable(
        f"python:{path} is a {type(found).__name__}. Give a function of requests or an object "
        "with recommend()."
    )
