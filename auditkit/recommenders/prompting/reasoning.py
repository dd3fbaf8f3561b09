"""Separate the reasoning that a model writes into its answer from the answer itself.

Servers with a reasoning parser return the reasoning in a separate field. Other servers leave it in
the text, where every title that the model considered would count as a recommendation. The
delimiters are those of published chat templates: `<think>` (DeepSeek, Qwen) and its spellings,
`[THINK]` (Mistral), `◁think▷` (Kimi), `<|START_THINKING|>` (Cohere), `<|begin_of_thought|>`
(OpenThinker), and the channels of the harmony format (gpt-oss). Templates that open the reasoning
in the prompt leave only the closing delimiter in the answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Answer", "without_reasoning"]

_WORDS = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad)"
_DELIMITER = re.compile(
    rf"<(?P<xml>/?)(?:\w{{1,16}}:)?{_WORDS}(?:\s[^<>]{{0,100}})?>"
    r"|\[(?P<square>/?)THINK\]"
    r"|\u25c1(?P<triangle>/?)think\u25b7"
    r"|<\|(?P<cohere>START|END)_THINKING\|>"
    r"|<\|(?P<thought>begin|end)_of_thought\|>",
    re.IGNORECASE,
)
_CLOSING = ("/", "end")
# Marks around the final answer, which are not part of it.
_FRAME = re.compile(
    r"</?answer>|<\|(?:begin|end)_of_solution\|>|<\|(?:START|END)_RESPONSE\|>", re.I
)
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]{0,200}(?:<\|constrain\|>[^<]{0,200})?<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
# Harmony after a decoder that drops special tokens: "analysisThe user wants ...assistantfinalHeat".
_BARE_CHANNEL = re.compile(r"\s*analysis(?=[A-Z])")
_BARE_FINAL = "assistantfinal"


class Answer(NamedTuple):
    """An answer whose reasoning was removed.

    Attributes:
        text: the text without reasoning. n_removed: number of passages of reasoning.
        unfinished: whether the text ends within a passage of reasoning, so that the answer is
            missing or was interrupted.
    """

    text: str
    n_removed: int = 0
    unfinished: bool = False


def without_reasoning(text: str) -> Answer:
    """Remove the passages of reasoning; a text without any is returned unchanged."""
    if _CHANNEL.search(text):
        return _final_channel(text)
    if _BARE_CHANNEL.match(text):
        _, found, final = text.rpartition(_BARE_FINAL)
        return Answer(final if found else "", 1, not found)
    answer = _outside(text)
    return answer._replace(text=_FRAME.sub("", answer.text)) if "<" in answer.text else answer


def _outside(text: str) -> Answer:
    """The text outside of the delimiters. Everything before a closing delimiter without an opening
    one is reasoning that the prompt opened.
    """
    kept: list[str] = []
    position, n_removed, inside = 0, 0, False
    for mark in _DELIMITER.finditer(text):
        closes = any((word or "").lower() in _CLOSING for word in mark.groups())
        if not closes and not inside:
            kept.append(text[position : mark.start()])
            n_removed, inside = n_removed + 1, True
        elif closes:
            if not inside:
                kept, n_removed = [], max(n_removed, 1)
            position, inside = mark.end(), False
    if not n_removed:
        return Answer(text)
    if not inside:
        kept.append(text[position:])
    return Answer("".join(kept), n_removed, inside)


def _final_channel(text: str) -> Answer:
    """The messages in the channel `final` of the harmony format."""
    final: list[str] = []
    n_removed = 0
    for start in _CHANNEL.finditer(text):
        if start[1] != "final":
            n_removed += 1
            continue
        end = _CHANNEL_END.search(text, start.end())
        final.append(text[start.end() : end.start() if end else len(text)])
    return Answer("\n".join(final), n_removed, not final)
