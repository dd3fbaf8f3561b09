"""What a target and a catalog must offer for a probe of conversations."""

from __future__ import annotations

from auditkit.probes.base import NotAssessable
from auditkit.recommenders.execution.target import Target

__all__ = ["left_out", "require_chat"]


def require_chat(target: Target) -> None:
    """Require a target that takes turns of a chat.

    Raises:
        NotAssessable: a server with plain completions only.
    """
    if not getattr(target.recommender, "chat", True):
        raise NotAssessable(
            "the server has no chat turns, only completions, so it holds no conversation"
        )


def left_out(n: int, of: int) -> tuple[str, ...]:
    """A note on the users for whom no conversation could be made; empty if there are none."""
    return (f"{n:,} of {of:,} users have no walk: too few items share two facts",) if n else ()
