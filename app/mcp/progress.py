"""Progress of a call, for clients that would otherwise give it up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

EVERY = 5.0
"""Seconds; clients give up after 30 or 60 without a sign."""

Report = Callable[[float, float | None, str | None], Awaitable[None]]
"""Sends progress, total and message; nothing if the client did not ask for it."""


class Progress:
    """Says at once that a call has begun, and every few seconds how far it is.

    ``message`` is what it says next. The progress is a number of reports: it only has to grow.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self.message = "working"

    @asynccontextmanager
    async def reported(self) -> AsyncIterator[None]:
        """Report until the end of the context."""
        await self._report(1, None, self.message)
        reporting = asyncio.create_task(self._go_on())
        try:
            yield
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])

    async def _go_on(self) -> None:
        count = 1
        while True:
            await asyncio.sleep(EVERY)
            count += 1
            await self._report(count, None, self.message)
