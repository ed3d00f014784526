"""What an engine must be able to do for the scheduler: hold sequences and compute them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from app.provider.generation.answer_tokens import Logprobs
from app.provider.generation.constraints.guide import AnswerGuide
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.output_stream import NO_TOKEN, OutputStream
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.sampler import Logits, logprobs


@dataclass(slots=True, eq=False, kw_only=True)
class SequenceState:
    """A request in a runner: prefill of its prompt up to the last token, then its answer.

    ``tokens`` are computed, those of a cached prefix included; a sequence grows to ``room`` tokens
    at most. ``pending`` are the tokens that are computed next, once the prefill is done: the last
    of the prompt, then the one drawn last, each with the tokens that are forced after it.
    ``images`` are the features of the images that were not cached; None until they are encoded.
    ``logprobs`` are those of the token drawn last, if the prompt asks for them. ``guide`` is that
    of an answer with a constraint. ``job`` and ``output`` belong to the scheduler.
    """

    prompt: PreparedPrompt
    room: int
    tokens: array[int] = field(default_factory=lambda: array("i"))
    images: Sequence[ImageFeatures[Any]] | None = None
    logprobs: Logprobs | None = None
    guide: AnswerGuide | None = None
    cached: int = field(init=False)
    pending: list[int] = field(init=False)
    job: int = field(init=False)
    output: OutputStream = field(init=False)

    def __post_init__(self) -> None:
        self.cached = len(self.tokens)
        self.pending = [self.prompt.tokens[-1]]

    @property
    def owner(self) -> str:
        """Whose prompt it is."""
        return self.prompt.owner

    @property
    def prefill_left(self) -> int:
        """Prompt tokens before the last one that are not computed yet."""
        return max(0, len(self.prompt.tokens) - 1 - len(self.tokens))

    @property
    def prefill_tokens(self) -> int:
        """Prompt tokens that were not in the cache when it began."""
        return len(self.prompt.tokens) - self.cached

    @property
    def position(self) -> int:
        """The position of the next token."""
        return self.prompt.position(len(self.tokens))


S = TypeVar("S", bound=SequenceState)

Drawn = tuple[S, Sequence[int]]
"""A sequence, the token drawn for it, and the tokens that its guide forces after that."""


def draw_guided(
    sequences: Sequence[S],
    logits: Callable[[int], Logits],
    draw: Callable[[], Sequence[int]],
) -> list[Drawn[S]]:
    """Draw a token for each sequence, as its guide allows, and note log-probabilities.

    ``logits`` gives the row of each sequence, which guides change in place; ``draw`` draws from all
    rows. Log-probabilities are those of the model, before that.
    """
    raw = {}
    for index, sequence in enumerate(sequences):
        if sequence.prompt.logprobs is not None:
            raw[index] = logits(index).copy() if sequence.guide else logits(index)
        if sequence.guide and not np.isnan(logits(index)[0]):
            sequence.guide.restrict(logits(index))
    drawn = draw()
    for index, row in raw.items():
        if drawn[index] != NO_TOKEN:
            count = sequences[index].prompt.logprobs or 0
            sequences[index].logprobs = logprobs(row, drawn[index], count)
    return [(one, _followed(one, token)) for one, token in zip(sequences, drawn, strict=True)]


def _followed(sequence: SequenceState, token: int) -> list[int]:
    if sequence.guide is None or token == NO_TOKEN:
        return [token]
    return [token, *sequence.guide.accept(token)]


class Runner(Protocol[S]):
    """Computes sequences. Belongs to the decode thread.

    A step of the scheduler calls ``prefill``, if there is something, and then ``decode`` exactly
    once. Both append to ``tokens`` of a sequence what they have computed.
    """

    def reserve(self, prompt: PreparedPrompt, room: int) -> S | None:
        """Make a sequence that may grow to ``room`` tokens and holds the longest computed prefix.

        The prefix is the owner's own, ends inside no image and never holds the last token, whose
        logits are needed. None while other sequences leave no room.
        """

    def prefill(self, pieces: Sequence[tuple[S, int]]) -> None:
        """Compute the next tokens of prompts, about as many as named, or prepare that."""

    def decode(self, running: Sequence[S]) -> Sequence[Drawn[S]]:
        """Compute the pending tokens; return sequences with the tokens that come after those.

        Also computes what ``prefill`` has prepared. Tokens are drawn as ``draw_guided`` does it;
        NO_TOKEN stands for NaN. Notes ``logprobs`` of the tokens where a prompt asks for them.
        """

    def release(self, sequences: Sequence[S]) -> None:
        """Forget sequences, and keep what they computed for the owner's next prompt."""

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next step on."""

    def close(self) -> None:
        """Free everything."""
