"""The models that are loaded: found by id, loaded when asked for, the least recently used leaves.

A model in use never leaves, and an id is never answered by another model.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from app.provider.catalogue import ECHO, ModelCard, scan
from app.provider.engine import EngineLimits, EngineSpec
from app.provider.errors import (
    EngineBusy,
    EngineUnavailable,
    ModelConflict,
    ModelNotFound,
    ModelNotLoadable,
)
from app.provider.runtime import EngineHost, HostPolicy, HostStatus, State
from app.provider.types import Event, Progress, Prompt, Size

STARTER = "starter"
_RESCAN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Where models lie and how many may be loaded. ``default_model`` is a file anywhere.

    ``limits.threads`` 0 means the physical cores. Models that are answering share the threads,
    so that their sum never exceeds that number. Files ``untouched`` are never opened.
    """

    models_dir: Path
    default_model: Path | None = None
    echo: bool = False
    max_loaded: int = 2
    limits: EngineLimits = field(default_factory=EngineLimits)
    policy: HostPolicy = field(default_factory=HostPolicy)
    untouched: frozenset[Path] = frozenset()


class ModelPool:
    """See the module. Lives on one event loop."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._threads = config.limits.threads or _physical_cores()
        self._cards: list[ModelCard] = []
        self._scanned_at = float("-inf")
        self._hosts: dict[str, EngineHost] = {}  # least recently used first
        self._leases: Counter[str] = Counter()
        self._moving = asyncio.Lock()

    # ---------------------------------------------------------------- what there is

    def cards(self) -> list[ModelCard]:
        """Look at the disk and list every model there. Blocks for some milliseconds."""
        default = self._config.default_model
        extra = [default] if default else []
        found = scan(self._config.models_dir, extra, self._config.untouched)
        self._cards = [*found, ECHO] if self._config.echo else found
        self._scanned_at = time.monotonic()
        return self._cards

    def card(self, model: str | None) -> ModelCard:
        """Find a model by id, or the default one; raises ModelNotFound or ModelConflict."""
        wanted = self._default_id() if model is None else model
        found = [card for card in self._cards if card.id == wanted]
        if not found and time.monotonic() - self._scanned_at > _RESCAN_SECONDS:
            found = [card for card in self.cards() if card.id == wanted]
        if not found:
            raise ModelNotFound(wanted)
        if len(found) > 1:
            places = " and ".join(self._place(card.path) for card in found)
            raise ModelConflict(f"Two models are called {wanted!r}: {places}. Rename one.")
        return found[0]

    def _place(self, path: Path) -> str:
        """A path as it may be shown: below the models folder, or only its name."""
        folder = self._config.models_dir
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name

    def _default_id(self) -> str:
        if self._config.default_model:
            return self._config.default_model.name.removesuffix(".gguf")
        ids = [card.id for card in self._cards or self.cards()]
        return STARTER if STARTER in ids or not ids else ids[0]

    def state(self, model: str) -> State:
        """Say what the model's engine is doing."""
        return self._hosts[model].status().state if model in self._hosts else "unloaded"

    def health(self) -> dict[str, HostStatus]:
        """Status of every model that is loaded or was asked for."""
        return {model: host.status() for model, host in self._hosts.items()}

    def well(self) -> bool:
        """Whether every engine does its work; a bad file that was only tried does not count."""
        return all(
            status.healthy or (status.state == "failed" and model != self._default_id())
            for model, status in self.health().items()
        )

    # ---------------------------------------------------------------- using a model

    async def stream(self, model: str, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt`` with that model, loading it first if need be.

        Closing the generator cancels in every phase. Raises what ``EngineHost.stream`` raises,
        ModelNotFound, ModelConflict, and EngineBusy when other models in use leave no room.
        """
        async with self._leased(model) as host, aclosing(host.stream(prompt)) as events:
            async for event in events:
                yield event

    async def measure(self, model: str, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt`` for that model; see ``EngineHost.measure``."""
        async with self._leased(model) as host, aclosing(host.measure(prompt)) as events:
            async for event in events:
                yield event

    async def size(self, model: str, prompt: Prompt) -> Size:
        """The end of ``measure``."""
        async with aclosing(self.measure(model, prompt)) as events:
            async for event in events:
                if isinstance(event, Size):
                    return event
        raise EngineUnavailable("The model did not count the prompt.", 1.0)

    async def preload(self, model: str) -> None:
        """Begin to load the model; returns before it is loaded."""
        async with self._leased(model) as host:
            host.start()

    async def close(self) -> None:
        """Unload everything."""
        await asyncio.gather(*(host.stop() for host in self._hosts.values()))
        self._hosts.clear()

    @asynccontextmanager
    async def _leased(self, model: str) -> AsyncIterator[EngineHost]:
        """Hold the model's host, so that it is not unloaded meanwhile."""
        host = self._hosts.pop(model, None)
        if host is None:
            async with self._moving:
                host = self._hosts.pop(model, None) or await self._make_host(self.card(model))
        self._hosts[model] = host  # the end of the dict: most recently used
        self._lease(model, +1)
        try:
            yield host
        finally:
            self._lease(model, -1)

    def _lease(self, model: str, change: int) -> None:
        """Count who uses a model, and share the threads among the models in use."""
        before = self._leases[model]
        self._leases[model] += change
        if before == 0 or self._leases[model] == 0:
            used = [host for name, host in self._hosts.items() if self._leases[name]]
            for host in used:
                host.set_threads(max(1, self._threads // len(used)))

    async def _make_host(self, card: ModelCard) -> EngineHost:
        if card.problem:
            raise ModelNotLoadable(f"{card.id}: {card.problem}")
        while len(self._hosts) >= self._config.max_loaded:
            await self._unload_one()
        limits = replace(self._config.limits, threads=self._threads)
        return EngineHost(EngineSpec(card.format, str(card.path), limits), self._config.policy)

    async def _unload_one(self) -> None:
        for model in self._hosts:
            if not self._leases[model]:
                await self._hosts.pop(model).stop()
                return
        raise EngineBusy("Every model that is loaded is in use.", retry_after=5.0)


def _physical_cores() -> int:
    """Cores that this process may use; a hyper-thread more makes the arithmetic slower."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, usable or 1))
