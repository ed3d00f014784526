"""What is submitted to an engine."""

from __future__ import annotations

from typing import Literal

from app.provider.types.message import ImagePart, Message, TextPart
from app.provider.types.value import Value


class Sampling(Value, frozen=True):
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


class Tool(Value, frozen=True):
    """A tool that the model may call; ``parameters`` is a JSON Schema of its arguments."""

    name: str
    description: str = ""
    parameters: str = "{}"


class Constraint(Value, frozen=True):
    """What the answer must match: a JSON Schema, a regular expression or a Lark grammar."""

    kind: Literal["json_schema", "regex", "lark"]
    source: str


class Prompt(Value, frozen=True):
    """The job of generating an answer.

    ``owner`` keys the prefix cache: what one owner computed is never reused for another.
    ``answer_room`` tokens must be left for the answer, or a quarter of the context if that is
    less; 0 asks for one token. ``logprobs`` asks for the tokens of the answer with their
    log-probabilities and those of so many alternatives. ``thinking`` asks for the thinking as
    well, which is dropped otherwise. ``keep_special`` lets control tokens through as text, for a
    parser of the answer.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    owner: str = ""
    answer_room: int = 0
    tools: tuple[Tool, ...] = ()
    constraint: Constraint | None = None
    logprobs: int | None = None
    thinking: bool = False
    keep_special: bool = False


Generate = Prompt


class TokensPart(Value, frozen=True):
    """A text to encode, as tokens of the model."""

    tokens: tuple[int, ...]


class PairPart(Value, frozen=True):
    """A question and a document that a reranker scores together."""

    query: str
    document: str


class Encode(Value, frozen=True):
    """The job of turning each item into a vector, or into a score (a vector of one number).

    ``dimensions`` cuts vectors of models that were trained for it; None leaves them whole.
    """

    items: tuple[TextPart | TokensPart | PairPart | ImagePart, ...]
    normalize: bool = True
    dimensions: int | None = None
    owner: str = ""


Job = Generate | Encode
"""What is submitted to an engine."""
