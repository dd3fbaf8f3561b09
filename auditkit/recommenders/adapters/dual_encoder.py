"""Dual encoders: rank items by the cosine of item and user embeddings of one text encoder.

The text of an item is its title and the text of a user is the rendered prompt, so attributes and
edits in a prompt affect it as they affect a language model. Items are embedded once.

Source: SBERT (Reimers & Gurevych 2019) as a retriever; text-only item towers as in UniSRec
(Hou et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.items import CatalogItem
from auditkit.engine.decoder import Counters
from auditkit.engine.embedding import embed
from auditkit.recommenders.adapters.folder_fingerprint import folder_fingerprint
from auditkit.recommenders.adapters.manifest import RecommenderManifest, resolve_inside
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.prompting.token_encoding import control_tokens
from auditkit.types import Item, RankedItem, Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["DualEncoder"]


class DualEncoder:
    """A recommender that ranks a catalog with a text encoder.

    Attributes:
        name: from the manifest. prompts: prompt templates. manifest: the parsed `recommender.yaml`.
        encoder: the model. counters: forward passes and tokens computed so far.
        notes: what a report should say about the files.
    """

    notes: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        manifest: RecommenderManifest,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        items: Sequence[CatalogItem],
    ) -> None:
        self.name, self.manifest, self.counters = manifest.name, manifest, Counters()
        self._folder, self.encoder, self._tokenizer = folder, model, tokenizer
        self._items = [Item(item.id, item.display_title) for item in items]
        self.prompts = (
            Prompts.read(resolve_inside(folder, manifest.prompt))
            if manifest.prompt
            else Prompts.shipped("titles")
        )

    def fingerprint(self) -> str:
        """SHA-256 of the manifest and of all files that the manifest names."""
        return folder_fingerprint(self._folder, self.manifest)

    def render(self, request: Request) -> str:
        """Render the prompt, with the latest `history_window` items of the history."""
        window = self.manifest.decoding.history_window
        fields = {**request.__dict__, "history": request.history[-window:]}
        return self.prompts.render(Request(**fields))

    def reference(self, item: Item) -> str:
        """The title of the item."""
        return item.title

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [n, width]; a text longer than the encoder's context is truncated at its
        beginning, because the latest items of the history are at the end.
        """
        rows = [self._encode(text) for text in texts]
        kept = [row[:1] + row[1 + self._excess(row) :] for row in rows]
        return embed(self.encoder, kept, self.counters, pooling=self.manifest.pooling)

    def _encode(self, text: str) -> list[int]:
        """Token ids with the model's special tokens; control tokens in the text are plain text."""
        with control_tokens(self._tokenizer, meant=False) as backend:
            return list(backend.encode(text).ids)

    def _excess(self, ids: Sequence[int]) -> int:
        """Number of tokens beyond the encoder's context."""
        limit = getattr(self.encoder.config, "max_position_embeddings", None) or len(ids)
        return max(0, len(ids) - int(limit))

    @cached_property
    def _item_vectors(self) -> NDArray[np.float32]:
        return self.embed([item.title for item in self._items])

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """For each request, the k items with the largest cosine: its candidates, or all items
        outside the history.
        """
        cosines = self.embed([request.prompt for request in requests]) @ self._item_vectors.T
        return [self._best(request, row) for request, row in zip(requests, cosines, strict=True)]

    def _best(self, request: Request, cosines: NDArray[np.float32]) -> Response:
        exclude = self.manifest.decoding.exclude_history
        seen = {item.id for item in request.history} if exclude else set()
        listed = None if request.candidates is None else {item.id for item in request.candidates}
        order = np.argsort(-cosines, kind="stable")
        allowed = (
            i
            for i in order
            if self._items[i].id not in seen and (listed is None or self._items[i].id in listed)
        )
        items = tuple(
            RankedItem(
                raw=self._items[i].title,
                item_id=self._items[i].id,
                link="id",
                score=float(cosines[i]),
            )
            for i, _ in zip(allowed, range(request.k), strict=False)
        )
        left_out = self._excess(self._encode(request.prompt))
        return Response(
            request_id=request.id,
            status="ok" if items else "no_answer",
            items=items,
            derived={"prompt_tokens_left_out": left_out} if left_out else {},
        )
