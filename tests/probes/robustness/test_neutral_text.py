"""Neutral controls have the length of the text that they control, and ask for nothing."""

from __future__ import annotations

import re

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from auditkit.probes.robustness.item_injection import ItemInjectionProbe, injection_templates
from auditkit.probes.robustness.neutral_text import neutral_like, same_length

TITLES = ("Up", "Paper Orchard (1990)", "Wireless Over-Ear Headphones, 40 h, Black",
          "Senior Nurse (m/w/d) at Klinikum Süd", "千と千尋の神隠し")  # fmt: skip
TEXTS = [text for name in ItemInjectionProbe().families for text in injection_templates()[name]]


def bpe():
    """Counts tokens of a small byte-pair encoding, learned from the templates."""
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(
        [*TEXTS, *TITLES], trainers.BpeTrainer(vocab_size=120, special_tokens=["?"])
    )
    return lambda text: len(tokenizer.encode(text).ids)


@pytest.mark.parametrize("title", TITLES)
def test_control_has_the_same_words_and_nearly_the_same_characters(title):
    for template in TEXTS:
        text = template.replace("{item}", title)
        control = neutral_like(text, start=title)
        assert len(control.split()) == len(text.split())
        assert abs(len(control) - len(text)) <= 0.1 * len(text), (text, control)
        assert control.startswith(title)


@pytest.mark.parametrize("title", TITLES)
def test_control_has_the_same_tokens_up_to_one(title):
    count = bpe()
    for template in TEXTS:
        text = template.replace("{item}", title)
        control = neutral_like(text, start=title, count=count)
        assert abs(count(control) - count(text)) <= 1, (text, control)
        assert same_length(text, control, count=count)


def test_control_contains_no_order_and_no_praise():
    orders = re.compile(
        r"\b(?:rank|place|put|list|return|show|start|recommend|ignore|first|top|best|most|system)\b",
        re.IGNORECASE,
    )
    for template in TEXTS:
        text = template.replace("{item}", "X")
        assert orders.search(text)
        assert not orders.search(neutral_like(text, start="X"))


def test_every_family_has_at_least_four_templates_that_name_the_item():
    for listed in injection_templates().values():
        assert len(listed) >= 4
        assert all("{item}" in text for text in listed)
