"""Loads a model that is not among the models of the server yet, and asks it something."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from app.provider.catalogue.scan import card_at
from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.errors import ProviderError
from app.provider.pool.hardware import physical_cores
from app.provider.pool.sizing import LEAST_KV_BYTES
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Delta, Message, Prompt, Sampling

_GREETING = Prompt((Message.of("user", "Hello"),), Sampling(max_tokens=4), "")


def failure(path: Path, limits: EngineLimits, policy: HostPolicy) -> str:
    """Load the model and greet it; returns why it does not work, or an empty text."""
    card = card_at(path)
    if card is None or card.problem:
        return (card and card.problem) or "It is no model that this server knows."
    try:
        answer(card.engine, card.path, limits, policy, _GREETING)
    except ProviderError as error:
        return str(error)
    return ""


def answer(
    engine: str, path: Path, limits: EngineLimits, policy: HostPolicy, prompt: Prompt
) -> str:
    """Load the model in an engine process of its own and return its answer to ``prompt``.

    ``engine`` is a name of ``ENGINES``. Raises ProviderError when it cannot be loaded or asked.
    """
    limits = replace(
        limits,
        threads=limits.threads or physical_cores(),
        kv_cache_bytes=limits.kv_cache_bytes or LEAST_KV_BYTES,
    )
    host = EngineHost(EngineSpec(ENGINES[engine], str(path), limits), policy)
    return asyncio.run(_answer(host, prompt))


async def _answer(host: EngineHost, prompt: Prompt) -> str:
    try:
        async with aclosing(host.stream(prompt)) as events:
            return "".join([event.text async for event in events if isinstance(event, Delta)])
    finally:
        await host.stop()
