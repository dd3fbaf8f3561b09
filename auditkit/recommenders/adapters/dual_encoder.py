"""Dual encoders: rank items by the similarity of item and user vectors of one text encoder.

The text of an item is its title and the text of a user is the rendered prompt, so attributes and
edits in a prompt affect it as they affect a language model. Items are embedded once. Similarity is
the cosine, or the dot product if the folder says so.

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
from auditkit.domains.shipped import domain_pack
from auditkit.engine.decoder import Counters
from auditkit.engine.embedding import embed
from auditkit.recommenders.adapters.folder_fingerprint import folder_fingerprint
from auditkit.recommenders.adapters.manifest import RecommenderManifest, resolve_inside
from auditkit.recommenders.adapters.sentence_folder import SentencePipeline
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.prompting.token_encoding import control_tokens
from auditkit.types import Item, RankedItem, Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["DualEncoder"]


class DualEncoder:
    """A recommender that ranks a catalog with a text encoder.

    Attributes:
        name: name in the manifest. prompts: prompt templates. manifest: the parsed
            `recommender.yaml`.
        encoder: the model. counters: forward passes and tokens computed so far.
        notes: notes on the files, for the report.
    """

    notes: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        manifest: RecommenderManifest,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        items: Sequence[CatalogItem],
        pipeline: SentencePipeline,
        *,
        domain: str | None = None,
    ) -> None:
        self.name, self.manifest, self.counters = manifest.name, manifest, Counters()
        self._folder, self.encoder, self._tokenizer = folder, model, tokenizer
        self._pipeline = pipeline
        self._items = [Item(item.id, item.display_title) for item in items]
        self.prompts = (
            Prompts.read(resolve_inside(folder, manifest.prompt))
            if manifest.prompt
            else Prompts.shipped("titles", domain_pack(domain))
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
        """Embed texts of users as vectors [n, width]. A text that is too long loses its beginning,
        because the latest history items are at its end.
        """
        return self._embed(texts, self._pipeline.user_prompt)

    def _embed(self, texts: Sequence[str], before: str) -> NDArray[np.float32]:
        kept = []
        for text in texts:
            row, head = self._encode(before + text), self._head(before)
            kept.append(row[:head] + row[head + self._excess(row) :])
        pipeline = self._pipeline
        return embed(
            self.encoder, kept, self.counters, pooling=pipeline.pooling, layers=pipeline.layers
        )

    def _encode(self, text: str) -> list[int]:
        """Token ids with the model's special tokens; control tokens in the text are plain text."""
        with control_tokens(self._tokenizer, meant=False) as backend:
            return list(backend.encode(text.lower() if self._pipeline.lower_case else text).ids)

    def _head(self, before: str) -> int:
        """Number of tokens at the beginning that truncation does not remove: a special token and
        the prompt.
        """
        return max(1, len(self._encode(before)) - 1) if before else 1

    def _excess(self, ids: Sequence[int]) -> int:
        """Number of tokens beyond the limit of the encoder.

        The tokenizer may know a smaller limit: RoBERTa has two more positions than it can read.
        """
        limits = (
            self._pipeline.longest,
            getattr(self.encoder.config, "max_position_embeddings", None),
            self._tokenizer.model_max_length,
        )
        return max(0, len(ids) - min((limit for limit in limits if limit), default=len(ids)))

    @cached_property
    def _item_vectors(self) -> NDArray[np.float32]:
        return self._embed([item.title for item in self._items], self._pipeline.item_prompt)

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Return, for each request, the k most similar items among its candidates or, without
        candidates, among all items outside the history.
        """
        scores = self.embed([request.prompt for request in requests]) @ self._item_vectors.T
        return [self._best(request, row) for request, row in zip(requests, scores, strict=True)]

    def _best(self, request: Request, scores: NDArray[np.float32]) -> Response:
        exclude = self.manifest.decoding.exclude_history
        seen = {item.id for item in request.history} if exclude else set()
        listed = None if request.candidates is None else {item.id for item in request.candidates}
        order = np.argsort(-scores, kind="stable")
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
                score=float(scores[i]),
            )
            for i, _ in zip(allowed, range(request.k), strict=False)
        )
        left_out = self._excess(self._encode(self._pipeline.user_prompt + request.prompt))
        return Response(
            request_id=request.id,
            status="ok" if items else "no_answer",
            items=items,
            derived={"prompt_tokens_left_out": left_out} if left_out else {},
        )
