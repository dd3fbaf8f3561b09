"""Recompute the measurements of a run from its evidence, without calling the recommender.

The probes read the recorded log, as they do when a finished audit is resumed: every call is
answered from a record, and a call without a record is `not_run`. The recommender is loaded only
because its templates render the prompts, from which the ids of the calls are computed. The hash
chain of the evidence begins with the run key, which depends on recipe, data, catalog and
recommender.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import SealedLog
from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender, load_recommender
from auditkit.recommenders.protocols import Embeds
from auditkit.run.data import load_data
from auditkit.run.declared_facts import with_declared_facts
from auditkit.run.identity import run_identity
from auditkit.run.options import AuditOptions, Progress
from auditkit.run.provenance import describe_catalog, describe_target, detectors
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_probes
from auditkit.security.network_guard import Restriction, restricted_network
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import AuditResult, Finding, Outcome

__all__ = ["Recomputed", "as_audited", "recipe_of", "recompute_run"]

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12  # numerical libraries differ in the last digits
# Probes that read embeddings, which are not recorded.
_READS_EMBEDDINGS = frozenset({"fairness.leak"})


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """Result of a recomputation.

    Attributes:
        n_findings: number of recomputed findings.
        differences: one sentence per difference between `result.json` and the evidence.
        left_out: ids of probes that cannot be recomputed, because the evidence lacks some of their
            inputs.
    """

    n_findings: int
    differences: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def recompute_run(
    run: Path, *, target: str | None = None, options: AuditOptions = AuditOptions()
) -> Recomputed:
    """Recompute the findings from the recorded log and compare them with `result.json`.

    Args:
        run: the run folder.
        target: the audited recommender; None for the recommender that the manifest names.
        options: `catalog`, `prompts`, `target_card` and `limit` of the audit; an option that is
            None is read from the manifest. `allow_code` is required for a `python:` target,
            `allow_outside` for tables outside of the folder of their description.

    Raises:
        ConfigurationError: the recommender or the data differ from those of the run.
        IntegrityError: `result.json` or the evidence is damaged.
    """
    recorded, manifest = AuditResult.read(run), read_manifest(run)
    target, options = as_audited(manifest, target, options)
    recipe = recipe_of(recorded, manifest)
    dataset, catalog = load_data(
        recipe,
        catalog=options.catalog,
        domain=options.domain,
        allow_outside=options.allow_outside,
    )
    with restricted_network(Restriction()):
        loaded = with_declared_facts(
            _loaded(target, dataset, recorded, options), recipe, dataset, options
        )
        _require_identity(run_identity(recipe, loaded, catalog, dataset), manifest)
        log = SealedLog(run, recorded.run_key)
        probes = {name: p for name, p in recipe.probes.items() if not _embeds(name, loaded)}
        derived = _derive(
            recipe.model_copy(update={"probes": probes}), dataset, catalog, loaded, log, options
        )
        derived = replace(derived, recipe=recorded.recipe, run_key=recorded.run_key)
    left_out = tuple(name for name in recipe.probes if name not in probes)
    return Recomputed(
        n_findings=len(derived.findings),
        differences=tuple(_differences(_without(recorded, left_out), derived, log)),
        left_out=left_out,
    )


def as_audited(
    manifest: Mapping[str, Any], target: str | None, options: AuditOptions
) -> tuple[str, AuditOptions]:
    """Fill in target and options with the arguments of the audit, from its manifest.

    Raises:
        ConfigurationError: `target` is None, and the manifest does not name the recommender.
    """
    named = manifest.get("volatile", {}).get("audited", {})
    target = target or named.get("target")
    if target is None:
        raise ConfigurationError(
            "the manifest does not name the audited recommender. Give it with --target TARGET."
        )
    prompts, card = (
        getattr(options, name) or (Path(named[name]) if named.get(name) else None)
        for name in ("prompts", "target_card")
    )
    return target, replace(
        options,
        catalog=options.catalog or named.get("catalog"),
        prompts=prompts,
        target_card=card,
        domain=options.domain or named.get("domain"),
        limit=options.limit or named.get("limit"),
    )


def recipe_of(recorded: AuditResult, manifest: Mapping[str, Any]) -> AuditRecipe:
    """Read the recipe in `result.json` and check its hash against the manifest.

    Raises:
        IntegrityError: the recipe is not the recipe of the run.
    """
    try:
        recipe = TypeAdapter(AuditRecipe).validate_python(recorded.recipe)
    except ValidationError:
        recipe = None
    stated = manifest.get("fingerprints", {}).get("recipe")
    if recipe is None or sha256_json(recipe.model_dump(mode="json")) != stated:
        raise IntegrityError(
            "the recipe in result.json is not the one that was audited. Run the audit again."
        )
    return recipe


def _loaded(
    target: str, dataset: Dataset, recorded: AuditResult, options: AuditOptions
) -> LoadedRecommender:
    """Load the recommender without contacting a server."""
    loaded = load_recommender(
        target,
        dataset=dataset,
        prompts=options.prompts,
        allow_code=options.allow_code,
        connects=False,
    )
    if target.startswith("openai:") and "Scores" in recorded.target.capabilities:
        from auditkit.recommenders.remote.chat_scoring import CHAT_SCORERS
        from auditkit.recommenders.remote.openai_endpoint import ScoringEndpoint
        from auditkit.recommenders.remote.score_check import CHAT_NOTE

        scoring = ScoringEndpoint(target.partition(":")[2])
        if any(note.startswith(CHAT_NOTE) for note in recorded.target.notes):
            scoring.scorer = CHAT_SCORERS[0]  # any: it only says that the template was applied
        return replace(loaded, recommender=scoring)
    return loaded


def _require_identity(found: Mapping[str, JsonValue], manifest: Mapping[str, Any]) -> None:
    """Require that the inputs are those of the run.

    Raises:
        ConfigurationError: recommender, data, catalog or version differ; the message names them.
    """
    if sha256_json(found) == manifest["run_key"]:
        return
    before = manifest.get("fingerprints", {})
    changed = [name for name, value in found.items() if before.get(name) != value]
    raise ConfigurationError(
        "the run cannot be recomputed, because these inputs differ from those of the audit: "
        f"{', '.join(changed) or 'run identity'}. Give the same recommender, data, catalog and "
        "version of auditkit."
    )


def _embeds(probe_id: str, loaded: LoadedRecommender) -> bool:
    return probe_id in _READS_EMBEDDINGS and isinstance(loaded.recommender, Embeds)


def _derive(
    recipe: AuditRecipe,
    dataset: Dataset,
    catalog: Catalog,
    loaded: LoadedRecommender,
    log: SealedLog,
    options: AuditOptions,
) -> AuditResult:
    """Compute the result of the probes from the recorded log."""
    asked = Target(
        loaded.recommender,
        catalog=catalog,
        log=log,
        seed=recipe.seed,
        fingerprint=loaded.fingerprint,
        prompts=loaded.prompts,
        batch_size=recipe.batch_size,
        stop=StopRule(Budget(calls=0)),
    )
    outcomes, findings = run_probes(recipe, asked, dataset, loaded, options.limit, None, Progress())
    return AuditResult(
        run_key="",
        seed=recipe.seed,
        target=describe_target("", loaded, asked),
        catalog=describe_catalog(catalog, dataset),
        recipe={},
        environment={},
        outcomes=tuple(outcomes),
        findings=tuple(findings),
        detectors=detectors(recipe, asked, catalog),
    )


def _without(result: AuditResult, left_out: Sequence[str]) -> AuditResult:
    """Return the result without the probes that cannot be recomputed."""
    return replace(
        result,
        outcomes=tuple(o for o in result.outcomes if o.probe not in left_out),
        findings=tuple(f for f in result.findings if f.probe not in left_out),
    )


def _differences(recorded: AuditResult, derived: AuditResult, log: SealedLog) -> Iterator[str]:
    """Yield a sentence for each measurement, count or description that the evidence contradicts."""
    written, found = ({_key(f): f for f in r.findings} for r in (recorded, derived))
    for key in dict.fromkeys([*written, *found]):
        if key not in found or key not in written:
            where = "result.json" if key in written else "the evidence"
            yield f"the finding {key} is only in {where}"
        else:
            yield from _compared(key, _plain(written[key]), _plain(found[key]))
    before, after = ({o.probe: o for o in r.outcomes} for r in (recorded, derived))
    for probe in dict.fromkeys([*before, *after]):
        if probe in before and probe in after:
            yield from _compared(probe, _counted(before[probe]), _counted(after[probe]))
        else:
            yield f"probe {probe} is only in {'result.json' if probe in before else 'the recipe'}"
    for name in ("seed", "catalog", "detectors"):
        ours, theirs = (_adapter(r)[name] for r in (recorded, derived))
        yield from _compared(name, ours, theirs)
    for name in ("fingerprint", "verified", "manifest"):
        ours, theirs = (_adapter(r)["target"][name] for r in (recorded, derived))
        yield from _compared(f"target.{name}", ours, theirs)
    asked = {o.probe for o in derived.outcomes if o.planned}
    for probe in sorted({body["probe"] for body in log.records} & set(after) - asked):
        yield f"probe {probe} has records in the evidence but was not measured"


def _key(finding: Finding) -> str:
    return f"{finding.metric} [{finding.group}]"


def _adapter(value: object) -> Any:
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def _plain(finding: Finding) -> Any:
    return _adapter(finding)


def _counted(outcome: Outcome) -> dict[str, object]:
    """Return status, counts and reason; the reason of a stopped run is left out, because it depends
    on the budget.
    """
    stopped = bool(outcome.counts.get("not_run"))
    reason = None if stopped or outcome.status == "error" else outcome.reason
    counts = {name: n for name, n in outcome.counts.items() if n}
    return {
        "status": outcome.status,
        "planned": outcome.planned,
        "counts": counts,
        "reason": reason,
    }


def _compared(place: str, recorded: Any, derived: Any) -> Iterator[str]:
    """Yield the places at which two JSON values differ by more than rounding."""
    if isinstance(recorded, dict) and isinstance(derived, dict):
        for name in sorted({*recorded, *derived}):
            yield from _compared(f"{place}.{name}", recorded.get(name), derived.get(name))
    elif isinstance(recorded, list) and isinstance(derived, list) and len(recorded) == len(derived):
        for i, (ours, theirs) in enumerate(zip(recorded, derived, strict=True)):
            yield from _compared(f"{place}[{i}]", ours, theirs)
    elif not _same(recorded, derived):
        yield f"{place}: result.json has {recorded!r}, the evidence gives {derived!r}"


def _same(a: Any, b: Any) -> bool:
    numbers = (int, float)
    if isinstance(a, numbers) and isinstance(b, numbers) and not isinstance(a, bool):
        return math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(a == b)
