"""Recommenders in a folder: a causal language model with a `recommender.yaml`, with or without a
peft adapter.

Style `rank` reads item tokens and ranks the whole catalog in one forward pass; style `generate`
writes titles as text. Loading executes nothing: safetensors only, no remote code, nothing from the
network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from auditkit.canonical import read_json, sha256_file, sha256_json
from auditkit.engine import forward
from auditkit.errors import AuditkitError, TargetUnavailable
from auditkit.recommenders.manifest import MANIFEST, RecommenderManifest, resolve_inside
from auditkit.recommenders.parsing import parse_cut, status_of_text
from auditkit.recommenders.prompts import Prompts, item_reference
from auditkit.recommenders.protocols import TokenScores
from auditkit.recommenders.tokens import decode, encode, encode_chat, item_tokens
from auditkit.types import Item, RankedItem, Request, Response

__all__ = ["CausalRecommender", "load_causal"]

_HASHED_KINDS = (".safetensors", ".jinja", ".model", ".tiktoken")
_HASHED_NAMES = (
    "adapter_config.json", "added_tokens", "chat_template", "config.json", "generation_config.json",
    "merges", "model.safetensors.index.json", "special_tokens_map", "token", "vocab",
)  # fmt: skip
# What audits and training write beside a model later; it is no part of its identity.
_WRITTEN_LATER = ("checkpoints", "evaluation", "ledger.jsonl", "log.jsonl", "manifest.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


class CausalRecommender:
    """A decoder-only language model as a recommender.

    Attributes:
        name: from the manifest. prompts: its templates. model, tokenizer: float32 on CPU, in
            evaluation mode.
        manifest: the parsed `recommender.yaml`.
    """

    def __init__(self, folder: Path, manifest: RecommenderManifest, model: PreTrainedModel) -> None:
        self.name, self.manifest, self.model = manifest.name, manifest, model
        self._folder = folder
        self.tokenizer = AutoTokenizer.from_pretrained(
            resolve_inside(folder, manifest.tokenizer),
            trust_remote_code=False,
            local_files_only=True,
        )
        self._items = item_tokens(self.tokenizer) if manifest.style == "rank" else {}
        if manifest.style == "rank" and not self._items:
            raise TargetUnavailable(
                f"{folder} has style 'rank' but its tokenizer knows no <item_..> token. Use "
                "style 'generate'."
            )
        default: Literal["item_tokens", "titles"] = "item_tokens" if self._items else "titles"
        self.prompts = (
            Prompts.read(resolve_inside(folder, manifest.prompt))
            if manifest.prompt
            else Prompts.shipped(default)
        )
        self._columns = torch.tensor(list(self._items.values()), dtype=torch.long)
        self._row_of = {item_id: row for row, item_id in enumerate(self._items)}

    def fingerprint(self) -> str:
        """SHA-256 over everything that the manifest names, and the manifest itself."""
        root = self._folder.resolve()
        hashes = {
            path.relative_to(root).as_posix(): sha256_file(path)
            for path in {root / MANIFEST, *self._named_files(root)}
        }
        return sha256_json(hashes)

    def _named_files(self, root: Path) -> Iterator[Path]:
        """Files of weights, tokenizer, adapter and prompt.

        A folder of its own counts whole; the model folder and the one of the weights also hold what
        others write, so there only weights, configurations and tokenizer files count.
        """
        manifest = self.manifest
        if manifest.prompt:
            yield resolve_inside(root, manifest.prompt)
        shared = (root, resolve_inside(root, manifest.weights))
        for name in filter(None, (manifest.weights, manifest.tokenizer, manifest.adapter)):
            folder = resolve_inside(root, name)
            if folder in shared:
                found = [path for path in folder.iterdir() if _is_model_file(path)]
                found += (folder / "additional_chat_templates").rglob("*")
            else:
                found = [
                    path
                    for path in folder.rglob("*")
                    if path.relative_to(folder).parts[0] not in _WRITTEN_LATER
                ]
            yield from (path for path in found if path.is_file())

    def render(self, request: Request) -> str:
        """The prompt, with the history cut to the newest `history_window` items."""
        window = self.manifest.decoding.history_window
        fields = {**request.__dict__, "history": request.history[-window:]}
        return self.prompts.render(Request(**fields))

    def reference(self, item: Item) -> str:
        """The item's token, or its title for a model that writes titles."""
        return item_reference(item.id) if self._items else item.title

    def describe_prompt(self, item: Item) -> str:
        """The prompt that asks for one item's genres and year."""
        return self.prompts.render_description(item)

    def recommend(self, requests: Sequence[Request]) -> Sequence[Response | str]:
        """Rank the catalog (style `rank`) or write a list (style `generate`)."""
        if self._items:
            return self._rank(requests)
        answers: dict[int, Response | str] = {}
        for temperature in sorted({request.temperature for request in requests}):
            rows = [i for i, r in enumerate(requests) if r.temperature == temperature]
            written = self._continue(
                [requests[i].prompt for i in rows],
                max_new_tokens=self.manifest.decoding.max_new_tokens,
                temperature=temperature,
                seeds=[requests[i].seed for i in rows],
            )
            for i, (ids, cut) in zip(rows, written, strict=True):
                text = decode(self.tokenizer, ids)
                answers[i] = _cut_list(requests[i], text) if cut else text
        return [answers[i] for i in range(len(requests))]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[str]:
        """Continue every prompt; chat models see it as a user's turn."""
        written = self._continue(
            prompts, max_new_tokens=max_new_tokens, temperature=temperature, seeds=seeds
        )
        return [decode(self.tokenizer, ids) for ids, _ in written]

    def _continue(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[forward.Generated]:
        return forward.generate(
            self.model,
            [self._encode(prompt) for prompt in prompts],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seeds=seeds,
        )

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """Log-probabilities of every continuation, nats per token."""
        pairs = [
            self._split(prompt, continuation)
            for prompt, options in zip(prompts, continuations, strict=True)
            for continuation in options
        ]
        flat = iter(forward.score(self.model, pairs))
        return [[next(flat) for _ in options] for options in continuations]

    def _encode(self, prompt: str) -> list[int]:
        """Token ids with the start token; a chat template brings its own around a user's turn."""
        if self.tokenizer.chat_template:
            return encode_chat(self.tokenizer, prompt, self._items)
        start = self.tokenizer.bos_token_id
        head = [] if start is None else [start]
        return [*head, *encode(self.tokenizer, prompt, self._items)]

    def _split(self, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
        """Prompt and continuation, tokenised as one text; a token across the boundary belongs to
        the continuation. Behind a chat template the continuation opens the assistant's turn.
        """
        alone = self._encode(prompt)
        if self.tokenizer.chat_template:
            return alone, encode(self.tokenizer, continuation, self._items)
        whole = self._encode(prompt + continuation)
        shared = next(
            (i for i, (a, b) in enumerate(zip(whole, alone, strict=False)) if a != b), len(alone)
        )
        return whole[:shared], whole[shared:]

    def _rank(self, requests: Sequence[Request]) -> list[Response]:
        logits = forward.next_token_logits(
            self.model, [self._encode(request.prompt) for request in requests]
        )
        log_probabilities = torch.log_softmax(logits, dim=1)[:, self._columns]
        ids = list(self._items)
        responses = []
        for request, scores in zip(requests, log_probabilities, strict=True):
            allowed = torch.ones(len(ids), dtype=torch.bool)
            if request.candidates is not None:
                allowed[:] = False
                allowed[
                    [
                        self._row_of[item.id]
                        for item in request.candidates
                        if item.id in self._row_of
                    ]
                ] = True
            if self.manifest.decoding.exclude_history:
                allowed[
                    [self._row_of[item.id] for item in request.history if item.id in self._row_of]
                ] = False
            ranked = scores.masked_fill(~allowed, -torch.inf).sort(descending=True, stable=True)
            best = [int(i) for i in ranked.indices[: min(request.k, int(allowed.sum()))]]
            items = tuple(
                RankedItem(
                    raw=item_reference(ids[i]),
                    item_id=ids[i],
                    link="item_token",
                    score=float(scores[i]),
                )
                for i in best
            )
            responses.append(
                Response(request_id=request.id, status="ok" if items else "no_answer", items=items)
            )
        return responses


def _cut_list(request: Request, text: str) -> Response:
    """A list that the token limit cut off: its unfinished last item does not count."""
    parsed = parse_cut(text)
    whole = parsed.titles
    return Response(
        request_id=request.id,
        status=status_of_text(text, n_items=len(whole), cut=True, k=request.k),
        text=text,
        items=tuple(RankedItem(raw=title) for title in whole),
        derived={"cut": True, "parse_style": parsed.style},
    )


def load_causal(folder: Path) -> CausalRecommender:
    """Load a model folder with a `recommender.yaml`.

    Raises:
        TargetUnavailable: pickled weights, remote code, or files that transformers cannot read.
    """
    manifest = RecommenderManifest.read(folder)
    weights = resolve_inside(folder, manifest.weights)
    adapter = resolve_inside(folder, manifest.adapter) if manifest.adapter else None
    _refuse_unsafe(weights, "*.safetensors")
    _refuse_hidden_adapter(weights)
    if adapter:
        _refuse_unsafe(adapter, "adapter_model.safetensors")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            weights,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
        )
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(
                model, adapter, local_files_only=True
            ).merge_and_unload()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise TargetUnavailable(
            f"{folder} cannot be loaded: {error}. Check the files that recommender.yaml names."
        ) from None
    model.eval()
    try:
        return CausalRecommender(folder, manifest, model)
    except AuditkitError:
        raise
    except (OSError, ValueError) as error:
        raise TargetUnavailable(f"the tokenizer of {folder} cannot be loaded: {error}.") from None


def _is_model_file(path: Path) -> bool:
    return path.suffix in _HASHED_KINDS or path.name.startswith(_HASHED_NAMES)


def _refuse_hidden_adapter(weights: Path) -> None:
    """An adapter among the weights: transformers would load it unasked, a pickled one too, over
    whatever base model it names.
    """
    if (weights / "adapter_config.json").exists():
        raise TargetUnavailable(
            f"{weights} holds adapter_config.json beside the weights. Move the adapter into a "
            f"folder of its own and name it as `adapter` in {MANIFEST}."
        )


def _refuse_unsafe(folder: Path, wanted: str) -> None:
    if not any(path.is_file() for path in folder.glob(wanted)):
        pickles = [p.name for pattern in _PICKLES for p in sorted(folder.glob(pattern))]
        found = f" It holds {pickles[0]}, a pickle that can run code." if pickles else ""
        raise TargetUnavailable(
            f"{folder} holds no {wanted}.{found} "
            "Convert with: model.save_pretrained(FOLDER, safe_serialization=True)"
        )
    config = folder / "config.json"
    if config.is_file() and "auto_map" in read_json(config.read_text(encoding="utf-8")):
        raise TargetUnavailable(
            f"{config} has an auto_map: the model needs code from its folder, which auditkit "
            "never runs. "
            "Use an architecture that transformers ships."
        )
