"""The owner of the loaded models in this process: ``ModelHost`` over its own engine processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits
from app.provider.pool.config import PoolConfig
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.loaded_model import LoadedModel
from app.provider.pool.loaded_models import LoadedModels
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.pool.model_host import HostSnapshot
from app.provider.pool.sizing import SizeEstimate, Sizing
from app.provider.types import Encode, Event, Job, Loaded, ModelRef, Progress, Prompt, Size, Tokens


class LocalModelHost:
    """Lends the models of ``catalogue`` to requests; a lease lasts as long as its generator."""

    def __init__(self, config: PoolConfig, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue
        self._sizing = Sizing(config.limits, config.max_loaded, config.memory_budget, config.gpu)
        self._loaded = LoadedModels(
            self._sizing, config.policy, auto_unload=config.auto_unload, ttl=config.ttl
        )

    def stream(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt``, loading the model first if need be."""
        return self._run(model, prompt)

    def encode(self, model: ModelRef, job: Encode) -> AsyncGenerator[Event, None]:
        """Turn the items of ``job`` into vectors."""
        return self._run(model, job)

    async def _run(self, model: ModelRef, job: Job) -> AsyncGenerator[Event, None]:
        card = await self._catalogue.resolve(model)
        ttl = job.ttl_seconds if isinstance(job, Prompt) else None
        with self._loaded.metrics[card.id].begin_request() as counted:
            if progress := self._queued(card):
                yield progress
            async with (
                self._loaded.lease(card, ttl) as engine,
                aclosing(engine.submit(job, counted)) as events,
            ):
                async for event in events:
                    yield event

    def _queued(self, card: ModelCard) -> Progress | None:
        """How many requests wait before a new one to this model; None if that need not wait."""
        waiting = self._loaded.queue_length(card)
        return None if waiting is None else Progress("queued", waiting)

    async def measure(
        self, model: ModelRef, prompt: Prompt
    ) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt``: the progress of loading, then the size."""
        card = await self._catalogue.resolve(model)
        async with (
            self._loaded.lease(card, prompt.ttl_seconds) as engine,
            aclosing(engine.measure(prompt)) as events,
        ):
            async for event in events:
                yield event

    async def tokenize(
        self, model: ModelRef, prompt: Prompt, *, special: bool = True
    ) -> AsyncGenerator[Progress | Tokens, None]:
        """Tokenise ``prompt``: the progress of loading, then the tokens."""
        card = await self._catalogue.resolve(model)
        async with (
            self._loaded.lease(card, prompt.ttl_seconds) as engine,
            aclosing(engine.tokenize(prompt, special=special)) as events,
        ):
            async for event in events:
                yield event

    async def load(
        self, model: ModelRef, ttl: float | None = None
    ) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model if it is not loaded; ends with Loaded."""
        self._loaded.refusals.forget(model)
        card = await self._catalogue.resolve(model)
        if progress := self._queued(card):
            yield progress
        async with self._loaded.lease(card, ttl) as engine, aclosing(engine.load()) as events:
            async for event in events:
                if isinstance(event, Loaded):
                    await self._loaded.measure()
                yield event

    async def preload(self, model: ModelRef, ttl: float | None = None) -> None:
        """Begin to load the model; returns before it is loaded."""
        card = await self._catalogue.resolve(model)
        async with self._loaded.lease(card, ttl) as engine:
            engine.start()

    async def unload(self, model: str) -> bool:
        """Unload the model of that id; False where it is not loaded. Raises ModelInUse."""
        loaded = self._loaded.get(model) is not None
        await self._loaded.unload(model)
        return loaded

    async def plan(
        self, model: ModelRef, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Estimate what loading the model takes and what would be unloaded; changes nothing."""
        return await self._loaded.plan(await self._catalogue.resolve(model), limits)

    def refusal(self, model: ModelRef) -> str | None:
        """Why the model could not be loaded; None if it was not refused."""
        return self._loaded.refusals.reason_for(model)

    def problem(self) -> str | None:
        """None: it can always be asked."""
        return None

    def snapshot(self) -> HostSnapshot:
        """The loaded models as they are; their memory as it was measured last."""
        models = list(self._loaded.all())
        current = [one for one in models if not self._replaced(one)]
        return HostSnapshot(
            statuses={one.card.id: one.host.status() for one in current},
            ledger={one.card.id: one.entry for one in models},
            metrics={model: each.values() for model, each in self._loaded.metrics.items()},
            limits=self._sizing.limits,
            refusals=self._loaded.refusals.known,
        )

    def _replaced(self, loaded: LoadedModel) -> bool:
        """Whether the files of a model that failed have changed since, as of the last scan."""
        return loaded.failed and not self._catalogue.has(loaded.card.ref)

    async def measured(self) -> HostSnapshot:
        """A snapshot after measuring the processes."""
        await self._loaded.measure()
        return self.snapshot()

    async def close(self) -> None:
        """Unload everything."""
        await self._loaded.close()
