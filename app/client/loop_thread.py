"""An event loop in a thread of its own, for programs that have none, or another one."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()
Put = Callable[[object], None]


class LoopThread:
    """Runs coroutines and generators that belong to one event loop, asked from anywhere.

    The thread ends with the program, or by ``stop``.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sllm", daemon=True)
        self._thread.start()
        atexit.register(self._leave_tasks)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the result in this thread; an interrupt cancels the work."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the result in the running event loop; cancelling cancels the work."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items, in this thread; closing it closes the generator."""
        queue = SimpleQueue[Any]()
        pump = asyncio.run_coroutine_threadsafe(_pump(items, queue.put), self._loop)
        try:
            while (item := queue.get()) is not _END:
                yield _item(item)
        finally:
            pump.cancel()

    async def aiterate(self, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The items, in the running event loop; closing it closes the generator."""
        here, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def put(item: object) -> None:
            here.call_soon_threadsafe(queue.put_nowait, item)

        pump = asyncio.run_coroutine_threadsafe(_pump(items, put), self._loop)
        try:
            while (item := await queue.get()) is not _END:
                yield _item(item)
        finally:
            pump.cancel()

    def stop(self) -> None:
        """End the thread; what still runs is dropped."""
        atexit.unregister(self._leave_tasks)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _leave_tasks(self) -> None:
        """Let tasks end with the program: there is no use in a complaint about each."""
        for task in asyncio.all_tasks(self._loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # as gather() does


class _Raised:
    """An exception on its way to another thread."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _item(item: Any) -> Any:
    if isinstance(item, _Raised):
        raise item.error
    return item


async def _pump(items: AsyncGenerator[Any, None], put: Put) -> None:
    try:
        async with aclosing(items):
            async for item in items:
                put(item)
    except Exception as error:  # whoever reads the items raises it
        put(_Raised(error))
    else:
        put(_END)
