"""The shipped release policy of a kind of target, with rules on the groups that the data have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest
from auditkit.shipped_recipes import find_recipe

__all__ = ["policy_for", "shipped_policy_of"]

_GROUP_METRICS = "metric: fairness.group_utility."
_LIMIT = 0.10
_RULE = (
    "  - {{id: {attribute}-utility-gap, metric: fairness.group_utility.ndcg_gap, "
    "group: {attribute}, max: {limit:.2f}}}"
)


def shipped_policy_of(target: str) -> str:
    """Name of the shipped policy whose rules a target of this kind can meet.

    The result is `release` if the name does not tell the kind of target, such as
    `python:MODULE:NAME`.
    """
    if target.startswith("scores:"):
        return "release-scores"
    if target.startswith("openai:"):
        return "release-endpoint"
    folder = Path(target.removeprefix("hf:")) if target else None
    if folder is None or not (folder / MANIFEST).is_file():
        return "release"
    manifest = RecommenderManifest.read(folder)
    styles = {"rank": "release-item-tokens", "generate": "release-local"}
    return styles.get(manifest.style, "release")


def policy_for(name: str, attributes: Sequence[str], *, shipped: str = "release") -> str:
    """Return a shipped release policy as YAML, with rules for the groups of the given attributes.

    Args:
        attributes: attributes of the users; each gets a rule on its gap in NDCG@10, instead of the
            shipped rules on groups.
        shipped: name of the policy, see `shipped_policy_of`.

    Raises:
        ConfigurationError: an attribute's name is not valid in a policy.
    """
    bad = next((one for one in attributes if not one.replace("_", "").isalnum()), None)
    if bad is not None:
        raise ConfigurationError(
            f"the name of the user column {bad!r} is not valid in a policy. Rename the column, "
            "using letters, digits and underscores."
        )
    text = find_recipe(shipped, kind="policy").read_text(encoding="utf-8")
    return "\n".join(_lines(text, name, attributes))


def _lines(text: str, name: str, attributes: Sequence[str]) -> Iterator[str]:
    rules = [_RULE.format(attribute=one, limit=_LIMIT) for one in attributes]
    for line in text.split("\n"):
        if line.startswith("name: "):
            yield f"name: {name}"
        elif _GROUP_METRICS not in line:
            yield line
        else:
            yield from rules
            rules = []
