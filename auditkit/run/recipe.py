"""Audit recipe: a YAML file with data, seed and probes; all errors in it are reported at once."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.probes.own_checks.check import OwnCheck
from auditkit.registry import OWN_CHECKS, load_object, probe_spec, probes
from auditkit.serialization.named_files import resolve_named_files
from auditkit.serialization.strict_yaml import Document, load_yaml
from auditkit.serialization.yaml_errors import all_errors, format_path, located, validate

__all__ = ["CATALOG_CHECKS", "AuditRecipe", "read_recipe", "with_reference"]

CATALOG_CHECKS = "hallucination.catalog"


class AuditRecipe(BaseModel):
    """Data, seed and probes of an audit.

    `probes` maps probe ids to parameters, in the order in which they run; `{}` means the defaults.
    `checks` are own checks of the user; `read_recipe` makes them the parameter of the last probe,
    `check`, so that the hash of a recipe without checks does not depend on this feature.
    `reference_catalog` becomes the parameter `reference_file` of `hallucination.catalog` in the
    same way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: typing.Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(default=0, ge=0)
    data: str = "ml-100k"
    catalog: str | None = None
    reference_catalog: str | None = Field(default=None, exclude=True)
    batch_size: int = Field(default=64, ge=1)
    probes: dict[str, dict[str, JsonValue]] = {}
    checks: tuple[OwnCheck, ...] = Field(default=(), exclude=True)

    def build(self, probe_id: str) -> Any:
        """Build the probe of one entry from its preset and parameters."""
        spec = probe_spec(probe_id)
        stated = json.dumps({**spec.preset, **self.probes[probe_id]})
        return TypeAdapter(load_object(spec.path)).validate_json(stated, strict=True)

    def only(self, names: typing.Sequence[str]) -> AuditRecipe:
        """Return this recipe restricted to the given dimensions or probe ids.

        Raises:
            ConfigurationError: a name is not a dimension or probe id, or the recipe has no such
                probe.
        """
        known = {*probes(), OWN_CHECKS, *(spec.dimension for spec in probes().values())}
        planned = {*self.probes, *(probe_spec(probe_id).dimension for probe_id in self.probes)}
        for name in names:
            if name in known and name not in planned:
                raise ConfigurationError(
                    f"recipe {self.name} has no probe of {name}. Add one to the recipe."
                )
            if name not in known:
                raise ConfigurationError(
                    f"--only got {name!r}, which is not the name of a dimension or "
                    f"probe.{did_you_mean(name, known)} `auditkit list probes` shows the names."
                )
        kept = {
            probe_id: parameters
            for probe_id, parameters in self.probes.items()
            if probe_id in names or probe_id.split(".", 1)[0] in names
        }
        return self.model_copy(update={"probes": kept})


def read_recipe(path: Path, *, allow_outside: bool = False) -> AuditRecipe:
    """Read an audit recipe and check every probe's parameters.

    Args:
        path: the YAML file.
        allow_outside: whether the recipe may name files outside of its folder and the current
            folder.

    Raises:
        ConfigurationError: the recipe is not valid; the message lists all errors with file and
            line.
    """
    document = load_yaml(path)
    named: list[list[str | int]] = [["data"], ["catalog"], ["reference_catalog"]]
    for probe_id, parameters in _stated_probes(document).items():
        named += [["probes", probe_id, *place] for place in _named_places(parameters)]
    folders = [Path(), path.parent]
    outside = resolve_named_files(document, named, folders=folders, allow_outside=allow_outside)
    if outside:  # before the probes are built, which read their files
        raise all_errors(document, outside)
    found = [
        error
        for probe_id, parameters in _stated_probes(document).items()
        for error in _probe_errors(document, probe_id, parameters)
    ]
    stated = document.data if isinstance(document.data, dict) else {}
    if not stated.get("checks"):
        if "probes" not in stated:
            found.append(located(document, ["probes"], "this key is required"))
        elif stated["probes"] == {}:
            found.append(
                located(document, ["probes"], "the recipe has no probe; name at least one")
            )
    found += _repeated_checks(document)
    if "reference_catalog" in stated and CATALOG_CHECKS not in _stated_probes(document):
        found.append(
            located(document, ["reference_catalog"], f"needs the probe {CATALOG_CHECKS}; add it")
        )
    hint = "`auditkit list probes` shows ids and parameters." if found else ""
    read = validate(document, TypeAdapter(AuditRecipe), others=found, hint=hint)
    return with_reference(_with_checks(read), read.reference_catalog)


