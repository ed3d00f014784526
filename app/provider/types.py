"""Values that travel between services, the engine host and the engine process.

None of them carries an id, a timestamp or a row: identity belongs to whoever stores them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled"]
"""``cancelled`` never comes from an engine, but from the code that cancels a request."""
Phase = Literal["queued", "loading", "prefill"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A stretch of text inside a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImageNotes:
    """What other programs found in an image, for models that were trained with such notes.

    ``ocr`` is text in the image, ``lens_keywords`` what it shows, ``lens_local_keywords`` what it
    shows where.
    """

    ocr: str = ""
    lens_keywords: str = ""
    lens_local_keywords: str = ""


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image inside a message: a PNG in RGB, upright, identified by its SHA-256 (hex).

    ``width`` and ``height`` are its pixels. ``mime`` is the type of the file it was made from.
    """

    content: bytes = field(repr=False)
    sha256: str
    width: int
    height: int
    mime: str = "image/png"
    notes: ImageNotes = ImageNotes()


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation: its role and its parts."""

    role: Role
    parts: tuple[TextPart | ImagePart, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """Make a message that is one piece of text."""
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """All text of the message."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """All images of the message."""
        return tuple(part for part in self.parts if isinstance(part, ImagePart))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. Penalties look at the answer so far, never at the prompt.

    ``temperature`` 0 always takes the likeliest token. ``top_k`` 0, ``top_p`` 1 and ``min_p`` 0
    switch that filter off; so do ``repeat_penalty`` 1 and the other penalties at 0. Without a
    ``seed`` every call draws anew. ``max_tokens`` is exact; None means the engine's own limit.
    ``stop`` strings end the answer and are not part of it.
    """

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """The only thing that goes into an engine.

    ``owner`` keys the prefix cache: what one owner computed is never reused for another.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a prompt and its answer. ``cached_tokens`` of the prompt came from the cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a request is waiting for.

    ``done`` and ``total`` count requests ahead (queued; ``total`` is None), percent (loading)
    or prompt tokens (prefill).
    """

    phase: Phase
    done: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image as the model encodes it: scaled to so many pixels, as so many tokens."""

    sha256: str
    width: int
    height: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Started:
    """The engine has accepted the prompt. An error before this event had no effect.

    ``images`` are those of the prompt, in order.
    """

    prompt_tokens: int
    cached_tokens: int
    images: tuple[SeenImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer, always whole characters.

    ``retracted`` is that of ``End`` as far as it is known: a stored answer may break off here.
    """

    text: str
    retracted: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The last chunk of every answer that did not end with an error.

    ``retracted`` characters at the beginning of the text turned out to be thinking, and are left
    out where the answer is kept as a whole.
    """

    reason: FinishReason
    usage: Usage
    retracted: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of a prompt, and how many the context holds for a prompt with its answer."""

    tokens: int
    limit: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The requested model is loaded."""


Chunk = Started | Delta | End
Event = Progress | Chunk
"""A stream is ``Progress* Started (Progress | Delta)* End``."""
