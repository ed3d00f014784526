"""Real weights, SmolLM2-135M-Instruct, in each format: its prompts and the ends of its answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.provider.conversion import convert
from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load, missing_library
from app.provider.types import Delta, End, Started
from tests.provider.real_models import SMOLLM2, real_model, skip
from tests.provider.smollm2 import (
    CONTROL,
    CONVERSATIONS,
    COPIED,
    COPYING,
    HELLO,
    Conversation,
    Reference,
    prompt_of,
    write_folder,
)
from tests.selection import matrix

pytestmark = pytest.mark.slow

LIMITS = EngineLimits(slots=4, context_length=1024, threads=1)
ASKED = {"pytorch": [HELLO, COPYING], "onnx": [HELLO, COPYING], "mlx": [HELLO]}
"""By engine of folders; on a Linux CPU, MLX takes a second for two tokens."""


@pytest.fixture(scope="module")
def file() -> Path:
    return real_model(SMOLLM2)


@pytest.fixture(scope="module")
def reference(file: Path) -> Iterator[Reference]:
    reference = Reference(file)
    yield reference
    reference.close()


@pytest.fixture(scope="module")
def folder(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same weights as a Hugging Face folder, in a models folder where others are made of it."""
    models = tmp_path_factory.mktemp("smollm2")
    yield write_folder(file, models / "smollm2")
    shutil.rmtree(models)  # some hundred megabytes


@pytest.fixture(scope="module")
def gguf(file: Path) -> Iterator[Engine]:
    yield from _loaded("gguf", file)


@pytest.fixture(scope="module", params=matrix(*ASKED))
def named(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, Engine]]:
    name: str = request.param
    if library := missing_library(name):
        skip(f"{name}: {library} is not installed")
    path = folder if name == "pytorch" else _converted(folder, name)
    for engine in _loaded(name, path):
        yield name, engine


def _converted(folder: Path, target: str) -> Path:
    """MLX in float32, which is the fastest on a CPU (bfloat16 takes minutes); ONNX in four bits."""
    mlx = convert.Conversion(folder, "mlx", bits=0, dtype="float32")
    wanted = mlx if target == "mlx" else convert.Conversion(folder, "onnx")
    if extra := convert.missing(wanted.target):
        skip(f"{target}: ./run.sh install {extra} brings what makes the folder")
    return convert.convert(wanted, folder.parent, LIMITS)


def _loaded(engine: str, path: Path) -> Iterator[Engine]:
    loaded = load(EngineSpec(ENGINES[engine], str(path), LIMITS), lambda _: None)
    yield loaded
    loaded.close()


def answers(engine: Engine, *conversations: Conversation) -> list[tuple[int, str, End]]:
    """Prompt tokens, text and end of the answers, which are written side by side."""
    events: list[list[Any]] = [[] for _ in conversations]
    for job, conversation in enumerate(conversations):
        assert engine.admit(job, engine.prepare(prompt_of(conversation)))
    for _ in range(2000):
        if all(finished and isinstance(finished[-1], End | Exception) for finished in events):
            break
        for job, event in engine.step():
            events[job].append(event)
    return [_answer(finished) for finished in events]


def _answer(events: list[Any]) -> tuple[int, str, End]:
    (started,) = [event for event in events if isinstance(event, Started)]
    text = "".join(event.text for event in events if isinstance(event, Delta))
    assert isinstance(events[-1], End), events[-1]
    return started.prompt_tokens, text, events[-1]


def prompt_tokens(engine: Engine) -> list[list[int]]:
    return [list(engine.prepare(prompt_of(each)).tokens) for each in CONVERSATIONS]


def expected_tokens(reference: Reference) -> list[list[int]]:
    return [reference.tokens(each) for each in CONVERSATIONS]


def test_prompts_of_the_file_are_those_of_a_plain_render(
    gguf: Engine, reference: Reference
) -> None:
    assert prompt_tokens(gguf) == expected_tokens(reference)


def test_answers_of_the_file(gguf: Engine, reference: Reference) -> None:
    hello, copied = answers(gguf, HELLO, COPYING)
    assert (hello[0], copied[0]) == tuple(len(reference.tokens(c)) for c in (HELLO, COPYING))
    assert copied[1] == COPIED
    check_ends(hello, copied)


def test_prompts_of_a_folder_are_the_same(named: tuple[str, Engine], reference: Reference) -> None:
    assert prompt_tokens(named[1]) == expected_tokens(reference)


def test_answers_of_a_folder(named: tuple[str, Engine]) -> None:
    name, engine = named
    finished = answers(engine, *ASKED[name])
    check_ends(*finished)
    assert [text for _, text, _ in finished][1:] == [COPIED for _ in ASKED[name][1:]]


def check_ends(*finished: tuple[int, str, End]) -> None:
    """Each answer ended with its turn, in whole characters, and shows no control token."""
    for tokens, text, end in finished:
        assert end.reason == "stop", text
        assert end.usage.prompt_tokens == tokens
        assert 0 < end.usage.completion_tokens < 48
        assert text
        assert "\ufffd" not in text
        assert not any(control in text for control in CONTROL)
