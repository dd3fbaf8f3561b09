"""Find a domain pack by name or file, and fill prompt texts with its words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

from pydantic import TypeAdapter

from auditkit.domains.pack import DomainPack
from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["DOMAINS", "MOVIES", "NEUTRAL", "domain_pack", "require_domain", "wording"]

DOMAINS = ("movies", "products", "books", "music", "news", "jobs", "items")
NEUTRAL, MOVIES = "items", "movies"


@lru_cache(maxsize=16)
def domain_pack(name: str | None) -> DomainPack:
    """Load the pack of a domain.

    Args:
        name: a name in `DOMAINS`, or the path of a YAML file; None for the neutral pack.

    Raises:
        ConfigurationError: no pack has this name, or the file is not a valid pack.
    """
    chosen = name or NEUTRAL
    if chosen in DOMAINS:
        with as_file(files("auditkit.domains") / f"{chosen}.yaml") as path:
            return _read(path)
    path = Path(chosen)
    if path.suffix not in (".yaml", ".yml"):
        require_domain(chosen)
    pack = _read(path)
    if unknown := sorted(set(pack.wordings) - set(_wordings())):
        near = did_you_mean(unknown[0], _wordings()) or f" Known: {', '.join(_wordings())}."
        raise ConfigurationError(f"{path}: `wordings` has the unknown name {unknown[0]!r}.{near}")
    return pack


def require_domain(name: str) -> str:
    """Return the name if auditkit has a pack of this name.

    Raises:
        ConfigurationError: auditkit has no pack of this name.
    """
    if name not in DOMAINS:
        raise ConfigurationError(
            f"there is no domain pack {name!r}.{did_you_mean(name, DOMAINS)} Give one of "
            f"{', '.join(DOMAINS)}, or the YAML file of your own pack with --domain."
        )
    return name


def wording(pack: DomainPack, name: str) -> str:
    """Return a prompt text in the words of a domain, from the pack or else from the defaults."""
    return pack.filled(pack.wordings.get(name) or _wordings()[name])


def _read(path: Path) -> DomainPack:
    return validate(load_yaml(path), TypeAdapter(DomainPack))


@lru_cache(maxsize=1)
def _wordings() -> Mapping[str, str]:
    """The default wordings, by name."""
    with as_file(files("auditkit.domains") / "wordings.yaml") as path:
        return validate(load_yaml(path), TypeAdapter(dict[str, str]))
