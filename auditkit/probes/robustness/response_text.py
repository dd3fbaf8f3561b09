"""Text of a response that may be a text or a list."""

from __future__ import annotations

from auditkit.types import Response

__all__ = ["text_of"]


def text_of(response: Response) -> str:
    """Return the text of a response, or the listed titles if the recommender returns only a
    list.
    """
    if response.text is not None:
        return response.text
    return "\n".join(item.raw for item in response.items)
