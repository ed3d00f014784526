"""What an engine sends back."""

from __future__ import annotations

import struct
from typing import Literal

from app.provider.types.value import Count, Value

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]
"""``cancelled`` never comes from an engine, but from the code that cancels a request."""
Phase = Literal["queued", "loading", "prefill"]


class Usage(Value, frozen=True):
    """Tokens of a prompt and its answer. ``cached_tokens`` of the prompt came from the cache.

    They are 0 and not ``cached_known`` where another server made the answer and does not say.
    """

    prompt_tokens: Count
    completion_tokens: Count
    cached_tokens: Count
    cached_known: bool = True

    def counts(self) -> dict[str, int]:
        """The tokens by name."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
        }


class Progress(Value, frozen=True):
    """What a request is waiting for.

    ``done`` and ``total`` count requests ahead (queued; ``total`` is None), percent (loading)
    or prompt tokens (prefill).
    """

    phase: Phase
    done: Count
    total: Count | None = None


class SeenImage(Value, frozen=True):
    """An image as the model encodes it: scaled to so many pixels, as so many tokens."""

    sha256: str
    width: Count
    height: Count
    tokens: Count


class Started(Value, frozen=True):
    """The engine has accepted the prompt. An error before this event had no effect.

    ``images`` are those of the prompt, in order. ``context_length`` tokens hold the prompt with
    its answer (0: not reported). ``output_format`` names the format of ``provider.formats`` in
    which the answer's text spells tool calls and channels; empty where it is plain text.
    """

    prompt_tokens: Count
    cached_tokens: Count
    images: tuple[SeenImage, ...] = ()
    context_length: Count = 0
    output_format: str = ""


class TokenLogprob(Value, frozen=True):
    """A token that might have come, with its bytes and its natural log-probability."""

    token: int
    piece: bytes
    logprob: float


class Token(Value, frozen=True):
    """A token of the answer, with the likeliest ones at its place, best first."""

    token: int
    piece: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


class Delta(Value, frozen=True):
    """A piece of the answer, always whole characters.

    ``retracted`` is that of ``End`` as far as it is known: a stored answer may break off here.
    ``tokens`` are those drawn since the last delta, if the prompt asked for them; a held
    character can make their bytes run ahead of the text.
    """

    text: str
    retracted: Count = 0
    tokens: tuple[Token, ...] = ()


class ThinkingDelta(Value, frozen=True):
    """A piece of the thinking, if the prompt asked for it."""

    text: str
    tokens: tuple[Token, ...] = ()


class ToolCallDelta(Value, frozen=True):
    """A piece of the tool call number ``index``: its id and name first, then its arguments."""

    index: Count
    id: str = ""
    name: str = ""
    arguments: str = ""
    tokens: tuple[Token, ...] = ()


class Encoded(Value, frozen=True):
    """The vector of the item number ``index``: little-endian float32 numbers.

    Where the model makes scores it is one float64 number, so that high ones still differ.
    ``tokens`` were computed for it (0 for an image); the rest of a ``truncated`` item was not.
    """

    index: Count
    vector: bytes
    tokens: Count = 0
    truncated: bool = False

    @property
    def score(self) -> float:
        """The score; raises struct.error for a vector."""
        (score,) = struct.unpack("<d", self.vector)
        return float(score)


class End(Value, frozen=True):
    """The last chunk of every answer that did not end with an error.

    ``retracted`` characters at the beginning of the text turned out to be thinking, and are left
    out where the answer is kept as a whole. ``stop_string`` is the one of ``Sampling.stop`` that
    ended the answer, if one did.
    """

    reason: FinishReason
    usage: Usage
    retracted: Count = 0
    stop_string: str = ""


class Size(Value, frozen=True):
    """Tokens of a prompt, and how many the context holds for a prompt with its answer."""

    tokens: Count
    limit: Count


class Tokens(Value, frozen=True):
    """The tokens of a text, with the bytes of each; those of control tokens are their spelling.

    The bytes of the tokens of an image are empty, and its ids are negative.
    """

    tokens: tuple[int, ...]
    pieces: tuple[bytes, ...]


class Loaded(Value, frozen=True):
    """The requested model is loaded."""


AnyDelta = Delta | ThinkingDelta | ToolCallDelta
Chunk = Started | AnyDelta | Encoded | End
Event = Progress | Chunk
"""A stream is ``Progress* Started (Progress | AnyDelta | Encoded)* End``."""
