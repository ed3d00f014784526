"""From drawn tokens to the events of an answer: text, thinking, the end, an error.

It knows nothing of how tokens are computed.
"""

from __future__ import annotations

from app.provider.errors import ProviderError
from app.provider.generation.answer_tokens import Logprobs, TokenQueue, Vocabulary, describe
from app.provider.generation.detokenizer import Detokenizer
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.thinking import TextPiece, ThinkingFilter, add_piece
from app.provider.types import Delta, End, Event, FinishReason, ThinkingDelta, Token, Usage

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
        shown, start = prompt.shows_thinking, prompt.thinking
        self._keep_special = prompt.keep_special
        self._markers = prompt.markers
        self._text = Detokenizer(
            prompt.sampling.stop, ThinkingFilter(start, shown=shown) if start else None
        )
        self._tokens = TokenQueue(shows_thinking=shown)
        self._prompt_tokens = len(prompt.tokens)
        self._limit = limit
        self._cached = cached
        self._written = 0

    def push_token(
        self, token: int, vocabulary: Vocabulary, logprobs: Logprobs | None = None
    ) -> list[Event | ProviderError]:
        """Add a drawn token; the last event may be the End, or an error.

        With ``logprobs`` an event carries the token, unless it ends the answer.
        """
        if token == NO_TOKEN:
            return [ProviderError(NO_NUMBERS)]
        piece = vocabulary.piece(token, keep_special=self._keep_special)
        if piece == b"" and self._markers and vocabulary.spelling(token) in self._markers:
            piece = vocabulary.spelling(token).encode()
        if logprobs is None or piece is None:
            return [*self.push(piece)]
        return [*self.push(piece, describe(token, piece, logprobs, vocabulary))]

    def push(self, piece: bytes | None, token: Token | None = None) -> list[Event]:
        """Add the bytes of a token (None: the model ends here); the last event may be the End.

        ``token`` describes it, if the prompt asks for that.
        """
        thought, retracted = self._text.thinks, self._text.retracted
        pieces, reason = self._add(piece)
        if token:
            self._tokens.add(token)
        thinking = thought or self._text.thinks or self._text.retracted > retracted
        answers = any(not one.thinking for one in pieces)
        if thinking or answers or reason or not self._text.undecided:
            self._tokens.decide(thinking=thinking)
        events = self._events(pieces)
        if reason:
            events += [*self._left_tokens(), self._end(reason)]
        return events

    def _end(self, reason: FinishReason) -> End:
        usage = Usage(self._prompt_tokens, self._written, self._cached)
        return End(reason, usage, self._text.retracted, self._text.stop_string or "")

    def _add(self, piece: bytes | None) -> tuple[list[TextPiece], FinishReason | None]:
        if piece is None:
            pieces = self._text.flush()
            return pieces, "length" if self._text.thinks and not self._text.stopped else "stop"
        self._written += 1
        pieces = self._text.push(piece)
        full = self._written >= self._limit
        if full and not self._text.stopped:
            for text, thinking in self._text.flush():
                add_piece(pieces, text, thinking=thinking)
        return pieces, "stop" if self._text.stopped else "length" if full else None

    def _events(self, pieces: list[TextPiece]) -> list[Event]:
        """The text, with the tokens that led to it."""
        events: list[Event] = []
        for text, thinking in pieces:
            tokens = self._tokens.take(thinking=thinking)
            delta = Delta(text, self._text.retracted, tokens)
            events.append(ThinkingDelta(text, tokens) if thinking else delta)
        if self._tokens.has(thinking=True) and not self._text.thinks:  # those of the marker
            events.insert(0, ThinkingDelta("", self._tokens.take(thinking=True)))
        return events

    def _left_tokens(self) -> list[Event]:
        """At the end, tokens that led to no text."""
        events: list[Event] = []
        if self._tokens.has(thinking=True):
            events.append(ThinkingDelta("", self._tokens.take(thinking=True)))
        if self._tokens.has(thinking=False):
            tokens = self._tokens.take(thinking=False)
            events.append(Delta("", self._text.retracted, tokens))
        return events
