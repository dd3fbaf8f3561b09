"""Recipes and policies that ship with auditkit, found by name."""

from __future__ import annotations

import typing
from importlib.resources import as_file, files
from pathlib import Path

from auditkit.errors import ConfigurationError, did_you_mean

__all__ = ["find_recipe", "shipped_recipes"]


def _recipes_folder() -> Path:
    """Return the folder of the shipped recipes, in the wheel or at the root of a source
    checkout.
    """
    inside = files("auditkit") / "_recipes"
    if inside.is_dir():
        with as_file(inside) as path:
            return path
    return Path(__file__).resolve().parent.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Return every shipped file by name, such as `audit/quick`, `train/p5-mini`,
    `policy/release`.
    """
    root = _recipes_folder()
    return {
        str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.yaml"))
    }


def find_recipe(name: str, *, kind: typing.Literal["audit", "train", "policy"]) -> Path:
    """Resolve a file path or the name of a shipped recipe.

    Raises:
        ConfigurationError: `name` is not a file or the name of a shipped recipe.
    """
    if Path(name).is_file():
        return Path(name)
    shipped = {
        key.split("/", 1)[1]: path
        for key, path in shipped_recipes().items()
        if key.startswith(f"{kind}/")
    }
    bare = Path(name).stem if name.startswith("recipes/") else name
    if bare in shipped:
        return shipped[bare]
    raise ConfigurationError(
        f"{name} is not a file or the name of a shipped {kind} "
        f"recipe.{did_you_mean(bare, shipped)} Shipped: {', '.join(shipped)}."
    )
