"""Rules on a recipe's own checks (`check.<id>`): a policy may only name checks that the run has.

Ids of these metrics are not registered, so a misspelled one is found when a run is judged.
"""

from __future__ import annotations

from collections.abc import Iterable

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.policy.schema import Rule
from auditkit.registry import OWN_CHECKS
from auditkit.types import AuditResult

__all__ = ["require_stated_checks"]


def require_stated_checks(rules: Iterable[Rule], result: AuditResult) -> None:
    """Require that every check that a rule names is in the recipe of the run.

    Args:
        rules: of one condition each.

    Raises:
        ConfigurationError: a check that the recipe does not state; nothing is decided.
    """
    stated = _stated(result)
    for rule in rules:
        probe, _, name = rule.metric.partition(".")
        if probe == OWN_CHECKS and name not in stated:
            known = f"It states {', '.join(stated)}." if stated else "It states no checks."
            raise ConfigurationError(
                f"rule {rule.id} names the check {name!r}, which the recipe of this run does not "
                f"state.{did_you_mean(name, stated)} {known} Add it to `checks:` of the recipe and "
                "audit again, or correct the rule."
            )


def _stated(result: AuditResult) -> list[str]:
    """Ids of the checks in the recipe of a run, in its order."""
    probes = result.recipe.get("probes")
    own = probes.get(OWN_CHECKS) if isinstance(probes, dict) else None
    checks = own.get("checks") if isinstance(own, dict) else None
    found = checks if isinstance(checks, list) else []
    return [str(check["id"]) for check in found if isinstance(check, dict) and "id" in check]
