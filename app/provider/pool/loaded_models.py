"""The loaded models: which requests use them, and when they are loaded and unloaded.

A model in use is never unloaded. A request whose model does not fit waits until enough models are
idle. One request waits at a time, in order of arrival. After ``PATIENCE`` seconds, requests to
loaded models queue behind it, so that two busy models cannot keep a third out for ever.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from app.provider.card import ModelCard
from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.errors import EngineBusy, ModelInUse, ModelNotLoadable
from app.provider.pool.eviction import AdmissionDecision, LedgerEntry, MemoryClaim, admit
from app.provider.pool.hardware import all_resident_bytes
from app.provider.pool.loaded_model import LoadedModel
from app.provider.pool.refusals import Refusals
from app.provider.pool.remote_key import with_key
from app.provider.pool.sizing import SizeEstimate, Sizing
from app.provider.runtime.metrics import ModelMetrics
from app.provider.runtime.status import HostPolicy

if TYPE_CHECKING:
    from app.provider.runtime.host import EngineHost

PATIENCE = 5.0
"""Seconds during which requests to loaded models overtake a request that waits for memory."""

_FULL = (
    "There is no room for another model, and none is unloaded by itself "
    "(LLM_AUTO_UNLOAD_MODELS): unload one."
)


class LoadedModels:
    """Loads, lends and unloads models. Belongs to one event loop.

    An idle model is unloaded after ``ttl`` seconds (0: never), unless the last request to it said
    otherwise. ``metrics`` keep counting after a model is unloaded. ``refusals`` are models that
    cannot be loaded.
    """

    def __init__(
        self, sizing: Sizing, policy: HostPolicy, *, auto_unload: bool, ttl: float
    ) -> None:
        self._sizing = sizing
        self._policy = policy
        self._auto_unload = auto_unload
        self._ttl = ttl or math.inf
        self._loaded: dict[str, LoadedModel] = {}  # least recently used first
        self._unloading: dict[asyncio.Task[None], MemoryClaim | None] = {}
        self.metrics: defaultdict[str, ModelMetrics] = defaultdict(ModelMetrics)
        self.refusals = Refusals()
        self._admission = asyncio.Lock()
        self._queued = 0
        self._waiting_since: float | None = None
        self._freed = asyncio.Event()

    def all(self) -> Iterable[LoadedModel]:
        """Every loaded model, the least recently used first."""
        return self._loaded.values()

    def get(self, model: str) -> LoadedModel | None:
        """Find a model that is loaded, is loading or failed to load."""
        return self._loaded.get(model)

    def decide(self, card: ModelCard, estimate: SizeEstimate) -> AdmissionDecision:
        """Decide whether ``card`` can be loaded now; its own loaded copy does not count."""
        if card.remote:
            return AdmissionDecision()
        wanted = MemoryClaim(card.id, card.kind, estimate.ram, estimate.gpu, idle=False)
        decision = admit(wanted, self.claims_beside(card), estimate.budget)
        waits_for_ever = decision.wait and not self._auto_unload and not self._unloading
        return AdmissionDecision(refused=_FULL) if waits_for_ever else decision

    def claims_beside(self, card: ModelCard) -> list[MemoryClaim]:
        """Claims of all other models, in the order of unloading: failed ones come first.

        Those that other servers run claim nothing and take no place.
        Processes that have not ended yet still hold their bytes, even those of this model.
        """
        others = [one for one in self.all() if one.card.id != card.id and not one.card.remote]
        others.sort(key=lambda one: not one.failed)
        return [*filter(None, self._unloading.values()), *map(self._claim, others)]

    def _claim(self, one: LoadedModel) -> MemoryClaim:
        """What the model claims, and whether it may be unloaded."""
        idle = not one.leases and (self._auto_unload or one.failed)
        gpu = one.entry.placement.gpu_bytes
        return MemoryClaim(one.card.id, one.card.kind, one.entry.held, gpu, idle)

    def queue_length(self, card: ModelCard) -> int | None:
        """Requests that wait before a new one to this model; None if that need not wait."""
        waits = self._ready_to_use(card) is None and self._admission.locked()
        return self._queued if waits else None

    # ---------------------------------------------------------------- using

    @asynccontextmanager
    async def lease(self, card: ModelCard, ttl: float | None) -> AsyncIterator[EngineHost]:
        """Keep a model loaded while the block runs; load it first if need be.

        If it is idle then, it is unloaded after ``ttl`` seconds (inf: never; None: those of all
        models), unless another request uses it before. Raises ModelNotLoadable, and EngineBusy
        when no memory becomes free for it.
        """
        if refused := self.refusals.reason_for(card.ref):
            raise ModelNotLoadable(refused)
        loaded = self._ready_to_use(card)
        loaded = self._use(loaded) if loaded else await self._load(card)
        try:
            yield loaded.host
        finally:
            self._release(loaded, self._ttl if ttl is None else ttl)

    def _ready_to_use(self, card: ModelCard) -> LoadedModel | None:
        """The loaded model, unless its files have changed or another request waits too long."""
        loaded = self._loaded.get(card.id)
        waited = 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since
        late = loaded is None or waited > PATIENCE or self._outdated(loaded, card)
        return None if late else loaded

    def _outdated(self, loaded: LoadedModel, card: ModelCard) -> bool:
        return loaded.card.stamp != card.stamp and not loaded.leases

    def _use(self, loaded: LoadedModel) -> LoadedModel:
        model = loaded.card.id
        self._loaded[model] = self._loaded.pop(model)  # moved to the end: most recently used
        loaded.keep()
        loaded.leases += 1
        if loaded.leases == 1:
            self._share_threads()
        return loaded

    def _release(self, loaded: LoadedModel, ttl: float) -> None:
        loaded.leases -= 1
        if not loaded.leases:
            self._share_threads()
            self._freed.set()
            loaded.unload_after(ttl, partial(self._unload_idle, loaded))

    def _share_threads(self) -> None:
        """Divide the cores among the models in use, so that they never run more threads."""
        used = [one.host for one in self.all() if one.shares_threads]
        for host in used:
            host.set_threads(max(1, self._sizing.threads // len(used)))

    # ---------------------------------------------------------------- loading

    async def _load(self, card: ModelCard) -> LoadedModel:
        if card.problem:
            raise ModelNotLoadable(f"{card.id}: {card.problem}")
        if self._queued > self._policy.max_waiting:  # the first one is not queued
            raise EngineBusy(f"{self._queued} requests wait for models to be loaded.", 5.0)
        self._queued += 1
        try:
            async with self._admission:
                loaded = self._loaded.get(card.id)
                if loaded and self._outdated(loaded, card):
                    await self._unload([card.id])
                    loaded = None
                return self._use(loaded or await self._add(card))
        finally:
            self._queued -= 1

    async def _add(self, card: ModelCard) -> LoadedModel:
        from app.provider.runtime.host import EngineHost  # noqa: PLC0415 — a start loads no model

        estimate = await self._make_room(card)
        remote = card.remote and with_key(card.remote)
        spec = EngineSpec(ENGINES[card.engine], str(card.path), estimate.limits, remote)
        refused = partial(self.refusals.note, card.ref)
        host = EngineHost(spec, self._policy, self.metrics[card.id], refused)
        loaded = LoadedModel(card, host, LedgerEntry(estimate.need, estimate.placement))
        self._loaded[card.id] = loaded
        return loaded

    async def _make_room(self, card: ModelCard) -> SizeEstimate:
        """Unload others, waiting until they are idle; raises ModelNotLoadable, EngineBusy."""
        try:
            async with asyncio.timeout(self._policy.load_seconds):
                while True:
                    self._freed.clear()
                    estimate, decision = await self._plan_or_raise(card)
                    if not decision.wait and not (decision.evict and self._unloading):
                        break  # nothing is unloaded while processes that are ending may suffice
                    self._waiting_since = self._waiting_since or time.monotonic()
                    await self._freed.wait()
        except TimeoutError:
            raise EngineBusy("The models that are loaded stayed in use.", 5.0) from None
        finally:
            self._waiting_since = None
        await self._unload(decision.evict)
        return estimate

    async def _plan_or_raise(self, card: ModelCard) -> tuple[SizeEstimate, AdmissionDecision]:
        estimate, decision = await self.plan(card)
        if decision.impossible:
            raise ModelNotLoadable(f"{card.id}: {decision.impossible}")
        if decision.refused:
            raise EngineBusy(decision.refused, retry_after=5.0)
        return estimate, decision

    async def plan(
        self, card: ModelCard, limits: EngineLimits | None = None
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Estimate what loading ``card`` takes, by default with the limits of this server."""
        await self.measure()
        estimate = await asyncio.to_thread(
            self._sizing.estimate, card, self.claims_beside(card), limits
        )
        return estimate, self.decide(card, estimate)

    async def measure(self) -> None:
        """Measure the memory of each engine process."""
        models = list(self.all())
        held = await asyncio.to_thread(all_resident_bytes, [one.processes for one in models])
        for one, measured in zip(models, held, strict=True):
            one.entry = replace(one.entry, measured=measured)

    # ---------------------------------------------------------------- unloading

    async def unload(self, model: str) -> None:
        """Unload a model; nothing happens when it is not loaded. Raises ModelInUse."""
        loaded = self._loaded.get(model)
        if loaded and loaded.leases:
            raise ModelInUse(model, loaded.leases)
        await self._unload([model])

    async def _unload(self, models: Iterable[str]) -> None:
        """End the processes of ``models``; returns when all their bytes are free.

        From here on the models are not found. A cancelled caller does not stop the unloading.
        """
        if ending := [self._stop(one) for one in models if one in self._loaded]:
            await asyncio.wait(ending)

    def _stop(self, model: str) -> asyncio.Task[None]:
        """Begin to end the process of a loaded model."""
        loaded = self._loaded.pop(model)
        loaded.keep()
        claim = None if loaded.card.remote else self._claim(loaded)
        task = asyncio.create_task(loaded.host.stop())
        self._unloading[task] = claim and replace(claim, idle=False)
        task.add_done_callback(self._unloaded)
        return task

    def _unloaded(self, task: asyncio.Task[None]) -> None:
        del self._unloading[task]
        self._freed.set()

    def _unload_idle(self, loaded: LoadedModel) -> None:
        if self._loaded.get(loaded.card.id) is loaded:  # ``close`` does not wait for requests
            self._stop(loaded.card.id)

    async def close(self) -> None:
        """Unload everything."""
        await self._unload(list(self._loaded))
        if self._unloading:  # begun by callers that were cancelled
            await asyncio.wait(self._unloading)
