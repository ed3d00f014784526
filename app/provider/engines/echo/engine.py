"""A deterministic engine that repeats the last user message, one word per token and step.

For tests, demonstrations and load tests of everything but a model. It keeps the same contract
as the real engines.

``echo-vision`` first lists the images of the whole prompt, in order, as in
``[image 640x480 1a2b3c4d]``: pixels and the beginning of the hash. It counts the tokens of an
image scaled down to a longer side of 1008 pixels, both sides then rounded up to whole squares of
28; each square counts as one token.

It does not think, and it is certain: a word has the log-probability 0 and no alternatives.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from app.provider.engine import EngineInfo, EngineSpec
from app.provider.engines.echo.format import LONGEST_SIDE, SQUARE, VISION_PATH
from app.provider.errors import UnsupportedInput
from app.provider.generation.constraints.refusal import refuse_constraints
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import PreparedPrompt, require_room
from app.provider.types import End, Event, ImagePart, Prompt, SeenImage, Started, Token

CONTEXT_LENGTH = 4096

_WORD = re.compile(r"\s*\S+\s*")


@dataclass(slots=True)
class EchoJob:
    """A prompt, cut into words, and how many of them have been sent."""

    words: list[str]
    prompt_tokens: int
    output: OutputStream
    context_length: int
    images: tuple[SeenImage, ...] = ()
    logprobs: bool = False
    words_sent: int = 0
    started: bool = False

    def step(self) -> list[Event]:
        """Send one more word, and the end after the last one."""
        events: list[Event] = []
        if not self.started:
            self.started = True
            events.append(Started(self.prompt_tokens, 0, self.images, self.context_length))
        if self.words_sent < len(self.words):
            events += self._push(self.words[self.words_sent].encode())
            self.words_sent += 1
        ended = bool(events) and isinstance(events[-1], End)
        if self.words_sent == len(self.words) and not ended:
            events += self.output.push(None)
        return events

    def _push(self, word: bytes) -> list[Event]:
        token = Token(self.words_sent, word, 0.0) if self.logprobs else None
        return self.output.push(word, token)


class EchoEngine:
    """Implements ``Engine`` without a model."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        self.info = EngineInfo(limits.slots, limits.context_length or CONTEXT_LENGTH)
        self._default_max_tokens = limits.default_max_tokens
        self._takes_images = spec.path == str(VISION_PATH)
        self._jobs: dict[int, EchoJob] = {}
        progress(100)

    def prepare(self, prompt: Prompt) -> EchoJob:
        """Cut the messages into words; raises ContextOverflow, UnsupportedInput."""
        refuse_constraints(prompt, "The model echo, which repeats what it is told,")
        images = [image for message in prompt.messages for image in message.images]
        if images and not self._takes_images:
            raise UnsupportedInput("The model echo cannot see images; echo-vision can.")
        images_seen = tuple(map(_seen_image, images))
        tokens = sum(len(message.text.split()) for message in prompt.messages)
        tokens += sum(image.tokens for image in images_seen)
        require_room(tokens, prompt.answer_room, self.info.context_length)
        asked = [message.text for message in prompt.messages if message.role == "user"]
        words = [*map(_shown, images), *(_WORD.findall(asked[-1]) if asked else [])]
        return EchoJob(
            words,
            tokens,
            self._output(prompt, tokens, len(words)),
            self.info.context_length,
            images_seen,
            logprobs=prompt.logprobs is not None,
        )

    def _output(self, prompt: Prompt, tokens: int, words: int) -> OutputStream:
        limit = prompt.sampling.max_tokens or self._default_max_tokens
        prepared = PreparedPrompt(
            array("i", bytes(4 * tokens)), prompt.owner, prompt.sampling, thinking=None
        )
        return OutputStream(prepared, limit if limit < words else words + 1, cached=0)

    def admit(self, job: int, prepared: EchoJob) -> bool:
        """Take the job while a slot is free."""
        if len(self._jobs) >= self.info.slots:
            return False
        self._jobs[job] = prepared
        return True

    def step(self) -> list[tuple[int, Event]]:
        """One word for every job."""
        events = [(job, event) for job, state in self._jobs.items() for event in state.step()]
        for job, event in events:
            if isinstance(event, End):
                del self._jobs[job]
        return events

    def drop(self, job: int) -> None:
        """Forget the job."""
        self._jobs.pop(job, None)

    def set_threads(self, threads: int) -> None:
        """Nothing to do: an echo needs no thread of its own."""

    def close(self) -> None:
        """Nothing to free."""


def _shown(image: ImagePart) -> str:
    return f"[image {image.width}x{image.height} {image.sha256[:8]}] "


def _seen_image(image: ImagePart) -> SeenImage:
    share = min(1.0, LONGEST_SIDE / max(image.width, image.height))
    across, down = (math.ceil(side * share / SQUARE) for side in (image.width, image.height))
    return SeenImage(image.sha256, across * SQUARE, down * SQUARE, across * down)


build = EchoEngine
