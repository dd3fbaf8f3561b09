"""Parts of a causal language model that the executors call: decoder, head and soft prompt.

The decoder runs without its head, and the head runs only on rows where a token is predicted: with a
vocabulary of 49,152, logits of every position take a third of the forward time and gigabytes of
memory. How the model transforms its logits (soft-capping, scaling) is determined by comparison with
the logits of the complete model, not by the model's name.
"""

from __future__ import annotations

import inspect
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from auditkit.engine.releases import cache_argument, cache_of_output, fill

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Body", "Counters", "Path", "cache_of", "decoder_of", "path_of", "upcast"]

# Keys and values of every layer, each [1 or rows, heads, tokens, head size].
Path = list[tuple[torch.Tensor, torch.Tensor]]
# Larger chunks are allocated again for each call, and page faults made them a fifth slower.
_LOGIT_BYTES = 24 << 20


@dataclass
class Counters:
    """Counts of the positions passed to the model, the forward passes, and the rows passed to the
    head.

    Packed calls also count the tokens that one forward pass per pair would need, and the distinct
    tokens in the token tree.
    """

    tokens: int = 0
    forwards: int = 0
    head_rows: int = 0
    tokens_asked: int = 0
    unique_tokens: int = 0

    def count(self, ids: torch.Tensor) -> None:
        """Count one forward pass of a batch [rows, positions]."""
        self.tokens += ids.numel()
        self.forwards += 1


