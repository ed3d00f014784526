"""The echo engine, with a word for each way to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from app.provider.engine import EngineSpec
from app.provider.engines.echo.engine import EchoEngine, EchoJob
from app.provider.errors import UnsupportedInput
from app.provider.types import Event, Prompt


class Panic(BaseException):
    """What libraries written in Rust raise: no Exception."""


class FailingEngine(EchoEngine):
    """Fails while a prompt is prepared, or in the step after that."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        super().__init__(spec, progress)
        self._fail_in_step = False

    def prepare(self, prompt: Prompt) -> EchoJob:
        text = prompt.messages[-1].text
        if text == "panic":
            raise Panic("the tokeniser is beside itself")
        if text == "error":
            raise RuntimeError("nobody has thought of this")
        if text == "refusal":
            raise UnsupportedInput("a\0b \ud800 c")
        self._fail_in_step = text == "step"
        return super().prepare(prompt)

    def step(self) -> list[tuple[int, Event]]:
        if self._fail_in_step:
            raise RuntimeError("the weights are beside themselves")
        return super().step()


class Unreadable:
    """Cannot be read at the other end of the socket."""

    def __reduce__(self) -> tuple[Callable[[], NoReturn], tuple[()]]:
        return _explode, ()


def _explode() -> NoReturn:
    raise ValueError("no such thing")


build = FailingEngine
