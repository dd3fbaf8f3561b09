"""Read log-probabilities from chat completions.

A generated token has its log-probability in `logprobs`. The tokens of the prompt have theirs in
`prompt_logprobs` (vLLM), a list with one entry per token of the rendered chat: null for the first
token, then `{token_id: {"logprob", "rank", "decoded_token"}}`. With `prompt_logprobs: 0` an entry
has only the token of the prompt.

The tokens of a continuation are those by which a chat with the continuation differs from the chat
without it. Their texts must spell the continuation: templates that strip the last message would
otherwise give the log-probabilities of another text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from auditkit.errors import TargetError
from auditkit.recommenders.prompting.reasoning import without_reasoning
from auditkit.recommenders.remote.echo_logprobs import is_log_probability

__all__ = ["REASONS", "PromptToken", "continuation_values", "generated_token", "prompt_tokens"]

REASONS = "the model reasons before it answers"
# A token that is a part of a character is decoded to the replacement character.
_PARTS = re.compile("\ufffd+")
_MOST_UNKNOWN = 16  # characters in a run of such tokens


class PromptToken(NamedTuple):
    """One token of a rendered chat, with its log-probability.

    Attributes:
        id: the server's token id, as text. logprob: nats. text: the token decoded on its own.
    """

    id: str
    logprob: float
    text: str


def prompt_tokens(result: Mapping[str, Any]) -> list[PromptToken]:
    """The tokens of a rendered chat except its first, which has no log-probability.

    Raises:
        TargetError: the response has no `prompt_logprobs` with one token per entry.
    """
    entries = result.get("prompt_logprobs")
    try:
        if not isinstance(entries, list) or len(entries) < 2 or entries[0] is not None:
            raise ValueError
        return [_token(entry) for entry in entries[1:]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise TargetError("bad_schema", detail="no log-probabilities of the chat") from None


def _token(entry: Mapping[str, Any]) -> PromptToken:
    ((token_id, value),) = entry.items()
    return PromptToken(str(token_id), float(value["logprob"]), str(value["decoded_token"]))


def continuation_values(
    before: Sequence[PromptToken], whole: Sequence[PromptToken], continuation: str
) -> list[float]:
    """Log-probabilities in nats of the tokens of a continuation, including a token that begins at
    the end of the prompt.

    Args:
        before: tokens of the chat before the answer.
        whole: tokens of the same chat followed by the beginning of the answer.

    Raises:
        TargetError: the two chats differ before the answer, the tokens do not spell the
            continuation, or a value is not a log-probability.
    """
    same = takewhile(lambda pair: pair[0].id == pair[1].id, zip(before, whole, strict=False))
    begin = sum(1 for _ in same)
    own = whole[begin:]
    if begin < len(before) - 1 or not own:
        raise TargetError("bad_schema", detail="the chat with an answer has another prompt")
    merged = begin < len(before)
    if not _spells([token.text for token in own], continuation, merged=merged):
        raise TargetError("bad_schema", detail="tokens that do not match the text")
    values = [token.logprob for token in own]
    if not all(is_log_probability(value) for value in values):
        raise TargetError("bad_schema", detail="no log-probabilities of the continuation")
    return values


def _spells(tokens: Sequence[str], text: str, *, merged: bool) -> bool:
    """Whether tokens spell a text; if the first token is `merged`, it begins before the text.

    Parts of a character match any character beyond ASCII. SentencePiece tokenizers lose the space
    before a word if a token is decoded on its own, so spaces inside of the text are not compared
    if the tokens do not spell it otherwise.
    """
    spelled = "".join(tokens)
    if merged:
        return spelled.endswith(text) and len(spelled) > len(text)
    if _matches(spelled, text):
        return True
    inside = text == text.strip(" ")
    return inside and _matches(spelled.replace(" ", ""), text.replace(" ", ""))


def _matches(spelled: str, text: str) -> bool:
    """Whether two texts are equal if each replacement character of `spelled` matches any character.
    The time is linear, because both may come from a hostile server.
    """
    places = {0}
    for number, known in enumerate(_PARTS.split(spelled)):
        if number:
            places = {
                place + n
                for place in places
                for n in range(1, _MOST_UNKNOWN + 1)
                if place + n <= len(text) and not text[place : place + n].isascii()
            }
        places = {place + len(known) for place in places if text.startswith(known, place)}
    return len(text) in places


def generated_token(result: Mapping[str, Any]) -> tuple[str, float]:
    """Text of the first generated token of a chat, and its log-probability in nats.

    Raises:
        TargetError: the result has no log-probability, the answer does not begin with this token,
            or the answer begins with reasoning, so that a list would not follow the prompt
            directly.
    """
    try:
        choice = result["choices"][0]
        table = choice["logprobs"]
        if isinstance(table.get("content"), list):
            first = table["content"][0]
            token, value = str(first["token"]), float(first["logprob"])
        else:  # as in a completion: old llama-cpp-python
            token, value = str(table["tokens"][0]), float(table["token_logprobs"][0])
        answer = choice["message"]["content"]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        raise TargetError("bad_schema", detail="no log-probability of a new token") from None
    text = answer if isinstance(answer, str) else ""
    begins = bool(text) and bool(token) and text.lstrip().startswith(token.strip())
    if not begins or without_reasoning(text).unfinished:
        raise TargetError("bad_schema", detail=REASONS)
    return token, value
