"""Random generators that depend on the seed of a run and on names, not on the order of calls.

Every random step has its own named generator, so adding a probe or changing the batch size does not
change any other random number.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "request_seed"]


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Create a numpy generator for one named purpose of a run.

    Args:
        seed: the run's seed.
        names: purpose of the generator, for example a probe id and "bootstrap".
    """
    digest = hashlib.sha256("/".join([str(seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def request_seed(run_seed: int, request_id: str) -> int:
    """Return the 63-bit seed of one request, independent of order, batch size and workers."""
    digest = hashlib.sha256(f"{run_seed}/{request_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
