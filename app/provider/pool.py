"""The models of this server: found by name, loaded when asked for, unloaded when room is needed.

An id is never answered by another model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue.names import find, model_id
from app.provider.catalogue.scan import NOT_READ_YET, scan
from app.provider.echo.format import ECHO, ECHO_VISION
from app.provider.engine import EngineLimits
from app.provider.errors import EngineUnavailable, ModelConflict, ModelNotFound
from app.provider.ledger import Entry, Verdict
from app.provider.memory import GpuPolicy
from app.provider.meters import Meters
from app.provider.residents import Residents
from app.provider.rooms import Rooms, Wish
from app.provider.status import HostPolicy, HostStatus, State
from app.provider.types import Event, Loaded, Progress, Prompt, Size

STARTER = "starter"
VISION_STARTER = "starter-vision"
_RESCAN_SECONDS = 1.0
_STALE_SECONDS = 3.0
"""After so long what is known of the disk is not used without a new look."""
_MOST_SCANS = 20
"""A scan takes a bounded time: so many in a row read hundreds of models."""
_LOOK_SECONDS = 1.0
"""That long at most a request to a known model waits for the look."""


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Where models lie and what they may take.

    ``default_model`` and ``default_vision`` are files or folders anywhere.
    ``aliases`` are further names by id. ``limits.threads`` 0 means the physical cores; models
    that are answering share them, so that their sum never exceeds that number. Files
    ``untouched`` are never opened. ``max_loaded`` models of one kind are loaded at once, within
    ``memory_budget`` bytes of RAM (0: a share of the machine's). ``ttl`` seconds after its last
    request a model leaves (0: never). Without ``auto_unload`` only a request to do so unloads.
    """

    models_dir: Path
    default_model: Path | None = None
    default_vision: Path | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    echo: bool = False
    max_loaded: int = 2
    auto_unload: bool = True
    ttl: float = 0.0
    memory_budget: int = 0
    gpu: GpuPolicy | None = None
    limits: EngineLimits = field(default_factory=EngineLimits)
    policy: HostPolicy = field(default_factory=HostPolicy)
    untouched: frozenset[Path] = frozenset()


