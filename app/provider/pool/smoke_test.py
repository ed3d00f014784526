"""Loads a model that is not among the models of the server yet, and asks it something.

A model that chats is greeted, an encoder encodes a word, a pair of words or a grey picture.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.engine_settings import NOTHING_CHOSEN, EngineSettings
from app.provider.catalogue.scan import card_at
from app.provider.engine import ENGINES, EngineLimits, EngineSpec, fills_gpu
from app.provider.errors import ProviderError
from app.provider.pool.hardware import physical_cores
from app.provider.pool.sizing import LEAST_KV_BYTES
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import (
    Delta,
    Encode,
    Event,
    ImagePart,
    Message,
    PairPart,
    Prompt,
    Sampling,
    TextPart,
)

_GREETING = Prompt((Message.of("user", "Hello"),), Sampling(max_tokens=4), "")

_GREY = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAJklEQVR42u3NMQ0AAAwDoEqv9KrYsQQMkB6LQCAQ"
    "CAQCgUAg+BIMLd4AWwUPN68AAAAASUVORK5CYII="
)
GREY_PICTURE = ImagePart(_GREY, hashlib.sha256(_GREY).hexdigest(), 32, 32)


def failure(
    path: Path,
    limits: EngineLimits,
    policy: HostPolicy,
    engines: EngineSettings = NOTHING_CHOSEN,
) -> str:
    """Load the model and greet it; returns why it does not work, or an empty text.

    One whose engine fills the GPUs is not tried: models that are loaded may need them.
    """
    card = card_at(path, engines)
    if card is None or card.problem:
        return (card and card.problem) or "It is no model that this server knows."
    if fills_gpu(card.engine):
        return ""
    try:
        if card.encoder:
            encode(card, limits, policy)
        else:
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
    host = _host(engine, path, limits, policy)
    events = asyncio.run(_events(host, prompt))
    return "".join(event.text for event in events if isinstance(event, Delta))


def encode(card: ModelCard, limits: EngineLimits, policy: HostPolicy) -> None:
    """Load the encoder in an engine process of its own and let it encode; raises ProviderError."""
    host = _host(card.engine, card.path, limits, policy)
    parts: list[TextPart | PairPart | ImagePart] = []
    if card.kind == "rerank":
        parts.append(PairPart("Hello", "Hello"))
    if card.kind in ("embedding", "multimodal"):
        parts.append(TextPart("Hello"))
    if card.kind in ("vision", "multimodal"):
        parts.append(GREY_PICTURE)
    asyncio.run(_events(host, Encode(tuple(parts))))


def _host(engine: str, path: Path, limits: EngineLimits, policy: HostPolicy) -> EngineHost:
    limits = replace(
        limits,
        threads=limits.threads or physical_cores(),
        kv_cache_bytes=limits.kv_cache_bytes or LEAST_KV_BYTES,
    )
    return EngineHost(EngineSpec(ENGINES[engine], str(path), limits), policy)


async def _events(host: EngineHost, job: Prompt | Encode) -> list[Event]:
    try:
        async with aclosing(host.stream(job)) as events:
            return [event async for event in events]
    finally:
        await host.stop()
