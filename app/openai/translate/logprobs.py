"""Log-probabilities of tokens, in the form of chats and in that of completions."""

from __future__ import annotations

from collections.abc import Sequence
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
