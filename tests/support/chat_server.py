"""A local server with a real small model, a real tokenizer and a real chat template.

It speaks the dialects that auditkit scores with: `prompt_logprobs` and `continue_final_message` of
vLLM, `/apply-template` of llama.cpp, `/tokenize` and `/detokenize` of vLLM, and `echo`. A dialect
that is not named in `dialects` is unknown to the server. Faults are planted by name.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import torch
from local_http import running
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.set_num_threads(1)
EVERY = ("prompt_logprobs", "apply-template", "tokenize", "echo")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content FILTER }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_CORPUS = [
    "What is the capital of France? Paris is the capital. The capital of France is Paris.",
    "Name a movie with a robot. Recommend movies: Heat, Fargo, Toy Story, Alien, Jaws, Brazil.",
    "1. Toy Story (1995)\n2. Fargo (1996)\n3. Heat (1995)\nCafé Müller",
]  # fmt: skip
_SPECIAL = ["<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]


@cache
def tokenizer(*, trims=False):
    """A byte-level BPE tokenizer that adds `<s>`, with a chat template that writes `<s>` too."""
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=_SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(_CORPUS * 3, trainer)
    model.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", model.token_to_id("<s>"))]
    )
    found = PreTrainedTokenizerFast(tokenizer_object=model, bos_token="<s>", eos_token="<|end|>")
    found.chat_template = TEMPLATE.replace("FILTER", "| trim" if trims else "")
    return found


@cache
def model():
    """A Llama of random weights in float64, far from uniform."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer()), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=128,
    )  # fmt: skip
    found = LlamaForCausalLM(config).to(torch.float64).eval()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(3)
        # Special tokens and parts of characters are never generated, as in a trained model.
        texts = tokenizer().batch_decode([[i] for i in range(len(tokenizer()))])
        odd = [i for i, t in enumerate(texts) if i < len(_SPECIAL) or not t.strip().isalpha()]
        found.lm_head.weight[odd] = 0
    return found


@torch.inference_mode()
def log_probabilities(ids):
    """[n, vocabulary] in nats: row i is the prediction after i + 1 tokens."""
    return model()(input_ids=torch.tensor([ids]), use_cache=False).logits[0].log_softmax(dim=-1)


def texts_of(ids):
    """The text that every token adds, as vLLM writes it: a character belongs to its last token."""
    found, known = [], ""
    for n in range(1, len(ids) + 1):
        text = tokenizer().decode(ids[:n])
        added = "" if text.endswith("\ufffd") else text[len(known) :]
        found.append(added)
        known += added
    return found


def chat_text(turns, *, answer=None, trims=False):
    """The rendered chat up to its answer, as text."""
    text = tokenizer(trims=trims).apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True
    )
    return text + (answer or "")


def local_scores(text, continuation, *, special=False):
    """Nats per token of a continuation of a text, from one forward pass; the reference."""
    encode = lambda t: tokenizer().encode(t, add_special_tokens=special)  # noqa: E731
    before, whole = encode(text), encode(text + continuation)
    table = log_probabilities(whole)
    return [float(table[i - 1, whole[i]]) for i in range(len(before), len(whole))]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen = self.server.seen
        seen.asked.append((self.path, body))
        routes = {
            "/v1/chat/completions": self.chat,
            "/v1/completions": self.complete,
            "/apply-template": self.render,
            "/tokenize": self.tokenize,
            "/detokenize": self.detokenize,
        }
        known = self.path.strip("/") in seen.dialects or self.path.startswith("/v1")
        if self.path == "/detokenize":
            known = "tokenize" in seen.dialects
        special = "prompt_logprobs" in body or not self.path.startswith("/v1")
        if "hangs_up" in seen.faults and special:
            self.close_connection = True
            return
        if "fails" in seen.faults and special:
            known = True
            routes[self.path] = lambda _: None
        status, found = (200, routes[self.path](body)) if known else (404, {"detail": "Not Found"})
        if found is None:
            status, found = 500, {"error": {"message": "KeyError"}}
        content = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # --- routes

    def chat(self, body):
        seen, turns = self.server.seen, body["messages"]
        own = tokenizer(trims=seen.trims)
        if "ignores_template" in seen.faults and "prompt_logprobs" in body:
            text = "".join(turn["content"] for turn in turns)
        else:
            text = own.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=body.get("add_generation_prompt", True),
                continue_final_message=body.get("continue_final_message", False),
            )
        ids = own.encode(text, add_special_tokens=False)
        token, values = self.next_token(ids)
        written = own.decode([token])
        message = {"role": "assistant", "content": written}
        if "reasons" in seen.faults:
            message = {"role": "assistant", "content": None, "reasoning_content": written}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        if body.get("logprobs"):
            content = [{"token": written, "logprob": float(values[token]), "top_logprobs": []}]
            choice["logprobs"] = {"content": content}
        found = {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}}
        if "prompt_logprobs" in seen.dialects and body.get("prompt_logprobs") is not None:
            found["prompt_logprobs"] = self.prompt_logprobs(ids)
        return found

    def prompt_logprobs(self, ids):
        texts = tokenizer().batch_decode([[token] for token in ids[1:]])
        rows = zip(ids[1:], texts, self.values(ids), strict=True)
        found = [{str(i): {"logprob": v, "rank": 1, "decoded_token": text}} for i, text, v in rows]
        return [None, *found]

    def complete(self, body):
        ids = tokenizer().encode(body["prompt"], add_special_tokens=True)
        token, row = self.next_token(ids)
        tokens, values = [tokenizer().decode([token])], [float(row[token])]
        if body.get("echo"):
            if "echo" not in self.server.seen.dialects:
                return {"choices": [{"text": tokens[0], "finish_reason": "length"}]}
            tokens = [*texts_of(ids), *tokens]
            values = [None, *self.values(ids), *values]
        table = {"tokens": tokens, "token_logprobs": values, "text_offset": [-1] * len(tokens)}
        choice = {"text": "".join(tokens), "finish_reason": "length", "logprobs": table}
        return {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}}

    def values(self, ids):
        """Log-probability of every token but the first."""
        table = log_probabilities(ids)
        found = [float(table[i - 1, ids[i]]) for i in range(1, len(ids))]
        if "shifted" in self.server.seen.faults:
            found = [*found[1:], float(table[-1].max())]
        return found

    def next_token(self, ids):
        row = log_probabilities(ids)[-1]
        return int(row.argmax()), row

    def render(self, body):
        text = chat_text(body["messages"], trims=self.server.seen.trims)
        if "strips_bos" in self.server.seen.faults:  # as llama.cpp does, whose tokenizer adds it
            text = text.removeprefix("<s>")
        return {"prompt": text}

    def tokenize(self, body):
        text = chat_text(body["messages"], trims=self.server.seen.trims)
        ids = tokenizer().encode(text, add_special_tokens=False)
        return {"tokens": ids, "count": len(ids), "max_model_len": 2048}

    def detokenize(self, body):
        return {"prompt": tokenizer().decode(body["tokens"])}


@contextmanager
def chat_server(*dialects, faults=(), trims=False):
    """A running server: (base URL, what it saw: `asked` is a list of paths and bodies)."""
    seen = SimpleNamespace(asked=[], dialects=dialects, faults=faults, trims=trims)
    with running(Handler, seen=seen) as server:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
