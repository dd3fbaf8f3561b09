"""The same quantity in the data and in the answers of a model that was trained on them."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.data_audit.check import DataCheck
from auditkit.types import AuditResult, Estimate

__all__ = ["beside_model"]


def beside_model(checks: Sequence[DataCheck], result: AuditResult) -> dict[str, Estimate]:
    """Return the audit's estimate of the metric related to each check, by id of the check.

    Checks whose metric the audit did not measure are left out.

    Args:
        checks: the checks of the training data.
        result: the audit of the model.
    """
    measured = {(f.metric, f.group): f.estimate for f in result.findings}
    return {
        check.id: measured[check.metric, check.group]
        for check in checks
        if check.metric is not None and (check.metric, check.group) in measured
    }
