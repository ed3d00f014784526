"""The echo engine, with a word for each way to fail, and for bytes of its own on the socket."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from app.provider.engine import EngineSpec
from app.provider.engines.echo.engine import EchoEngine, EchoJob
from app.provider.errors import UnsupportedInput
from app.provider.types import Event, Prompt

SEND = "send "
"""Before bytes in hexadecimal."""


class Panic(BaseException):
    """What libraries written in Rust raise: no Exception."""


class FailingEngine(EchoEngine):
    """Fails while a prompt is prepared, or in the step after that."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        super().__init__(spec, progress)
        self._fail_in_step = False
        self._frame = b""

    def prepare(self, prompt: Prompt) -> EchoJob:
        text = prompt.messages[-1].text
        if text == "panic":
            raise Panic("the tokeniser is beside itself")
        if text == "error":
            raise RuntimeError("nobody has thought of this")
        if text == "refusal":
            raise UnsupportedInput("a\0b \ud800 c")
        self._fail_in_step = text == "step"
        self._frame = bytes.fromhex(text.removeprefix(SEND)) if text.startswith(SEND) else b""
        return super().prepare(prompt)

    def step(self) -> list[tuple[int, Event]]:
        if self._fail_in_step:
            raise RuntimeError("the weights are beside themselves")
        if self._frame:
            os.write(int(sys.argv[1]), self._frame)
        return super().step()


build = FailingEngine