class ModelPool:
    """See the module. Lives on one event loop."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._cards: list[ModelCard] = []
        self._scanned_at = float("-inf")
        self._scanning: asyncio.Task[list[ModelCard]] | None = None
        self._rooms = Rooms(config.limits, config.max_loaded, config.memory_budget, config.gpu)
        self._residents = Residents(
            self._rooms, config.policy, auto_unload=config.auto_unload, ttl=config.ttl
        )

    # ---------------------------------------------------------------- what there is

    def cards(self) -> list[ModelCard]:
        """Look at the disk and list every model there. Blocks for some milliseconds."""
        config = self._config
        extra = [path for path in (config.default_model, config.default_vision) if path]
        found = scan(config.models_dir, extra, config.untouched, config.aliases)
        self._cards = [*found, ECHO, ECHO_VISION] if config.echo else found
        self._scanned_at = time.monotonic()
        return self._cards

    def card(self, model: str | None) -> ModelCard:
        """Find a model by id or alias, or the default one; raises ModelNotFound, ModelConflict."""
        wanted = self._default_id() if model is None else model
        found = find(self._cards, wanted)
        if not found and time.monotonic() - self._scanned_at > _RESCAN_SECONDS:
            found = find(self.cards(), wanted)
        if not found:
            raise ModelNotFound(wanted)
        if len(found) > 1:
            places = " and ".join(self._place(card.path) for card in found)
            raise ModelConflict(f"Two models are called {wanted!r}: {places}. Rename one.")
        return found[0]

    async def find(self, model: str | None) -> ModelCard:
        """``card`` for the event loop, which it does not block, from a look at most seconds old.

        While requests come all the time, those to known models never wait for the disk.
        """
        age = time.monotonic() - self._scanned_at
        if age > _RESCAN_SECONDS and self._scanning is None:
            self._scanning = asyncio.create_task(asyncio.to_thread(self.cards))
            self._scanning.add_done_callback(self._scanned)
        known = self._cards and (model is None or find(self._cards, model))
        if self._scanning and (not known or age > _STALE_SECONDS):
            await asyncio.wait([self._scanning], timeout=_LOOK_SECONDS if known else None)
        return await self._read(model)

    async def _read(self, model: str | None) -> ModelCard:
        """``card``, with further scans while it is one that no scan had the time to read."""
        card = self.card(model)
        for _ in range(_MOST_SCANS):
            if card.problem != NOT_READ_YET:
                break
            await asyncio.to_thread(self.cards)
            card = self.card(model)
        return card

    def _scanned(self, _: object) -> None:
        self._scanning = None

    def _place(self, path: Path) -> str:
        """A path as it may be shown: below the models folder, or only its name."""
        folder = self._config.models_dir
        shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
        return shown.encode("utf-8", "replace").decode()  # file names can be any bytes

    def _default_id(self) -> str:
        if self._config.default_model:
            return model_id(self._config.default_model)
        ids = [card.id for card in self._cards or self.cards()]
        return STARTER if STARTER in ids or not ids else ids[0]

    async def find_vision(self) -> ModelCard | None:
        """The model that sees where none is named; None where no model does.

        The one that was set, else the starter, else the first that can be loaded. Raises
        ModelNotFound, ModelConflict.
        """
        if self._config.default_vision:
            return await self.find(model_id(self._config.default_vision))
        with suppress(ModelNotFound, ModelConflict):
            await self.find(None)  # only so that the disk has been looked at lately
        ids = self.seeing()
        wanted = VISION_STARTER if VISION_STARTER in ids else next(iter(ids), None)
        return self.card(wanted) if wanted else None

    def seeing(self) -> list[str]:
        """Ids of the models that take pictures and can be loaded, as the last look found them."""
        return [card.id for card in self._cards if card.vision and not card.problem]

    # ---------------------------------------------------------------- how they are

    def state(self, model: str) -> State:
        """Say what the model's engine is doing."""
        resident = self._residents.get(model)
        return resident.host.status().state if resident else "unloaded"

    def health(self) -> dict[str, HostStatus]:
        """Status of every model that is loaded or was asked for, least recently used first."""
        return {one.card.id: one.host.status() for one in self._residents.all()}

    async def measured(self) -> dict[str, Entry]:
        """``ledger``, with what the processes hold now."""
        await self._residents.measure()
        return self.ledger()

    def ledger(self) -> dict[str, Entry]:
        """Bytes of every loaded model: what was predicted, and what was measured last."""
        return {one.card.id: one.entry for one in self._residents.all()}

    def meters(self) -> Mapping[str, Meters]:
        """What was counted of every model that was asked for since this server started."""
        return self._residents.meters

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
        card = await self.find(model)
        with self._residents.meters[card.id].answer() as meter:
            if (ahead := self._residents.ahead(card)) is not None:
                yield Progress("queued", ahead)
            async with (
                self._residents.lease(card) as host,
                aclosing(host.stream(prompt, meter)) as events,
            ):
                async for event in events:
                    yield event

    async def measure(self, model: str, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt`` for that model; see ``EngineHost.measure``."""
        card = await self.find(model)
        async with self._residents.lease(card) as host, aclosing(host.measure(prompt)) as events:
            async for event in events:
                yield event

    async def size(self, model: str, prompt: Prompt) -> Size:
        """The end of ``measure``."""
        async with aclosing(self.measure(model, prompt)) as events:
            async for event in events:
                if isinstance(event, Size):
                    return event
        raise EngineUnavailable("The model did not count the prompt.", 1.0)

    # ---------------------------------------------------------------- loading and unloading

    async def load(self, model: str) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model, or find it loaded; ends with Loaded. Raises what ``stream`` raises."""
        card = await self.find(model)
        if (ahead := self._residents.ahead(card)) is not None:
            yield Progress("queued", ahead)
        async with self._residents.lease(card) as host, aclosing(host.load()) as events:
            async for event in events:
                if isinstance(event, Loaded):
                    await self._residents.measure()
                yield event

    async def preload(self, model: str) -> None:
        """Begin to load the model; returns before it is loaded."""
        async with self._residents.lease(await self.find(model)) as host:
            host.start()

    async def unload(self, model: str) -> None:
        """Unload the model, if it is loaded; raises ModelNotFound, ModelConflict, ModelInUse.

        A loaded one is found by its id even when its files are gone.
        """
        loaded = self._residents.get(model)
        await self._residents.leave(model if loaded else (await self.find(model)).id)

    @property
    def limits(self) -> EngineLimits:
        """What every engine is started with."""
        return self._rooms.limits

    async def plan(self, model: str, limits: EngineLimits) -> tuple[Wish, Verdict]:
        """Say what loading the model would take and who would leave, and change nothing."""
        return await self._residents.plan(await self.find(model), limits)

    async def close(self) -> None:
        """Unload everything."""
        await self._residents.close()
