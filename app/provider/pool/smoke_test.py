"""Tries a model that is not in its place yet: loads it and asks it something."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.pool.hardware import physical_cores
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Delta, Prompt


def answer(
    engine: str, path: Path, limits: EngineLimits, policy: HostPolicy, prompt: Prompt
) -> str:
    """Load the model in an engine process of its own and return what it says.

    ``engine`` is a name of ``ENGINES``. Raises ProviderError when it cannot be loaded or asked.
    """
    allowed = replace(limits, threads=limits.threads or physical_cores())
    host = EngineHost(EngineSpec(ENGINES[engine], str(path), allowed), policy)
    return asyncio.run(_asked(host, prompt))


async def _asked(host: EngineHost, prompt: Prompt) -> str:
    try:
        async with aclosing(host.stream(prompt)) as events:
            return "".join([event.text async for event in events if isinstance(event, Delta)])
    finally:
        await host.stop()
