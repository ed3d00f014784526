"""The tokens of an answer with their log-probabilities, for prompts that ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.provider.types import Token, TokenLogprob


class Vocabulary(Protocol):
    """The bytes and spellings of tokens: a part of ``ModelTokenizer``."""

    def piece(self, token: int, *, keep_special: bool = False) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer."""

    def spelling(self, token: int) -> str:
        """The spelling of a token in a prompt."""


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The natural log-probability of a drawn token, and those of the likeliest, best first.

    They are those of the model, before penalties, filters and temperature: so OpenAI's API gives
    them, and llama-server unless a request says ``post_sampling_probs``.
    """

    drawn: float
    top: Sequence[tuple[int, float]] = ()


def describe(token: int, piece: bytes, logprobs: Logprobs, vocabulary: Vocabulary) -> Token:
    """What an event says of a drawn token, whose bytes in the answer are ``piece``.

    Tokens that might have come have the bytes of their spelling, also control tokens.
    """
    top = [TokenLogprob(one, spelled(one, vocabulary), logprob) for one, logprob in logprobs.top]
    return Token(token, piece, logprobs.drawn, tuple(top))


def spelled(token: int, vocabulary: Vocabulary) -> bytes:
    """The bytes of a token; those of its spelling where it ends answers."""
    piece = vocabulary.piece(token, keep_special=True)
    return vocabulary.spelling(token).encode() if piece is None else piece


class TokenQueue:
    """Tokens that no event has carried yet. Those of thinking are dropped unless it is shown.

    White space and half a marker may belong to the thinking or to the answer: such tokens are
    undecided.
    """

    def __init__(self, *, shows_thinking: bool) -> None:
        self._shows_thinking = shows_thinking
        self._undecided: list[Token] = []
        self._decided: dict[bool, list[Token]] = {True: [], False: []}

    def add(self, token: Token) -> None:
        """Add a token; ``decide`` says later what it belongs to."""
        self._undecided.append(token)

    def decide(self, *, thinking: bool) -> None:
        """All tokens so far belong to the thinking, or to the answer."""
        if self._undecided and (self._shows_thinking or not thinking):
            self._decided[thinking] += self._undecided
        self._undecided = []

    def has(self, *, thinking: bool) -> bool:
        """Whether there are tokens of the thinking, or of the answer."""
        return bool(self._decided[thinking])

    def take(self, *, thinking: bool) -> tuple[Token, ...]:
        """Take the tokens of the thinking, or of the answer."""
        tokens = self._decided[thinking]
        if not tokens:
            return ()
        self._decided[thinking] = []
        return tuple(tokens)
