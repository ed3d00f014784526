"""An engine in this process that is shown pictures, and libmtmd's own way to the same answer."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import mtmd_cpp as mtmd

from app.provider.architectures.qwen_vl_pixels import scaled
from app.provider.engine import Deferred, EngineLimits, EngineSpec
from app.provider.engines.gguf.engine import GgufEngine
from app.provider.engines.gguf.image_encoder import MtmdImageEncoder
from app.provider.errors import ProviderError
from app.provider.types import End, Event, Prompt, Started
from tests.provider.asking import Reply


@dataclass
class Driver:
    """Steps an engine as the worker does.

    ``looked`` are the pictures that it has begun to encode; it goes on while it ``may_look``.
    """

    engine: GgufEngine
    looked: list[str] = field(default_factory=list)
    may_look: threading.Event = field(default_factory=threading.Event)
    _numbers: int = 0
    _events: dict[int, list[Event | ProviderError]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, **limits: Any) -> Driver:
        """Load a model into this process."""
        spec = EngineSpec("app.provider.engines.gguf", str(path), EngineLimits(**limits))
        driver = cls(GgufEngine(spec, lambda _: None))
        driver.may_look.set()
        if isinstance(encoder := driver.engine._image_encoder, MtmdImageEncoder):
            projector = encoder._projector
            projector.encode = driver._noting(projector.encode)  # type: ignore[assignment,method-assign]
        return driver

    def _noting(self, encode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noting(image: Any) -> Any:
            self.looked.append(image.part.sha256)
            assert self.may_look.wait(60)
            return encode(image)

        return noting

    def start(self, prompt: Prompt) -> int:
        """Admit a prompt."""
        prepared = self.engine.prepare(prompt)
        return self.admit(prepared.finish() if isinstance(prepared, Deferred) else prepared)

    def admit(self, prepared: Any) -> int:
        """Admit a prompt that is prepared already."""
        self._numbers += 1
        self._events[self._numbers] = []
        assert self.engine.admit(self._numbers, prepared)
        return self._numbers

    def step(self) -> None:
        """Note what one step gives."""
        for job, event in self.engine.step():
            self._events[job].append(event)

    def drop(self, job: int) -> None:
        """Cancel."""
        self.engine.drop(job)
        del self._events[job]

    def events(self, job: int) -> list[Event | ProviderError]:
        """What came so far."""
        return self._events[job]

    def until(self, job: int, kind: type[Any]) -> None:
        """Step until such an event came."""
        while not any(isinstance(event, kind) for event in self._events[job]):
            self.step()

    def finish(self, jobs: Iterable[int]) -> list[Reply]:
        """Step until those are done; raises the error of one that fails."""
        for job in (jobs := list(jobs)):
            self.until(job, End | ProviderError)  # type: ignore[arg-type]
        return [self._reply(job) for job in jobs]

    def _reply(self, job: int) -> Reply:
        events = self._events.pop(job)
        for event in events:
            if isinstance(event, ProviderError):
                raise event
        return Reply([event for event in events if not isinstance(event, ProviderError)])

    def ask(self, prompt: Prompt) -> Reply:
        """The whole answer."""
        (reply,) = self.finish([self.start(prompt)])
        return reply


def by_mtmd(driver: Driver, prompt: Prompt) -> str:
    """What libmtmd's helpers answer in a context of their own, one token after the other."""
    engine = driver.engine
    assert isinstance(engine._image_encoder, MtmdImageEncoder)
    projector = engine._image_encoder._projector
    sizes = [image.size for image in engine.prepare(prompt).images]
    pictures = [image for message in prompt.messages for image in message.images]
    bitmaps = (mtmd.mtmd_bitmap_p_ctypes * len(pictures))()
    for index, (picture, size) in enumerate(zip(pictures, sizes, strict=True)):
        pixels = np.ascontiguousarray(scaled(picture, size.width, size.height))
        data = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        bitmaps[index] = mtmd.mtmd_bitmap_init(size.width, size.height, data)
    chat = engine._prompts.chat
    chat._writer._mark = mtmd.mtmd_default_marker().decode()
    text = chat.render(prompt).text.encode()
    chunks = mtmd.mtmd_input_chunks_init()
    input_text = mtmd.mtmd_input_text(text, len(text), True, True)
    assert not mtmd.mtmd_tokenize(
        projector._handle, chunks, ctypes.byref(input_text), bitmaps, len(pictures)
    )
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads = 2048, 512, 512, 1
    context = llama_cpp.llama_init_from_model(engine._model.handle, params)
    position = llama_cpp.llama_pos(0)
    assert not mtmd.mtmd_helper_eval_chunks(
        projector._handle, context, chunks, 0, 0, 512, True, ctypes.byref(position)
    )
    answer = _greedy(engine, context, position.value, prompt.sampling.max_tokens or 0)
    llama_cpp.llama_free(context)
    mtmd.mtmd_input_chunks_free(chunks)
    for bitmap in bitmaps:
        mtmd.mtmd_bitmap_free(bitmap)
    return answer


def _greedy(engine: GgufEngine, context: Any, position: int, length: int) -> str:
    answer = b""
    for _ in range(length):
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        token = int(np.ctypeslib.as_array(logits, (engine._model.vocabulary.size,)).argmax())
        answer += engine._model.vocabulary.piece(token) or b""
        tokens = (llama_cpp.llama_token * 1)(token)  # the batch does not keep it alive
        batch = llama_cpp.llama_batch_get_one(tokens, 1)
        batch.pos = (llama_cpp.llama_pos * 1)(position)
        assert not llama_cpp.llama_decode(context, batch)
        position += 1
    return answer.decode()


def started(driver: Driver, job: int) -> Started:
    """What was told of a job when it began."""
    (started_event,) = [event for event in driver.events(job) if isinstance(event, Started)]
    return started_event
