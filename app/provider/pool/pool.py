"""Finds models by name, loads them when they are asked for and unloads them to make room.

A request to one model is never answered by another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.names import find, model_id
from app.provider.catalogue.scan import NOT_READ_YET, scan
from app.provider.engine import EngineLimits
from app.provider.engines.echo.format import ECHO, ECHO_VISION
from app.provider.errors import EngineUnavailable, ModelConflict, ModelNotFound
from app.provider.pool.config import PoolConfig
from app.provider.pool.default_model import default_chat, default_vision, problem_of, vision_models
from app.provider.pool.eviction import AdmissionDecision, LedgerEntry
from app.provider.pool.loaded_models import LoadedModel, LoadedModels
from app.provider.pool.sizing import SizeEstimate, Sizing
from app.provider.runtime.metrics import ModelMetrics
from app.provider.runtime.status import HostStatus, State, failed_status
from app.provider.types import Event, Loaded, Progress, Prompt, Size

__all__ = ["ModelPool", "PoolConfig"]

_RESCAN_SECONDS = 1.0
_URGENT_SECONDS = 0.2
"""Shorter interval where a model cannot be used, because new files may repair it."""
_STALE_SECONDS = 3.0
"""After so many seconds the last scan is too old to be used."""
_MOST_SCANS = 20
"""A scan takes a bounded time; so many in a row read hundreds of models."""
_SCAN_WAIT_SECONDS = 1.0
"""A request to a known model waits no longer for a scan."""


class ModelPool:
    """All models of this server. Belongs to one event loop."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._cards: list[ModelCard] = []
        self._scanned_at = float("-inf")
        self._scanning: asyncio.Task[list[ModelCard]] | None = None
        self._sizing = Sizing(config.limits, config.max_loaded, config.memory_budget, config.gpu)
        self._loaded = LoadedModels(
            self._sizing, config.policy, auto_unload=config.auto_unload, ttl=config.ttl
        )

    # ---------------------------------------------------------------- finding models

    def cards(self) -> list[ModelCard]:
        """Scan the disk and list every model. Blocks for some milliseconds."""
        config = self._config
        found = scan(config.models_dir, config.named, config.untouched, config.aliases)
        self._cards = [*found, ECHO, ECHO_VISION] if config.echo else found
        self._scanned_at = time.monotonic()
        return self._cards_with_problems()

    def _cards_with_problems(self) -> list[ModelCard]:
        """The cards of the last scan, with the problems that loading them has shown."""
        return list(map(self._loaded.refusals.with_problem, self._cards))

    def card(self, model: str | None) -> ModelCard:
        """Find a model by id or alias, or the default one; raises ModelNotFound, ModelConflict."""
        wanted = self._default_id() if model is None else model
        found = find(self._cards_with_problems(), wanted)
        if not found and time.monotonic() - self._scanned_at > _RESCAN_SECONDS:
            found = find(self.cards(), wanted)
        if not found:
            raise ModelNotFound(wanted)
        if len(found) > 1:
            places = " and ".join(self._shown_path(card.path) for card in found)
            raise ModelConflict(f"Two models are called {wanted!r}: {places}. Rename one.")
        return found[0]

    async def find(self, model: str | None) -> ModelCard:
        """``card`` without blocking the event loop, from a scan that is at most seconds old.

        A steady stream of requests to known models never waits for the disk. A request to a model
        that could not be loaded does, because its files may have changed.
        """
        if model is None and self._config.default_model:
            model = self._default_id()
        known = self._cards if model is None else find(self._cards, model)
        refused = model is not None and any(map(self._loaded.refusals.reason_for, known))
        await self._rescan(known=bool(known), urgent=refused)
        return await self._find_read(model)

    async def _rescan(self, *, known: bool, urgent: bool) -> None:
        """Begin a scan if the last one is old, and wait for it where the caller needs it."""
        age = time.monotonic() - self._scanned_at
        if self._scanning is None and age > (_URGENT_SECONDS if urgent else _RESCAN_SECONDS):
            self._scanning = asyncio.create_task(asyncio.to_thread(self.cards))
            self._scanning.add_done_callback(self._scan_ended)
        if self._scanning and (not known or urgent or age > _STALE_SECONDS):
            await asyncio.wait([self._scanning], timeout=_SCAN_WAIT_SECONDS if known else None)

    async def _find_read(self, model: str | None) -> ModelCard:
        """``card``, with further scans until one of them has had time to read the model."""
        card = self.card(model)
        for _ in range(_MOST_SCANS):
            if card.problem != NOT_READ_YET:
                break
            await asyncio.to_thread(self.cards)
            card = self.card(model)
        return card

    def _scan_ended(self, _: object) -> None:
        self._scanning = None

    def _shown_path(self, path: Path) -> str:
        """A path as clients may see it: below the models folder, or only its name."""
        folder = self._config.models_dir
        shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
        return shown.encode("utf-8", "replace").decode()  # file names can be any bytes

    def _default_id(self) -> str:
        if self._config.default_model:
            return model_id(self._config.default_model)
        return default_chat(self._cards_with_problems() or self.cards())

    async def find_vision(self) -> ModelCard | None:
        """The vision model to use where a request names none; None where there is none.

        It is the one of the settings, else the starter, else the first that can be loaded. Raises
        ModelNotFound, ModelConflict.
        """
        if self._config.default_vision:
            return await self.find(model_id(self._config.default_vision))
        with suppress(ModelNotFound, ModelConflict):
            await self.find(None)  # rescans if the last scan is old
        wanted = default_vision(self._cards_with_problems())
        return self.card(wanted) if wanted else None

    def vision_models(self) -> list[str]:
        """Ids of the models that take pictures and can be loaded, as of the last scan."""
        return vision_models(self._cards_with_problems())

    # ---------------------------------------------------------------- states

    def state(self, model: str) -> State:
        """Say what the model's engine is doing."""
        loaded = self._loaded.get(model)
        if loaded and not self._replaced(loaded):
            return loaded.host.status().state
        refused = any(map(self._loaded.refusals.reason_for, find(self._cards, model)))
        return "failed" if refused else "unloaded"

    def health(self) -> dict[str, HostStatus]:
        """Status of every model that is loaded or was asked for, least recently used first."""
        current = [one for one in self._loaded.all() if not self._replaced(one)]
        return {one.card.id: one.host.status() for one in current}

    def _replaced(self, loaded: LoadedModel) -> bool:
        """Whether the files of a model that failed have changed since, as of the last scan."""
        stamps = [card.stamp for card in self._cards if card.path == loaded.card.path]
        return loaded.failed and stamps != [loaded.card.stamp]

    def broken_defaults(self) -> dict[str, HostStatus]:
        """Status of the models that a setting names and that cannot be used.

        No other model is used in their place.
        """
        problems = {
            model: problem_of(find(self._cards_with_problems(), model)) for model in self._named()
        }
        return {model: failed_status(problem) for model, problem in problems.items() if problem}

    def _named(self) -> list[str]:
        """Ids of the models that settings name."""
        return [model_id(path) for path in self._config.named]

    async def measured(self) -> dict[str, LedgerEntry]:
        """``ledger`` after measuring the processes."""
        await self._loaded.measure()
        return self.ledger()

    def ledger(self) -> dict[str, LedgerEntry]:
        """Bytes of every loaded model: what was predicted, and what was measured last."""
        return {one.card.id: one.entry for one in self._loaded.all()}

    def metrics(self) -> Mapping[str, ModelMetrics]:
        """Metrics of every model that was asked for since this server started."""
        return self._loaded.metrics

    def is_healthy(self) -> bool:
        """Whether every engine works.

        A model that cannot be loaded counts only if a setting names it, or if it is the default
        model and the cause is not in its files.
        """
        statuses = self.health().items()
        if self.broken_defaults() or any(
            s.state != "failed" and not s.healthy for _, s in statuses
        ):
            return False
        unusable = {card.id for card in self._cards_with_problems() if card.problem}
        failed = {model for model, status in statuses if status.state == "failed"} - unusable
        return not failed or failed.isdisjoint([*self._named(), self._default_id()])

    async def rescan_defaults(self) -> None:
        """Rescan the disk if settings name models, because broken ones may have been repaired."""
        if self._named():
            await self._rescan(known=bool(self._cards), urgent=bool(self.broken_defaults()))

    # ---------------------------------------------------------------- using a model

    async def stream(self, model: str | ModelCard, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt`` with that model, loading it first if need be.

        Closing the generator cancels in every phase. Raises what ``EngineHost.stream`` raises,
        ModelNotFound, ModelConflict, and EngineBusy when other models in use leave no room.
        """
        card = await self._current(model)
        with self._loaded.metrics[card.id].begin_request() as request_metrics:
            if (waiting := self._loaded.queue_length(card)) is not None:
                yield Progress("queued", waiting)
            async with (
                self._loaded.lease(card) as host,
                aclosing(host.stream(prompt, request_metrics)) as events,
            ):
                async for event in events:
                    yield event

    async def measure(
        self, model: str | ModelCard, prompt: Prompt
    ) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt``; gives the progress of loading, then the size."""
        card = await self._current(model)
        async with self._loaded.lease(card) as host, aclosing(host.measure(prompt)) as events:
            async for event in events:
                yield event

    async def size(self, model: str | ModelCard, prompt: Prompt) -> Size:
        """Count the tokens of ``prompt``."""
        async with aclosing(self.measure(model, prompt)) as events:
            async for event in events:
                if isinstance(event, Size):
                    return event
        raise EngineUnavailable("The model did not count the prompt.", 1.0)

    async def _current(self, model: str | ModelCard) -> ModelCard:
        """``find``, which a card that was found already spares while no other look has come."""
        if isinstance(model, str):
            return await self.find(model)
        known = any(card is model for card in self._cards)
        return model if known else await self.find(model.id)

    # ---------------------------------------------------------------- loading and unloading

    async def load(self, model: str) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model if it is not loaded; ends with Loaded. Raises what ``stream`` raises.

        A model that could not be loaded before is tried once more.
        """
        self._loaded.refusals.forget(await self.find(model))
        card = self.card(model)
        if (waiting := self._loaded.queue_length(card)) is not None:
            yield Progress("queued", waiting)
        async with self._loaded.lease(card) as host, aclosing(host.load()) as events:
            async for event in events:
                if isinstance(event, Loaded):
                    await self._loaded.measure()
                yield event

    async def preload(self, model: str) -> None:
        """Begin to load the model; returns before it is loaded."""
        async with self._loaded.lease(await self.find(model)) as host:
            host.start()

    async def unload(self, model: str) -> None:
        """Unload the model, if it is loaded; raises ModelNotFound, ModelConflict, ModelInUse.

        A loaded model is found by its id even when its files are gone.
        """
        loaded = self._loaded.get(model)
        await self._loaded.unload(model if loaded else (await self.find(model)).id)

    @property
    def limits(self) -> EngineLimits:
        """The limits that every engine is started with."""
        return self._sizing.limits

    async def plan(
        self, model: str, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Estimate what loading the model takes and what would be unloaded; changes nothing."""
        return await self._loaded.plan(await self.find(model), limits)

    async def close(self) -> None:
        """Unload everything."""
        await self._loaded.close()
