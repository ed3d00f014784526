"""A backend whose work is done on an event loop of its own, whoever asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator
from typing import Any

from app.client.backend import Body
from app.client.loop_thread import LoopThread


class LoopBackend(ABC):
    """Brings requests to the loop of ``thread``, and answers back. ``close`` ends it."""

    def __init__(self) -> None:
        self.thread = LoopThread()

    def post(self, path: str, body: Body) -> dict[str, Any]:
        """The whole answer; raises SLLMError."""
        return self.thread.run(self._answer(path, body))

    async def apost(self, path: str, body: Body) -> dict[str, Any]:
        """The whole answer; raises SLLMError."""
        return await self.thread.arun(self._answer(path, body))

    def stream(self, path: str, body: Body) -> Generator[dict[str, Any], None, None]:
        """The chunks of an answer; raises SLLMError."""
        return self.thread.iterate(self._chunks(path, body))

    def astream(self, path: str, body: Body) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of an answer; raises SLLMError."""
        return self.thread.aiterate(self._chunks(path, body))

    def close(self) -> None:
        """Let go of what is held, and end the thread."""
        self.thread.run(self._close())
        self.thread.stop()

    @abstractmethod
    async def _answer(self, path: str, body: Body) -> dict[str, Any]: ...

    @abstractmethod
    def _chunks(self, path: str, body: Body) -> AsyncGenerator[dict[str, Any], None]: ...

    @abstractmethod
    async def _close(self) -> None: ...
