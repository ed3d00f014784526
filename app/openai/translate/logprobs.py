"""Log-probabilities of tokens, in the form of chats and in that of completions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from app.provider.types import Token, TokenLogprob

LOWEST = -9999.0
"""Stands for a probability of 0, whose logarithm JSON cannot say."""


def chat_logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    """The form of a chat."""
    return {"content": [_shown(token) for token in tokens], "refusal": None}


def _shown(token: Token) -> dict[str, Any]:
    return {**_described(token), "top_logprobs": [_described(other) for other in token.top]}


def _described(token: Token | TokenLogprob) -> dict[str, Any]:
    return {
        "token": text_of(token),
        "logprob": max(token.logprob, LOWEST),
        "bytes": list(token.piece),
    }


def text_of(token: Token | TokenLogprob) -> str:
    """The text of a token, which may be a part of a character."""
    return token.piece.decode("utf-8", "replace")


def completion_logprobs(tokens: Sequence[Token], offset: int) -> dict[str, Any]:
    """The form of a completion, whose first token begins at ``offset`` of the text."""
    texts = [text_of(token) for token in tokens]
    begins = accumulate((len(text) for text in texts), initial=offset)
    return {
        "tokens": texts,
        "token_logprobs": [max(token.logprob, LOWEST) for token in tokens],
        "top_logprobs": [_likeliest(token) for token in tokens],
        "text_offset": [*begins][:-1],
    }


def _likeliest(token: Token) -> dict[str, float]:
    """By text; of several tokens with the same text the likeliest counts."""
    found = ((text_of(other), max(other.logprob, LOWEST)) for other in reversed(token.top))
    return dict(found)
