"""Flower as a dependency: whether it is installed, without its telemetry and its progress log."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from auditkit.errors import MissingDependency

__all__ = ["quiet_flower", "require_flower"]


def require_flower() -> None:
    """Import Flower with its telemetry turned off for this process.

    Raises:
        MissingDependency: Flower is not installed.
    """
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when Flower is first imported
    try:
        import flwr.app  # noqa: F401 -- only to see whether it is there
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="fl", purpose="Federated training") from None


@contextmanager
def quiet_flower() -> Iterator[None]:
    """Context without Flower's log of every round and array."""
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
