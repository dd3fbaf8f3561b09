"""Texts of the robustness probes, from the YAML files in this folder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

__all__ = ["shipped_texts"]


@cache
def shipped_texts(name: str) -> dict[str, Any]:
    """Return the content of the file `NAME.yaml` in this folder."""
    text = (files("auditkit.probes.robustness") / f"{name}.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
