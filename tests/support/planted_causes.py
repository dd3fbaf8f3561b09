"""A tiny language model whose recommendation has known causes in the history.

Each of eight classes has two trigger items. If a history has at least one of them, the model
recommends the item of the class, otherwise a default item. So one trigger is a single cause, and
two triggers of one class are redundant causes: either suffices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from auditkit.recommenders.adapters.language_model import LanguageModel
from auditkit.recommenders.adapters.manifest import Decoding, RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.training.model import build_model
from auditkit.training.recipe import ModelRecipe
from auditkit.training.tokenizer import build_tokenizer
from auditkit.types import Item, Request

torch.set_num_threads(1)
N_CLASSES, N_PLAIN = 8, 40
PLAIN = tuple(Item(f"p{i}", f"Plain {i}") for i in range(N_PLAIN))
TRIGGERS = tuple(
    tuple(Item(f"t{c}{side}", f"Trigger {c}{side}") for side in "ab") for c in range(N_CLASSES)
)
ANSWERS = tuple(Item(f"a{c}", f"Answer {c}") for c in range(N_CLASSES))
DEFAULT = Item("d", "Default")
EVERY_ITEM = (*PLAIN, *(t for pair in TRIGGERS for t in pair), *ANSWERS, DEFAULT)
_PROMPTS = {
    "history": "item_tokens",
    "recommend": ["{history} next:", "Next:{history} next:"],
    "describe": ["{item}"],
    "description": " Genres: {genres}. Year: {year}.",
}


@dataclass(frozen=True)
class Planted:
    """A request with its answer and the positions of the causes in its history."""

    request: Request
    answer: Item
    causes: tuple[int, ...]


def planted(rng: np.random.Generator, n: int, kind: str, *, user: str = "u") -> Planted:
    """A history of n items: `none`, `single` or `pair` of causes among plain items."""
    c = int(rng.integers(N_CLASSES))
    side = int(rng.integers(2))
    causes = {"none": (), "single": TRIGGERS[c][side : side + 1], "pair": TRIGGERS[c]}[kind]
    causes = causes[:n]
    plain = [PLAIN[int(i)] for i in rng.choice(N_PLAIN, size=n - len(causes), replace=False)]
    items = [*causes, *plain]
    items = [items[int(i)] for i in rng.permutation(n)]
    request = Request(user_id=user, history=tuple(items), k=1)
    answer = ANSWERS[c] if causes else DEFAULT
    return Planted(request, answer, tuple(i for i, item in enumerate(items) if item in causes))


def train(folder: Path, *, steps: int = 600, seed: int = 0) -> LanguageModel:
    """Train the model until its loss stays below 0.02 nats, and load it as a recommender."""
    recommender = _untrained(folder, seed)
    rng, model = np.random.default_rng(seed), recommender.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before, after, tokens = _tokens(recommender)
    low = 0
    for _ in range(steps):
        rows, labels = [], []
        for case in (_case(rng) for _ in range(96)):
            rows.append([*before, *(tokens[i.id] for i in case.request.history), *after])
            labels.append(tokens[case.answer.id])
        width = max(map(len, rows))
        # Padding on the right is never attended to by the position that predicts.
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        logits = model(input_ids=ids, use_cache=False).logits
        last = torch.tensor([len(row) - 1 for row in rows])
        chosen = logits[torch.arange(len(rows)), last]
        loss = torch.nn.functional.cross_entropy(chosen, torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        low = low + 1 if loss.item() < 0.02 else 0
        if low == 10:
            break
    model.eval()
    return recommender


def _case(rng: np.random.Generator) -> Planted:
    n = int(rng.integers(11))
    kind = "none" if n == 0 else str(rng.choice(["none", "single", "pair"], p=[0.3, 0.4, 0.3]))
    return planted(rng, n, kind)


def _tokens(recommender: LanguageModel) -> tuple[list[int], list[int], dict[str, int]]:
    """Token ids before and after the history, and of every item."""
    tokens = {item.id: recommender.token_ids("", item_reference(item.id))[1][0]
              for item in EVERY_ITEM}  # fmt: skip
    one = recommender.render(Request(user_id="u", history=EVERY_ITEM[:1], k=1))
    prompt, _ = recommender.token_ids(one, item_reference(DEFAULT.id))
    place = prompt.index(tokens[EVERY_ITEM[0].id])
    return prompt[:place], prompt[place + 1 :], tokens


def _untrained(folder: Path, seed: int) -> LanguageModel:
    tokenizer = build_tokenizer(
        [item_reference(item.id) for item in EVERY_ITEM], ["Next: next:"] * 9, vocabulary=300
    )
    size = ModelRecipe(width=64, layers=2, heads=4, mlp=128, context=64, text_vocabulary=300)
    build_model(size, tokenizer, seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "prompts.yaml").write_text(yaml.safe_dump(_PROMPTS))
    RecommenderManifest(
        version=1,
        name="planted causes",
        kind="causal",
        style="rank",
        prompt="prompts.yaml",
        decoding=Decoding(history_window=50),
    ).write(folder)
    loaded = load_folder(folder)
    assert isinstance(loaded, LanguageModel)
    return loaded
