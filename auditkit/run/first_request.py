"""Try one request before an audit, so that an error of all requests is reported at once.

Examples of such errors are a chat template that rejects the system turn, and a model with fewer
embeddings than its tokenizer has tokens. The request is not recorded. A server has already got a
request from the capability check, so it is tried again only if the prompt templates have earlier
turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.catalog.dataset import Dataset
from auditkit.errors import TargetUnavailable
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import (
    Bounded,
    Generates,
    RawResponse,
    Recommends,
    Remote,
    Scores,
)
from auditkit.types import Request, Response

__all__ = ["check_first_request"]

_TRIES = 3  # one user's history may be too long for the model
_FIRST_TOKENS = 16
_MAX_DETAIL = 500


def check_first_request(target: Target, loaded: LoadedRecommender, dataset: Dataset) -> None:
    """Try one request to a model folder or a server, and up to three if requests fail.

    Raises:
        TargetUnavailable: all tried requests failed; the message contains the last error.
    """
    recommender = target.recommender
    if isinstance(recommender, Remote):
        if not target.prompts.opening():
            return
    elif not loaded.manifest:
        return  # only model folders have a manifest
    writes = loaded.manifest.get("style") == "generate"

    def ask(batch: Sequence[Request], _: Sequence[Mapping[str, Any]]) -> Sequence[RawResponse]:
        for request in batch:
            _send(target, request, writes=writes)
        return [Response(request_id=request.id, status="no_answer") for request in batch]

    response: Response | None = None
    for user in load_users(dataset)[:_TRIES]:
        response = target.try_unrecorded(
            neutral_request(user, k=10), ask, max_new_tokens=_FIRST_TOKENS
        )
        if response is None or response.status != "target_error":
            return
    if response is None:
        return  # a data set without users
    words = " ".join(f"{response.reason}: {response.derived.get('error', '')}".split())
    raise TargetUnavailable(
        f"the first requests to {getattr(recommender, 'name', 'the recommender')} failed "
        f"({words[:_MAX_DETAIL]}), so an audit would measure nothing. Check the chat template, the "
        "tokenizer and the prompt templates of the model."
    )


def _send(target: Target, request: Request, *, writes: bool) -> None:
    """Run every operation of a local model once.

    If a list is generated token by token, only the first token is generated.
    """
    recommender = target.recommender
    if isinstance(recommender, Bounded) and writes:
        recommender.room(request)  # encodes the whole conversation
    elif isinstance(recommender, Recommends):
        recommender.recommend([request])
    if isinstance(recommender, Generates):
        recommender.generate([request.prompt], max_new_tokens=1, temperature=0.0, seeds=[0])
    if isinstance(recommender, Scores) and request.history:
        recommender.score([request.prompt], [[target.reference(request.history[-1])]])
