"""The error tree.

Every error that auditkit raises on purpose derives from `AuditkitError`; its message says what
happened, with the value and the place, and what to do about it. The command line turns each into
its `exit_code` without a traceback.

    AuditkitError            2  usage, configuration or environment that the user must fix
      InvalidArgument        2  a value outside its documented range
      ConfigurationError     2  a recipe, policy or recommender.yaml that cannot be read
      MissingDependency      2  an optional extra is not installed
      CatalogError           2  a catalog or data set that is absent, damaged or contradictory
      TargetUnavailable      2  the recommender cannot be loaded or refuses at preflight
      EvidenceError          2  answers cannot be recorded; the run can be resumed
      TargetError            -  one request failed; recorded as `target_error`, never shown
      IntegrityError        13  evidence or results fail verification
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "AuditkitError",
    "CatalogError",
    "ConfigurationError",
    "EvidenceError",
    "IntegrityError",
    "InvalidArgument",
    "MissingDependency",
    "TargetError",
    "TargetUnavailable",
    "did_you_mean",
]


class AuditkitError(Exception):
    """Base of every deliberate error; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 2


class InvalidArgument(AuditkitError, ValueError):
    """A value is outside its documented range."""


class ConfigurationError(AuditkitError):
    """A recipe, policy or recommender.yaml cannot be accepted; the message lists every fault with
    its line.
    """


class MissingDependency(AuditkitError):
    """An optional extra is needed and not installed."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed. "
            f'Run: pip install "auditkit[{extra}]"'
        )


class CatalogError(AuditkitError):
    """A catalog or data set is absent, damaged or contradicts itself."""


class TargetUnavailable(AuditkitError):
    """The recommender named by TARGET cannot be loaded, or refuses at preflight."""


class TargetError(AuditkitError):
    """One request failed at the adapter.

    Args:
        reason: closed word of the run log, such as `exception`, `wrong_type`, `non_finite`.
        retryable: whether asking again may help.
        retry_after: seconds that the recommender asks to wait before that.
    """

    def __init__(
        self,
        reason: str,
        *,
        detail: str = "",
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after


class EvidenceError(AuditkitError):
    """An answer cannot be recorded (disk full); the run stops and can be resumed."""


class IntegrityError(AuditkitError):
    """Evidence, result or manifest fails verification."""

    exit_code: ClassVar[int] = 13


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence naming the nearest known name, or the empty string."""
    import difflib  # every command loads this module, few get a name wrong

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