def upcast(tensor: torch.Tensor) -> torch.Tensor:
    """Convert half precision to float32 before a softmax; float32 and float64 are unchanged."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def cache_of(path: Path, rows: int = 1) -> DynamicCache:
    """Create a KV cache of `rows` rows that begin with the tokens of a path.

    Args:
        path: keys and values of these tokens by layer, either one row, which all rows then share,
            or `rows` rows. It is not modified.
    """
    cache = DynamicCache()
    for keys, values in path:
        layer = DynamicLayer()
        fill(layer, keys.expand(rows, *keys.shape[1:]), values.expand(rows, *values.shape[1:]))
        cache.layers.append(layer)
    return cache


def decoder_of(base: PreTrainedModel) -> torch.nn.Module:
    """Return the decoder of a causal language model, that is, the model without its head, which
    computes the last hidden states.

    Args:
        base: the model without a peft wrapper.
    """
    # In release 4.57 `get_decoder` of GPT-2 returns the model with its head.
    unnamed = base.base_model is base  # a name that does not fit, as of Gemma 3 in release 4.57
    decoder: torch.nn.Module = base.get_decoder() if unnamed else base.base_model
    return decoder


class Body:
    """A causal language model split into decoder and head.

    Attributes:
        model: the complete model as deployed, including adapters.
        base: the model without a peft wrapper, including LoRA layers.
        n_virtual: number of tokens of a soft prompt or tuned prefix, at the start of every path.
        kv_bytes: bytes of keys and values per token.
        adjust: maps head outputs to logits; None if no known transformation reproduces the logits.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.base = model.get_base_model() if hasattr(model, "get_base_model") else model
        config = getattr(model, "active_peft_config", None)
        self.n_virtual = 0
        if config is not None and config.is_prompt_learning:
            self.n_virtual = int(config.num_virtual_tokens)
        self._decoder, self._head = decoder_of(self.base), self.base.get_output_embeddings()
        accepted = inspect.signature(self._decoder.forward).parameters
        self.takes_positions = "position_ids" in accepted
        self._cache = cache_argument(self._decoder)
        self._keeps = "logits_to_keep" in inspect.signature(self.base.forward).parameters
        text = self.base.config.get_text_config()
        queries = getattr(text, "num_attention_heads", None) or 1  # Mamba has no attention
        heads = getattr(text, "num_key_value_heads", None) or queries
        size = getattr(text, "head_dim", None) or text.hidden_size // queries
        self.n_layers, width = text.num_hidden_layers, self.dtype.itemsize
        self.kv_bytes = 2 * self.n_layers * heads * size * width
        self.context: int | None = getattr(text, "max_position_embeddings", None)
        self.adjust = self._find_adjustment()

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        first: torch.Tensor = next(self.base.parameters())
        return first.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        first: torch.Tensor = next(self.base.parameters())
        return first.device

    @property
    def vocabulary(self) -> int:
        """Size of the vocabulary, which is the number of logits per position."""
        return int(self._head.weight.shape[0])

    @property
    def body_parameters(self) -> int:
        """Number of parameters of the model without embedding and head."""
        outside = {id(self._head.weight), id(self.base.get_input_embeddings().weight)}
        return sum(p.numel() for p in self.base.parameters() if id(p) not in outside)

    def states(
        self,
        ids: torch.Tensor,
        *,
        mask: torch.Tensor | None,
        positions: torch.Tensor,
        cache: DynamicCache | None,
        counters: Counters,
    ) -> torch.Tensor:
        """Run one forward pass, which extends the cache; return the last hidden states [rows,
        positions, width].
        """
        counters.count(ids)
        extra: dict[str, object] = {} if cache is None else {self._cache: cache}
        if self.takes_positions:
            extra["position_ids"] = positions
        output = self._decoder(
            input_ids=ids, attention_mask=mask, use_cache=cache is not None, **extra
        )
        last: torch.Tensor = output.last_hidden_state
        return last

    def next_logits(
        self,
        ids: torch.Tensor,
        *,
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: DynamicCache | None,
        use_cache: bool,
        counters: Counters,
    ) -> tuple[torch.Tensor, DynamicCache | None]:
        """Run one forward pass; return the logits after each row's last token, [rows, vocabulary],
        and the cache.
        """
        counters.count(ids)
        counters.head_rows += ids.shape[0]
        extra: dict[str, object] = {} if cache is None else {self._cache: cache}
        if self.takes_positions:
            extra["position_ids"] = positions
        if self._keeps:
            extra["logits_to_keep"] = 1
        output = self.base(input_ids=ids, attention_mask=mask, use_cache=use_cache, **extra)
        return upcast(output.logits[:, -1]), cache_of_output(output)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Logits [n, vocabulary] of hidden states [n, width], float32 or float64."""
        adjust = self.adjust or _identity
        return upcast(adjust(self._head(states)))

    def log_probabilities(
        self, states: torch.Tensor, asked: Sequence[tuple[int, int]], counters: Counters
    ) -> list[float]:
        """Return the log-probability in nats of every requested (row, token); `states` are [n,
        width].

        The head runs once per distinct row, with at most 24 MiB of logits at a time.
        """
        rows = sorted({row for row, _ in asked})
        counters.head_rows += len(rows)
        place = {row: i for i, row in enumerate(rows)}
        order = sorted(range(len(asked)), key=lambda i: place[asked[i][0]])
        chunk = max(1, _LOGIT_BYTES // (4 * self.vocabulary))
        values = [0.0] * len(asked)
        at = 0
        for begin in range(0, len(rows), chunk):
            logits = self.logits(states[rows[begin : begin + chunk]])
            total = logits.logsumexp(dim=1)
            mine = order[at:]
            mine = mine[: bisect_left(mine, begin + chunk, key=lambda i: place[asked[i][0]])]
            at += len(mine)
            local = torch.tensor([place[asked[i][0]] - begin for i in mine], device=states.device)
            tokens = torch.tensor([asked[i][1] for i in mine], device=states.device)
            for i, value in zip(mine, (logits[local, tokens] - total[local]).tolist(), strict=True):
                values[i] = value
        return values

    @torch.inference_mode()
    def root(self) -> Path:
        """Keys and values of the soft prompt before the first token; empty without a soft
        prompt.
        """
        if not self.n_virtual:
            return []
        prompt = self.model.get_prompt(batch_size=1)
        cache = prompt if hasattr(prompt, "layers") else DynamicCache()
        if not hasattr(prompt, "layers"):
            embedded = prompt.to(self.dtype)
            self._decoder(inputs_embeds=embedded, use_cache=True, **{self._cache: cache})
        return path_of(cache)

    @torch.inference_mode()
    def _find_adjustment(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """First known transformation from head outputs to the model's logits; None if none fits."""
        ids = torch.arange(8, device=self.device)[None] % self.vocabulary
        own = self.base(input_ids=ids, use_cache=False).logits
        plain = self._head(self._decoder(input_ids=ids, use_cache=False).last_hidden_state)
        for adjust in _adjustments(self.base.config.get_text_config()):
            # Relative to the largest logit. NaN passes here, because scoring reports it.
            if not bool((adjust(plain) - own).abs().max() > 1e-4 * own.abs().max()):
                return adjust
        return None


def path_of(cache: DynamicCache) -> Path:
    """Keys and values of every layer of a cache."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def _identity(logits: torch.Tensor) -> torch.Tensor:
    return logits


def _adjustments(config: object) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    """Known transformations of logits, with the constants of this configuration."""
    found: list[Callable[[torch.Tensor], torch.Tensor]] = [_identity]
    if cap := getattr(config, "final_logit_softcapping", None):
        found.append(partial(_softcap, cap=cap))
    for name in ("logit_scale", "logits_scaling"):
        if factor := getattr(config, name, None):
            found += [partial(torch.mul, other=factor), partial(torch.div, other=factor)]
    return found


def _softcap(logits: torch.Tensor, *, cap: float) -> torch.Tensor:
    return torch.tanh(logits / cap) * cap
