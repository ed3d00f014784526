"""A deterministic engine that repeats the last user message, one word per token and step.

For tests, demonstrations and load tests of everything but a model. It keeps the same contract
as the real engines.

``echo-vision`` first lists the images of the whole prompt, in order, as in
``[image 640x480 1a2b3c4d]``: pixels and the beginning of the hash. It counts the tokens of an
image scaled down to a longer side of 1008 pixels, both sides then rounded up to whole squares of
28; each square counts as one token.

It does not think, and it is certain: a word has the log-probability 0 and no alternatives. It
calls no tools, but what it repeats may spell a call as Hermes does. Of a raw prompt it repeats what
comes first. Tokens are numbers that words get when they are first asked for.
"""

from __future__ import annotations

import importlib
import math
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from app.provider.engine import Engine, EngineInfo, EngineSpec
from app.provider.engines.echo.format import ENCODERS, LONGEST_SIDE, SQUARE, VISION_PATH
from app.provider.engines.echo.speed_limit import SpeedLimit
from app.provider.errors import UnsupportedInput
from app.provider.formats.output_formats import HERMES
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import PreparedPrompt, require_room
from app.provider.types import End, Event, ImagePart, Prompt, SeenImage, Started, Token, Tokens

CONTEXT_LENGTH = 4096

_MOST_WORDS = 100_000
"""That have numbers."""

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
    output_format: str = ""
    words_sent: int = 0
    started: bool = False

    def step(self) -> list[Event]:
        """Send one more word, and the end after the last one."""
        events: list[Event] = []
        if not self.started:
            self.started = True
            events.append(self._start())
        if self.words_sent < len(self.words):
            events += self._push(self.words[self.words_sent].encode())
            self.words_sent += 1
        ended = bool(events) and isinstance(events[-1], End)
        if self.words_sent == len(self.words) and not ended:
            events += self.output.push(None)
        return events

    def _start(self) -> Started:
        limit, found = self.context_length, self.output_format
        return Started(self.prompt_tokens, 0, self.images, limit, found)

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
        self._speed_limit = SpeedLimit(limits.echo_words_per_second)
        self._numbers: dict[str, int] = {}
        progress(100)

    def prepare(self, prompt: Prompt) -> EchoJob:
        """Cut the messages into words; raises ContextOverflow, UnsupportedInput."""
        images = [image for message in prompt.messages for image in message.images]
        if images and not self._takes_images:
            raise UnsupportedInput("The model echo cannot see images; echo-vision can.")
        images_seen = tuple(map(_seen_image, images))
        tokens = len(self._words(prompt)) + sum(image.tokens for image in images_seen)
        length = prompt.context_of(self.info.context_length)
        require_room(tokens, prompt.answer_room, length)
        words = [*map(_shown, images), *self._repeated(prompt)]
        calls = prompt.tools and prompt.tool_choice.mode != "none" and prompt.raw is None
        return EchoJob(
            words,
            tokens,
            self._output(prompt, tokens, len(words), length),
            length,
            images_seen,
            logprobs=prompt.logprobs is not None,
            output_format=HERMES.name if calls else "",
        )

    def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The words of the prompt and their numbers."""
        words = self._words(prompt)
        if len(self._numbers) > _MOST_WORDS:
            self._numbers.clear()
        numbers = (self._numbers.setdefault(word, len(self._numbers)) for word in words)
        return Tokens(tuple(numbers), tuple(word.encode("utf-8", "replace") for word in words))

    def _words(self, prompt: Prompt) -> list[str]:
        """The tokens of the prompt, but for images."""
        if prompt.raw is None:
            return [word for one in prompt.messages for word in _WORD.findall(one.text)]
        if prompt.raw.tokens is None:
            return _WORD.findall(prompt.raw.text)
        known = list(self._numbers)
        wrong = [token for token in prompt.raw.tokens if not 0 <= token < len(known)]
        if wrong:
            raise UnsupportedInput(f"The model has no token {wrong[0]}.")
        return [known[token] for token in prompt.raw.tokens]

    def _repeated(self, prompt: Prompt) -> list[str]:
        if prompt.raw is not None:
            return self._words(prompt)
        asked = [message.text for message in prompt.messages if message.role == "user"]
        return _WORD.findall(asked[-1]) if asked else []

    def _output(self, prompt: Prompt, tokens: int, words: int, length: int) -> OutputStream:
        prepared = PreparedPrompt(
            array("i", bytes(4 * tokens)),
            prompt.owner,
            prompt.sampling,
            thinking=None,
            context_length=length,
        )
        limit = max(1, prepared.max_answer_tokens(self._default_max_tokens))
        return OutputStream(prepared, limit if limit < words else words + 1, cached=0)

    def admit(self, job: int, prepared: EchoJob) -> bool:
        """Take the job while a slot is free."""
        if len(self._jobs) >= self.info.slots:
            return False
        self._jobs[job] = prepared
        return True

    def step(self) -> list[tuple[int, Event]]:
        """One word for every job, no sooner than the speed limit allows."""
        self._speed_limit.wait()
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


def build(spec: EngineSpec, progress: Callable[[int], None]) -> Engine:
    """Build the echo that the path names."""
    if any(spec.path == str(card.path) for card in ENCODERS):
        encoder = importlib.import_module("app.provider.engines.echo.encoder")
        encoding: Engine = encoder.build(spec, progress)
        return encoding
    return EchoEngine(spec, progress)
