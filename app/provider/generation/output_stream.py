"""From drawn tokens to the events of an answer: text, the end, an error.

It knows nothing of how tokens are computed.
"""

from __future__ import annotations

from collections.abc import Callable

from app.provider.errors import ProviderError
from app.provider.generation.detokenizer import Detokenizer
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.types import Delta, End, Event, FinishReason, Usage

NO_TOKEN = -1
"""Stands for a token where the logits are NaN."""

NO_NUMBERS = (
    "The model's arithmetic broke down on this prompt (NaN), so anything it said would be noise. "
    "Its file may be damaged, or its number type too small: float16 overflows where bfloat16 and "
    "float32 do not."
)


class OutputStream:
    """Turns drawn tokens into events: whole characters, stop strings, the limit and the usage.

    If the end comes while the model is thinking, the reason is ``length``, as no answer has begun.
    """

    def __init__(self, prompt: PreparedPrompt, limit: int, cached: int) -> None:
        self._prompt_tokens = len(prompt.tokens)
        self._text = Detokenizer(prompt.sampling.stop, prompt.thinking)
        self._limit = limit
        self._cached = cached
        self._written = 0

    def push_token(
        self, token: int, piece: Callable[[int], bytes | None]
    ) -> list[Event | ProviderError]:
        """Add a drawn token; the last event may be the End, or an error."""
        return [ProviderError(NO_NUMBERS)] if token == NO_TOKEN else [*self.push(piece(token))]

    def push(self, piece: bytes | None) -> list[Event]:
        """Add the bytes of a token (None: the model ends here); the last event may be the End."""
        text, reason = self._add(piece)
        events: list[Event] = [Delta(text, self._text.retracted)] if text else []
        if reason:
            usage = Usage(self._prompt_tokens, self._written, self._cached)
            events.append(End(reason, usage, self._text.retracted))
        return events

    def _add(self, piece: bytes | None) -> tuple[str, FinishReason | None]:
        if piece is None:
            text = self._text.flush()
            return text, "length" if self._text.thinks and not self._text.stopped else "stop"
        self._written += 1
        text = self._text.push(piece)
        full = self._written >= self._limit
        if full and not self._text.stopped:
            text += self._text.flush()
        return text, "stop" if self._text.stopped else "length" if full else None
