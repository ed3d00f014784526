"""One event of a stream, where the others only say how far it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar

from app.provider.errors import EngineUnavailable

T = TypeVar("T")


async def first(kind: type[T], events: AsyncGenerator[Any, None]) -> T:
    """The first event of that kind; raises EngineUnavailable where none comes."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise EngineUnavailable("The model did not count the tokens.", 1.0)
