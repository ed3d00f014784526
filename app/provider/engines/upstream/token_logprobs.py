"""Log-probabilities as servers send them, as tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from app.provider.engines.upstream.json_fields import byte_values
from app.provider.types import Token, TokenLogprob

UNKNOWN_TOKEN = -1
"""Stands for the number of a token: the API has their texts alone."""


def tokens_of(logprobs: Any) -> tuple[Token, ...]:
    """The tokens of a chunk: of a chat, or of a completion."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if isinstance(content, list):
        return tuple(_token(one) for one in content if isinstance(one, dict))
    if isinstance(logprobs, dict) and isinstance(logprobs.get("tokens"), list):
        return tuple(_completion_tokens(logprobs))
    return ()


def _token(fields: dict[str, Any]) -> Token:
    top = fields.get("top_logprobs")
    others = [one for one in top if isinstance(one, dict)] if isinstance(top, list) else []
    return Token(
        UNKNOWN_TOKEN,
        _piece(fields),
        _logprob(fields.get("logprob")),
        tuple(
            TokenLogprob(UNKNOWN_TOKEN, _piece(one), _logprob(one.get("logprob"))) for one in others
        ),
    )


def _completion_tokens(logprobs: dict[str, Any]) -> Iterator[Token]:
    texts, numbers = logprobs["tokens"], logprobs.get("token_logprobs")
    tops = logprobs.get("top_logprobs")
    for at, text in enumerate(texts):
        top = tops[at] if isinstance(tops, list) and at < len(tops) else None
        likeliest = top if isinstance(top, dict) else {}
        yield Token(
            UNKNOWN_TOKEN,
            str(text).encode("utf-8", "replace"),
            _logprob(numbers[at] if isinstance(numbers, list) and at < len(numbers) else None),
            tuple(
                TokenLogprob(UNKNOWN_TOKEN, other.encode("utf-8", "replace"), _logprob(number))
                for other, number in likeliest.items()
            ),
        )


def _piece(fields: dict[str, Any]) -> bytes:
    """The bytes of a token; they can be a part of a character, which its text cannot show."""
    known = byte_values(fields.get("bytes"))
    return str(fields.get("token", "")).encode("utf-8", "replace") if known is None else known


def _logprob(value: Any) -> float:
    number = float(value) if isinstance(value, int | float) else -math.inf
    return -math.inf if math.isnan(number) else number
