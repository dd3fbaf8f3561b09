"""Rules on the own checks of a recipe (`check.<id>`): a policy may only name checks of the run's
recipe.

Ids of these metrics are not registered, so a misspelled id is found when recipe and policy are both
known: before an audit with a policy, and when a run is judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.policy.conjunction import single_conditions
from auditkit.policy.schema import PolicyFile
from auditkit.registry import OWN_CHECKS

__all__ = ["require_stated_checks"]


def require_stated_checks(policy: PolicyFile, probes: JsonValue) -> None:
    """Require that the recipe of the run states every check that a rule names.

    Args:
        probes: section `probes` of the recipe: parameters by probe id.

    Raises:
        ConfigurationError: a rule names a check that the recipe does not state.
    """
    stated = _stated(probes if isinstance(probes, dict) else {})
    for rule in (one for several in policy.rules for one in single_conditions(several)):
        probe, _, name = rule.metric.partition(".")
        if probe == OWN_CHECKS and name not in stated:
            known = f"It states {', '.join(stated)}." if stated else "It states no checks."
            raise ConfigurationError(
                f"rule {rule.id} names the check {name!r}, which the recipe of this run does not "
                f"state.{did_you_mean(name, stated)} {known} Add it to `checks:` of the recipe "
                "and audit again, or correct the rule."
            )


def _stated(probes: Mapping[str, JsonValue]) -> list[str]:
    """Ids of the checks of a recipe, in its order."""
    own = probes.get(OWN_CHECKS)
    checks = own.get("checks") if isinstance(own, dict) else None
    found = checks if isinstance(checks, list) else []
    return [str(check["id"]) for check in found if isinstance(check, dict) and "id" in check]
