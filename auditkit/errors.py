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
    """Base of every deliberate error; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 2


class InvalidArgument(AuditkitError, ValueError):
    """A value is outside its documented range."""


class ConfigurationError(AuditkitError):
    """A recipe, policy or recommender.yaml cannot be accepted; the message lists every error with
    its line.
    """


class MissingDependency(AuditkitError):
    """An optional package is needed and not installed.

    Args:
        package: name of the package.
        purpose: feature that needs the package; the message starts with it.
        extra: extra of auditkit that contains the package.
        command: command that installs it, where no extra can.
    """

    def __init__(
        self, package: str, *, purpose: str, extra: str = "all", command: str | None = None
    ) -> None:
        command = command or f'pip install "auditkit[{extra}]"'
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed. Run: {command}"
        )


class CatalogError(AuditkitError):
    """A catalog or data set is absent, damaged or contradicts itself."""


class TargetUnavailable(AuditkitError):
    """The recommender that TARGET names cannot be loaded, or a check before the first request
    fails.
    """


class TargetError(AuditkitError):
    """One request failed at the adapter.

    Args:
        reason: one of a fixed set of words in the run log, such as `exception` or `wrong_type`.
        retryable: whether a repeated request may succeed.
        retry_after: seconds to wait before the next attempt, as the recommender demands.
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
    """A response cannot be recorded (disk full); the run stops and can be resumed."""


class IntegrityError(AuditkitError):
    """Evidence, result or manifest fails verification."""

    exit_code: ClassVar[int] = 13


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known name; empty if there is none."""
    import difflib  # every command loads this module, few get a name wrong

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
