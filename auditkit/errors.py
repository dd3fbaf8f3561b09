"""The error tree.

Every error that auditkit raises on purpose derives from `AuditkitError`; its message says what
happened, with the value and the place, and what to do about it. The command line exits with the
`exit_code` of the error, without a traceback.

    AuditkitError            2  usage, configuration or environment that the user must fix
      InvalidArgument        2  a value outside its documented range
      ConfigurationError     2  a recipe, policy or recommender.yaml that cannot be read
      MissingDependency      2  an optional extra is not installed
      CatalogError           2  a catalog or data set that is absent, damaged or contradictory
      TargetUnavailable      2  the recommender cannot be loaded, or a first check fails
      EvidenceError          2  responses cannot be recorded; the run can be resumed
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
    """Base of every error that auditkit raises on purpose; the command line exits with
    `exit_code`.
    """

    exit_code: ClassVar[int] = 2


class InvalidArgument(AuditkitError, ValueError):
    """A value is outside its documented range."""


class ConfigurationError(AuditkitError):
    """A recipe, policy or recommender.yaml is not valid; the message lists all errors."""


class MissingDependency(AuditkitError):
    """A required optional package is not installed.

    Args:
        package: name of the package.
        purpose: feature that needs the package; the message starts with it.
        extra: extra of auditkit that contains the package.
        command: command that installs the package; None if `extra` installs it.
    """

    def __init__(
        self, package: str, *, purpose: str, extra: str = "all", command: str | None = None
    ) -> None:
        command = command or f'pip install "auditkit[{extra}]"'
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed. Run: {command}"
        )


class CatalogError(AuditkitError):
    """A catalog or data set is missing, damaged or contradictory."""


class TargetUnavailable(AuditkitError):
    """The recommender cannot be loaded, or a check before the first request fails."""


class TargetError(AuditkitError):
    """One request failed in the adapter.

    Args:
        reason: word from a fixed set for the run log, such as `exception` or `wrong_type`.
        retryable: whether a repeated request may succeed.
        retry_after: seconds to wait before the next attempt, as the recommender requested; None if
            unknown.
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
    """A response cannot be recorded, for example on a full disk; the run can be resumed."""


class IntegrityError(AuditkitError):
    """Evidence, result or manifest fails verification."""

    exit_code: ClassVar[int] = 13


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest known name; empty if no name is near."""
    import difflib  # every command loads this module, few get a name wrong

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
