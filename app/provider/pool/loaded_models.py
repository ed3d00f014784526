"""The loaded models: who uses them, who leaves, and when another one comes.

A model in use never leaves. Whoever needs room that idle models cannot give waits for one to
become idle; one waits at a time, in order of arrival, and after ``PATIENCE`` the models that are
already loaded queue behind it, so that busy ones cannot keep a third out for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from app.provider.card import ModelCard
from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.errors import EngineBusy, ModelInUse, ModelNotLoadable
from app.provider.pool.eviction import AdmissionDecision, LedgerEntry, MemoryClaim, admit
from app.provider.pool.hardware import held_by
from app.provider.pool.refusals import Refusals
from app.provider.pool.sizing import SizeEstimate, Sizing
from app.provider.runtime.host import EngineHost
from app.provider.runtime.metrics import Meters
from app.provider.runtime.status import HostPolicy

PATIENCE = 5.0
"""Seconds that requests to loaded models may overtake one that waits for room."""

_FULL = (
    "There is no room for another model, and none is unloaded by itself "
    "(LLM_AUTO_UNLOAD_MODELS): unload one."
)


@dataclass(slots=True)
class LoadedModel:
    """A loaded model with its host. ``leases`` are the requests that use it."""

    card: ModelCard
    host: EngineHost
    entry: LedgerEntry
    leases: int = 0
    used_at: float = field(default_factory=time.monotonic)

    @property
    def failed(self) -> bool:
        """Whether it could not be loaded, so that it only keeps a place."""
        return self.host.status().state == "failed"


class LoadedModels:
    """See the module. Lives on one event loop. ``meters`` count on when a model leaves.

    ``refusals`` are the models that were tried and cannot be loaded.
    """

    def __init__(
        self, sizing: Sizing, policy: HostPolicy, *, auto_unload: bool, ttl: float
    ) -> None:
        self._sizing = sizing
        self._policy = policy
        self._auto_unload = auto_unload
        self._ttl = ttl
        self._loaded: dict[str, LoadedModel] = {}  # least recently used first
        self._leaving: dict[asyncio.Task[None], MemoryClaim] = {}
        self.meters: defaultdict[str, Meters] = defaultdict(Meters)
        self.refusals = Refusals()
        self._moving = asyncio.Lock()
        self._in_line = 0
        self._waits_since: float | None = None
        self._freed = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None

    def all(self) -> Iterable[LoadedModel]:
        """Every loaded model, the least recently used first."""
        return self._loaded.values()

    def get(self, model: str) -> LoadedModel | None:
        """The model, if it is loaded, loading, or was tried."""
        return self._loaded.get(model)

    def decision(self, card: ModelCard, estimate: SizeEstimate) -> AdmissionDecision:
        """Say what loading ``card`` would take now; a loaded model makes room for itself."""
        wanted = MemoryClaim(card.id, card.kind, estimate.ram, estimate.gpu, idle=False)
        decision = admit(wanted, self.beside(card), estimate.budget)
        in_vain = decision.wait and not self._auto_unload and not self._leaving
        return AdmissionDecision(refused=_FULL) if in_vain else decision

    def beside(self, card: ModelCard) -> list[MemoryClaim]:
        """Who else holds bytes, in the order in which they leave: what has failed comes first.

        Processes that have not ended yet hold theirs, be they of this very model.
        """
        others = [one for one in self.all() if one.card.id != card.id]
        others.sort(key=lambda one: not one.failed)
        return [*self._leaving.values(), *map(self._claim, others)]

    def _claim(self, one: LoadedModel) -> MemoryClaim:
        """The same as the ledger sees it."""
        may_leave = not one.leases and (self._auto_unload or one.failed)
        gpu = one.entry.placement.gpu_bytes
        return MemoryClaim(one.card.id, one.card.kind, one.entry.held, gpu, may_leave)

    def ahead(self, card: ModelCard) -> int | None:
        """How many requests wait for room before one to this model; None if it need not wait."""
        return self._in_line if self._at_hand(card) is None and self._moving.locked() else None

    # ---------------------------------------------------------------- using

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[EngineHost]:
        """Hold a model, so that it is not unloaded meanwhile; bring it if it is not here.

        Raises ModelNotLoadable, and EngineBusy when there will be no room.
        """
        if refused := self.refusals.of(card):
            raise ModelNotLoadable(refused)
        loaded = self._at_hand(card)
        loaded = self._use(loaded) if loaded else await self._bring(card)
        try:
            yield loaded.host
        finally:
            self._release(loaded)

    def _at_hand(self, card: ModelCard) -> LoadedModel | None:
        """The loaded model, where its files have not changed and nobody has waited too long."""
        loaded = self._loaded.get(card.id)
        waited = 0.0 if self._waits_since is None else time.monotonic() - self._waits_since
        if loaded is None or waited > PATIENCE or self._outdated(loaded, card):
            return None
        return loaded

    def _outdated(self, loaded: LoadedModel, card: ModelCard) -> bool:
        return loaded.card.stamp != card.stamp and not loaded.leases

    def _use(self, loaded: LoadedModel) -> LoadedModel:
        model = loaded.card.id
        self._loaded[model] = self._loaded.pop(model)  # to the end: most recently used
        loaded.leases += 1
        if loaded.leases == 1:
            self._share_threads()
        return loaded

    def _release(self, loaded: LoadedModel) -> None:
        loaded.leases -= 1
        loaded.used_at = time.monotonic()
        if not loaded.leases:
            self._share_threads()
            self._freed.set()
            self._watch_idle()

    def _share_threads(self) -> None:
        """Divide the cores among the models in use, so that their threads never exceed them."""
        used = [one.host for one in self.all() if one.leases]
        for host in used:
            host.set_threads(max(1, self._sizing.threads // len(used)))

    # ---------------------------------------------------------------- coming

    async def _bring(self, card: ModelCard) -> LoadedModel:
        if card.problem:
            raise ModelNotLoadable(f"{card.id}: {card.problem}")
        if self._in_line > self._policy.max_waiting:  # the first one does not wait in line
            raise EngineBusy(f"{self._in_line} requests wait for models to be loaded.", 5.0)
        self._in_line += 1
        try:
            async with self._moving:
                loaded = self._loaded.get(card.id)
                if loaded and self._outdated(loaded, card):
                    await self._unload([card.id])
                    loaded = None
                return self._use(loaded or await self._settle(card))
        finally:
            self._in_line -= 1

    async def _settle(self, card: ModelCard) -> LoadedModel:
        estimate = await self._make_room(card)
        spec = EngineSpec(ENGINES[card.engine], str(card.path), estimate.limits)
        refused = partial(self.refusals.note, card)
        host = EngineHost(spec, self._policy, self.meters[card.id], refused)
        loaded = LoadedModel(card, host, LedgerEntry(estimate.need, estimate.placement))
        self._loaded[card.id] = loaded
        return loaded

    async def _make_room(self, card: ModelCard) -> SizeEstimate:
        """Let others leave, or wait until they may; raises ModelNotLoadable, EngineBusy."""
        try:
            async with asyncio.timeout(self._policy.load_seconds):
                while True:
                    self._freed.clear()
                    estimate, decision = await self._look(card)
                    if not decision.wait and not (decision.evict and self._leaving):
                        break  # nobody leaves while those who are leaving may suffice
                    self._waits_since = self._waits_since or time.monotonic()
                    await self._freed.wait()
        except TimeoutError:
            raise EngineBusy("The models that are loaded stayed in use.", 5.0) from None
        finally:
            self._waits_since = None
        await self._unload(decision.evict)
        return estimate

    async def _look(self, card: ModelCard) -> tuple[SizeEstimate, AdmissionDecision]:
        estimate, decision = await self.plan(card)
        if decision.impossible:
            raise ModelNotLoadable(f"{card.id}: {decision.impossible}")
        if decision.refused:
            raise EngineBusy(decision.refused, retry_after=5.0)
        return estimate, decision

    async def plan(
        self, card: ModelCard, limits: EngineLimits | None = None
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Say what loading ``card`` takes, by default with the limits of this server."""
        await self.measure()
        estimate = await asyncio.to_thread(self._sizing.estimate, card, self.beside(card), limits)
        return estimate, self.decision(card, estimate)

    async def measure(self) -> None:
        """Note what each process really holds."""
        there = [(one, one.host.status().pid) for one in self.all()]
        held = await asyncio.to_thread(lambda: [held_by(pid) if pid else 0 for _, pid in there])
        for (one, _), measured in zip(there, held, strict=True):
            one.entry = replace(one.entry, measured=measured)

    # ---------------------------------------------------------------- leaving

    async def leave(self, model: str) -> None:
        """Unload a model; nothing happens when it is not loaded. Raises ModelInUse."""
        loaded = self._loaded.get(model)
        if loaded and loaded.leases:
            raise ModelInUse(model, loaded.leases)
        await self._unload([model])

    async def _unload(self, models: Iterable[str]) -> None:
        """End their processes; returns when all their bytes are free.

        From here on nobody finds them, and whoever waits may be cancelled: they still leave.
        """
        ending = []
        for loaded in [self._loaded.pop(one) for one in models if one in self._loaded]:
            task = asyncio.create_task(loaded.host.stop())
            self._leaving[task] = replace(self._claim(loaded), idle=False)
            task.add_done_callback(self._left)
            ending.append(task)
        if ending:
            await asyncio.wait(ending)

    def _left(self, task: asyncio.Task[None]) -> None:
        del self._leaving[task]
        self._freed.set()

    def _watch_idle(self) -> None:
        if self._ttl and (self._sweeper is None or self._sweeper.done()):
            self._sweeper = asyncio.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Unload what was idle for the TTL, until nothing idle is left."""
        while idle := [one for one in self.all() if not one.leases]:
            due = min(one.used_at for one in idle) + self._ttl
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            too_long = time.monotonic() - self._ttl
            late = [one for one in self.all() if not one.leases and one.used_at <= too_long]
            await self._unload([one.card.id for one in late])

    async def close(self) -> None:
        """Unload everything."""
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._unload(list(self._loaded))
        if self._leaving:  # whoever began it was cancelled
            await asyncio.wait(self._leaving)
