"""The text of a response, whatever its form."""

from __future__ import annotations

from auditkit.types import Response

__all__ = ["text_of"]


def text_of(response: Response) -> str:
    """The text as it was returned; the listed titles for a recommender that returns only a list."""
    if response.text is not None:
        return response.text
    return "\n".join(item.raw for item in response.items)
