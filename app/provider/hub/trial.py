"""Loads a model that is not in its place yet and asks it one question."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil

from app.provider.card import ModelCard
from app.provider.catalogue.scan import scan
from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.errors import ProviderError
from app.provider.runtime import EngineHost
from app.provider.status import HostPolicy
from app.provider.types import Message, Prompt, Sampling

QUESTION = Prompt((Message.of("user", "Hello"),), Sampling(max_tokens=4), "")


def card_of(model: Path) -> ModelCard | None:
    """Describe the file or folder as the catalogue will; None when it is no model."""
    return next((card for card in scan(model.parent) if card.path.is_relative_to(model)), None)


def why_not(model: Path, limits: EngineLimits, policy: HostPolicy) -> str:
    """Load the model in an engine process of its own; say why it does not work, or nothing."""
    card = card_of(model)
    if card is None or card.problem:
        return (card and card.problem) or "It is no model that this server knows."
    threads = limits.threads or psutil.cpu_count(logical=False) or 1
    spec = EngineSpec(ENGINES[card.engine], str(card.path), replace(limits, threads=threads))
    try:
        asyncio.run(_ask(EngineHost(spec, policy), card))
    except ProviderError as error:
        return str(error)
    return ""


async def _ask(host: EngineHost, card: ModelCard) -> None:
    asking = host.stream(QUESTION) if "chat" in card.tasks else host.measure(QUESTION)
    try:
        async with aclosing(asking) as events:
            async for _ in events:
                pass
    finally:
        await host.stop()
