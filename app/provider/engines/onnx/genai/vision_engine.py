"""The ONNX engine for vision models: onnxruntime-genai's generator, one request at a time.

The library encodes images with the processor of the model's folder and computes M-RoPE positions.
It keeps no conversation, so every prompt is computed from its beginning. ``catalogue.genai_vision``
names the model types. They run on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import measure
from app.provider.catalogue.genai_vision import PROCESSOR, scaling
from app.provider.engine import EngineInfo, EngineSpec, Events
from app.provider.engines.onnx.cpu_affinity import CpuAffinity
from app.provider.engines.onnx.genai.vision_model import END, PAD, START, Generation, VisionModel
from app.provider.engines.onnx.settings import FILE, Settings
from app.provider.errors import ModelNotLoadable, ProviderError
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import ImageSize, PreparedPrompt
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.generation.sampler import Sampler, draw_all, logprobs
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.headers.files import optional_json
from app.provider.types import End, Event, ImagePart, Prompt, Tokens

_NUMBER = 4
"""Bytes of a float32."""


@dataclass(slots=True)
class SequenceState:
    """The one request that is computed; ``generation`` follows the prefill."""

    number: int
    prompt: PreparedPrompt
    limit: int
    sampler: Sampler
    output: OutputStream
    started: bool = False
    generation: Generation | None = None


@dataclass(frozen=True, slots=True)
class FramedImages:
    """Implements ``ImageInput``: every image stands between two control tokens."""

    scaling: Scaling
    start: int
    end: int

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and tokens of an image in a prompt."""
        return measure(self.scaling, part)

    def framed(self, parts: Iterable[list[int] | ImagePart]) -> Iterator[list[int] | ImagePart]:
        """Put the control tokens before and after every image."""
        for part in parts:
            if isinstance(part, ImagePart):
                yield from ([self.start], part, [self.end])
            else:
                yield part


class VisionEngine:
    """Implements ``Engine``; raises ModelNotLoadable when the folder is unusable."""

    def __init__(
        self, spec: EngineSpec, settings: Settings, progress: Callable[[int], None]
    ) -> None:
        limits, folder = spec.limits, Path(spec.path)
        self._vocabulary = HubTokenizer(folder, settings.ends)
        self._start, self._pad, self._end = map(self._token, (START, PAD, END))
        images = FramedImages(_scaling(folder).limited(limits.image_tokens), self._start, self._end)
        self._prompts = PromptBuilder(self._vocabulary, ChatTemplate(self._vocabulary), images)
        progress(10)
        self._vision_model = VisionModel(folder, limits.threads)
        progress(90)
        cell = _NUMBER * 2 * settings.layers * settings.kv_heads * settings.head_width
        self.info = EngineInfo(1, ContextPlan.of(settings.context_length, cell, limits).length)
        self._default_max_tokens = limits.default_max_tokens
        self._cpu_affinity = CpuAffinity()
        self._answer: SequenceState | None = None
        self._warm_up()

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        return self._prompts.prepare(prompt, self.info.context_length)

    def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a prompt; raises UnsupportedInput."""
        return self._prompts.tokenize(prompt, special=special)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job unless there is another one."""
        if self._answer:
            return False
        limit = prepared.max_answer_tokens(self._default_max_tokens)
        output = OutputStream(prepared, limit, 0)
        self._answer = SequenceState(job, prepared, limit, Sampler(prepared.sampling), output)
        return True

    def step(self) -> Events:
        """Emit Started in the first step, prefill in the second, and a token in each after that."""
        answer = self._answer
        if answer is None:
            return []
        try:
            events: list[Event | ProviderError] = list(self._advance(answer))
        except ProviderError as error:
            events = [error]
        if events and isinstance(events[-1], End | ProviderError):
            self._answer = None
        return [(answer.number, event) for event in events]

    def drop(self, job: int) -> None:
        """Forget the job."""
        if self._answer and self._answer.number == job:
            self._answer = None

    def set_threads(self, threads: int) -> None:
        """Use that many CPU cores."""
        self._cpu_affinity.use(threads)

    def close(self) -> None:
        """Drop the request; the model is freed with its last reference."""
        self._answer = None

    # ---------------------------------------------------------------- one step

    def _advance(self, answer: SequenceState) -> Iterator[Event | ProviderError]:
        if not answer.started:
            answer.started = True
            yield answer.prompt.started(0)
            return
        if answer.generation is None:
            answer.generation = self._prefill(answer.prompt, answer.limit)
        logits = answer.generation.logits()
        (token,) = draw_all(logits, [answer.sampler])
        count = answer.prompt.logprobs
        found = None if count is None else logprobs(logits[0], token, count)
        events = answer.output.push_token(token, self._vocabulary, found)
        yield from events
        if not any(isinstance(event, End | ProviderError) for event in events):
            answer.generation.append(token)

    def _prefill(self, prompt: PreparedPrompt, limit: int) -> Generation:
        tokens = [token if token >= 0 else self._pad for token in prompt.tokens]
        return self._vision_model.begin(tokens, prompt.images, len(tokens) + limit)

    def _warm_up(self) -> None:
        """Compute a prompt without images, so that a graph that cannot run is refused now."""
        try:
            self._vision_model.begin([self._start], [], 2).logits()
        except ProviderError as error:
            raise ModelNotLoadable(str(error)) from error

    def _token(self, text: str) -> int:
        """The single token of a control text."""
        tokens = self._vocabulary.tokenize(text)
        if len(tokens) != 1:
            raise ModelNotLoadable(f"The tokeniser of this model knows no {text}.")
        return tokens[0]


def _scaling(folder: Path) -> Scaling:
    found = scaling(folder, optional_json(folder / FILE).get("model", {}))
    if found is None:
        raise ModelNotLoadable(f"{FILE} and {PROCESSOR} describe no model that this engine knows.")
    return found
