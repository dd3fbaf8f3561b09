"""Identity of a run, so that a folder never mixes two runs.

Budgets, deadlines and retries are not part of the identity: they change how many requests are sent,
not their content, so a run that stopped early can be resumed with a larger budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.domains.shipped import MOVIES, domain_pack
from auditkit.errors import ConfigurationError
from auditkit.evidence.manifest import MANIFEST, read_manifest
from auditkit.recommenders.adapters.folder_fingerprint import folder_fingerprint
from auditkit.recommenders.adapters.manifest import MANIFEST as RECOMMENDER
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.loading.load import LoadedRecommender, load_recommender
from auditkit.run.data import load_data
from auditkit.run.recipe import AuditRecipe
from auditkit.serialization.atomic_files import set_aside, sha256_file
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import SCHEMA_VERSION

__all__ = ["require_same_run", "run_identity", "set_aside_other_run"]


def run_identity(
    recipe: AuditRecipe, loaded: LoadedRecommender, catalog: Catalog, dataset: Dataset
) -> dict[str, JsonValue]:
    """Return the fingerprints of all inputs of a result; a run with another fingerprint is another
    run.
    """
    return {
        "recipe": sha256_json(recipe.model_dump(mode="json")),
        "target": loaded.fingerprint,
        "catalog": catalog.fingerprint,
        "data": dataset.fingerprint,
        "seed": recipe.seed,
        "version": ".".join(version("auditkit").split(".")[:2]),
        "schema_version": SCHEMA_VERSION,
        **_domain(catalog),
        **_files(recipe),
    }


def _domain(catalog: Catalog) -> dict[str, JsonValue]:
    """Hash of the domain pack, which contributes words to the prompts.

    The default pack, for movies, adds no hash, so that older runs keep their identity.
    """
    return {} if catalog.domain == MOVIES else {"domain": domain_pack(catalog.domain).sha256}


def _files(recipe: AuditRecipe) -> dict[str, JsonValue]:
    """Hashes of files and model folders that probes read.

    Files are named by parameters ending in `_file`, model folders by those ending in `_model` or
    `_models`.
    """
    return {**_named_files(recipe), **_model_folders(recipe)}


def _model_folders(recipe: AuditRecipe) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for probe_id, parameters in recipe.probes.items():
        for name, named in parameters.items():
            if name.endswith(("_model", "_models")):
                listed = named if isinstance(named, list) else [named]
                folders = [Path(one) for one in listed if isinstance(one, str) and one]
                # Another name, such as that of a served model, is in the hash of the recipe.
                hashes: list[JsonValue] = [
                    folder_fingerprint(folder, RecommenderManifest.read(folder))
                    for folder in folders
                    if (folder / RECOMMENDER).is_file()
                ]
                if hashes:
                    found[f"{probe_id}.{name}"] = hashes
    return found


def _named_files(recipe: AuditRecipe) -> dict[str, JsonValue]:
    return {
        f"{probe_id}.{name}": sha256_file(Path(named))
        for probe_id, parameters in recipe.probes.items()
        for name, named in parameters.items()
        if name.endswith("_file") and isinstance(named, str) and Path(named).is_file()
    }


def require_same_run(out: Path, identity: Mapping[str, Any], run_key: str, *, resume: bool) -> None:
    """Require that a run folder is unused, or contains this run and may be resumed.

    Raises:
        ConfigurationError: the folder contains another run (the message names what changed), or it
            contains this run and `resume` is false.
    """
    if not (out / MANIFEST).is_file():
        return
    manifest = read_manifest(out)
    if manifest.get("run_key") != run_key:
        before = manifest.get("fingerprints", {})
        changed = [name for name, value in identity.items() if before.get(name) != value]
        raise ConfigurationError(
            f"{out} contains another run: {', '.join(changed) or 'its identity'} changed. Give "
            "another --out folder; runs are never mixed."
        )
    if not resume:
        raise ConfigurationError(
            f"{out} contains this run already. To resume it, leave out --no-resume; to repeat it, "
            "give another --out folder."
        )


def set_aside_other_run(
    target: str,
    recipe: AuditRecipe,
    out: Path,
    *,
    catalog: str | None = None,
    allow_outside: bool = False,
) -> Path | None:
    """Rename a run folder that belongs to another model, recipe or version.

    Args:
        catalog, allow_outside: as in `load_data`.

    Returns:
        The new path; None if `out` contains no run or this run.
    """
    if not (out / MANIFEST).is_file():
        return None
    dataset, checked = load_data(recipe, catalog=catalog, allow_outside=allow_outside)
    loaded = load_recommender(target, dataset=dataset)
    run_key = sha256_json(run_identity(recipe, loaded, checked, dataset))
    if read_manifest(out).get("run_key") == run_key:
        return None
    return set_aside(out)
