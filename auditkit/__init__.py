"""auditkit: audit any LLM recommender with intervals on every number and a gate that can say
"inconclusive".

The public names below are imported on first use, so `import auditkit` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.api import audit, gate, load_recommender, report, train
    from auditkit.catalog.building.open import load_catalog
    from auditkit.catalog.catalog import Catalog
    from auditkit.errors import AuditkitError
    from auditkit.reporting.exports.mlflow_run import log_to_mlflow
    from auditkit.run.options import AuditOptions
    from auditkit.types import AuditResult, Estimate, Finding, Item, Request, Response

__all__ = [
    "AuditOptions",
    "AuditResult",
    "AuditkitError",
    "Catalog",
    "Estimate",
    "Finding",
    "Item",
    "Request",
    "Response",
    "audit",
    "gate",
    "load_catalog",
    "load_recommender",
    "log_to_mlflow",
    "report",
    "train",
]

_HOME = {
    "AuditOptions": "auditkit.run.options",
    "AuditkitError": "auditkit.errors",
    "Catalog": "auditkit.catalog.catalog",
    "audit": "auditkit.api",
    "gate": "auditkit.api",
    "load_catalog": "auditkit.catalog.building.open",
    "load_recommender": "auditkit.api",
    "log_to_mlflow": "auditkit.reporting.exports.mlflow_run",
    "report": "auditkit.api",
    "train": "auditkit.api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'auditkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME.get(name, "auditkit.types")), name)