def with_reference(recipe: AuditRecipe, reference: str | None) -> AuditRecipe:
    """Return the recipe with `reference` as the reference catalog of its catalog checks.

    A reference of None returns the recipe unchanged.

    Raises:
        ConfigurationError: the recipe does not run `hallucination.catalog`.
    """
    if reference is None:
        return recipe
    if CATALOG_CHECKS not in recipe.probes:
        raise ConfigurationError(
            f"a reference catalog needs the probe {CATALOG_CHECKS}, which recipe {recipe.name} "
            "does not have. Add the probe, or remove the reference catalog."
        )
    stated = {**recipe.probes[CATALOG_CHECKS], "reference_file": reference}
    probes = {**recipe.probes, CATALOG_CHECKS: stated}
    return recipe.model_copy(update={"probes": probes, "reference_catalog": None})


def _with_checks(recipe: AuditRecipe) -> AuditRecipe:
    """Move the checks of a recipe into the parameters of its last probe; unchanged without
    checks.
    """
    if not recipe.checks:
        return recipe
    checks: list[JsonValue] = [
        check.model_dump(mode="json", by_alias=True, exclude_none=True) for check in recipe.checks
    ]
    others = {name: stated for name, stated in recipe.probes.items() if name != OWN_CHECKS}
    own = {**recipe.probes.get(OWN_CHECKS, {}), "checks": checks}
    return recipe.model_copy(update={"probes": {**others, OWN_CHECKS: own}, "checks": ()})


def _repeated_checks(document: Document) -> Iterator[tuple[int, str]]:
    """Yield an error for every check id that occurs twice."""
    stated = document.data.get("checks") if isinstance(document.data, dict) else None
    seen: set[object] = set()
    for position, check in enumerate(stated if isinstance(stated, list) else ()):
        name = check.get("id") if isinstance(check, dict) else None
        if isinstance(name, str) and name in seen:
            yield located(
                document,
                ["checks", position, "id"],
                f"the check id {name!r} occurs twice; ids must be unique",
            )
        seen.add(name if isinstance(name, str) else None)


def _stated_probes(document: Document) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries under `probes` that are mappings; the schema rejects other entries."""
    stated = document.data.get("probes") if isinstance(document.data, dict) else None
    entries = stated.items() if isinstance(stated, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}


def _named_places(parameters: Mapping[str, Any]) -> Iterator[list[str | int]]:
    """Yield the key paths of parameters that name files or model folders."""
    for name, value in parameters.items():
        if name.endswith(("_file", "_model")):
            yield [name]
        elif name.endswith("_models") and isinstance(value, list):
            for position in range(len(value)):
                yield [name, position]


def _probe_errors(
    document: Document, probe_id: str, parameters: Mapping[str, Any]
) -> Iterator[tuple[int, str]]:
    place = ["probes", probe_id]
    has_checks = isinstance(document.data, dict) and bool(document.data.get("checks"))
    if probe_id not in probes() and not (probe_id == OWN_CHECKS and has_checks):
        yield located(document, place, f"unknown probe.{did_you_mean(probe_id, probes())}")
        return
    spec = probe_spec(probe_id)
    kind = load_object(spec.path)
    settable = {field.name for field in fields(kind)} - set(spec.preset)
    for name in parameters:
        if name not in settable:
            message = f"unknown parameter.{did_you_mean(name, settable)}"
            yield located(document, [*place, name], message)
    known = {name: value for name, value in parameters.items() if name in settable}
    try:
        # Strict JSON mode: `k: "10"` is not a number, and a list becomes a tuple.
        TypeAdapter(kind).validate_json(json.dumps({**spec.preset, **known}), strict=True)
    except ValidationError as error:
        for e in error.errors():
            path = [*place, *map(str, e["loc"])]
            line, _ = located(document, path[:3], "")
            message = e["msg"].removeprefix("Value error, ")
            yield line, f"{document.source}:{line}: {format_path(path)}: {message}"
