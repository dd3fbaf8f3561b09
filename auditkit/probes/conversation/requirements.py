"""What a target must be for a probe of conversations."""

from __future__ import annotations

from auditkit.probes.base import NotAssessable
from auditkit.recommenders.execution.target import Target

__all__ = ["require_chat"]


def require_chat(target: Target) -> None:
    """Require a target that takes turns of a chat.

    Raises:
        NotAssessable: a server with plain completions only.
    """
    if not getattr(target.recommender, "chat", True):
        raise NotAssessable(
            "the server has no chat turns, only completions, so it holds no conversation"
        )
