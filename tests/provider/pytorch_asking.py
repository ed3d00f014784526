"""Steps a PyTorch engine in the process of the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.engines.pytorch.engine import PytorchEngine
from app.provider.types import Delta, End, Event, ImagePart, Prompt, Started
from tests.provider.pictures import noise, part, shown


def engine_of(folder: Path, **limits: Any) -> PytorchEngine:
    spec = EngineSpec(ENGINES["pytorch"], str(folder), EngineLimits(**limits))
    return PytorchEngine(spec, lambda percent: None)


def run(
    engine: PytorchEngine, *prompts: Prompt, before_step: Callable[[], None] = lambda: None
) -> dict[int, list[Any]]:
    """Step the engine until all prompts are answered."""
    events_by_job: dict[int, list[Any]] = {job: [] for job in range(len(prompts))}
    for job, one in enumerate(prompts):
        assert engine.admit(job, engine.prepare(one))
    for _ in range(3000):
        if all(
            events and isinstance(events[-1], End | Exception) for events in events_by_job.values()
        ):
            break
        before_step()
        for job, event in engine.step():
            events_by_job[job].append(event)
    return events_by_job


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def started(events: list[Event]) -> Started:
    (found,) = [event for event in events if isinstance(event, Started)]
    return found


def answer_to(engine: PytorchEngine, one: Prompt) -> str:
    return text_of(run(engine, one)[0])


def question(text: str, *pictures: ImagePart) -> tuple[str | ImagePart, ...]:
    return (*pictures, text)


def prompt_of(*turns: str | tuple[str | ImagePart, ...], **options: Any) -> Prompt:
    return shown(*turns, **{"max_tokens": 24} | options)


def picture(seed: int, width: int = 112, height: int = 84) -> ImagePart:
    return noise(width, height, seed)


def soft(seed: int, width: int, height: int) -> ImagePart:
    random = np.random.default_rng(seed)
    squares = Image.fromarray(random.integers(0, 256, (3, 4, 3), np.uint8))
    return part(squares.resize((width, height), Image.Resampling.BICUBIC))


def looks(engine: PytorchEngine) -> list[str]:
    """The pictures that are looked at from now on."""
    seen: list[str] = []
    vision_tower = engine._model.vision_tower
    assert vision_tower
    encode = vision_tower.encode

    def noted(one: ImagePart, size: Any) -> Any:
        seen.append(one.sha256)
        return encode(one, size)

    vision_tower.encode = noted  # type: ignore[method-assign, assignment]
    return seen


def is_looking(engine: PytorchEngine) -> bool:
    assert engine._image_encoder
    return engine._image_encoder.busy


def drawn(engine: PytorchEngine, one: Prompt) -> list[int]:
    """The tokens of an answer, its end included."""
    tokens: list[int] = []
    vocabulary = engine._model.vocabulary
    piece = vocabulary.piece

    def noted(token: int, *, keep_special: bool = False) -> bytes | None:
        tokens.append(token)
        return piece(token, keep_special=keep_special)

    vocabulary.piece = noted  # type: ignore[method-assign]
    run(engine, one)
    del vocabulary.piece
    return tokens
