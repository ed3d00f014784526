"""The models of this server: found by name, loaded when asked for, unloaded when room is needed.

An id is never answered by another model.
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
from app.provider.pool.default_model import default_chat, default_vision, problem_of, seeing
from app.provider.pool.eviction import Entry, Verdict
from app.provider.pool.loaded_models import Resident, Residents
from app.provider.pool.sizing import Rooms, Wish
from app.provider.runtime.metrics import Meters
from app.provider.runtime.status import HostStatus, State, failed_status
from app.provider.types import Event, Loaded, Progress, Prompt, Size

__all__ = ["ModelPool", "PoolConfig"]

_RESCAN_SECONDS = 1.0
_URGENT_SECONDS = 0.2
"""The same where a model cannot be used, which new files may change."""
_STALE_SECONDS = 3.0
"""After so long what is known of the disk is not used without a new look."""
_MOST_SCANS = 20
"""A scan takes a bounded time: so many in a row read hundreds of models."""
_LOOK_SECONDS = 1.0
"""That long at most a request to a known model waits for the look."""


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
        found = scan(config.models_dir, config.named, config.untouched, config.aliases)
        self._cards = [*found, ECHO, ECHO_VISION] if config.echo else found
        self._scanned_at = time.monotonic()
        return self._known()

    def _known(self) -> list[ModelCard]:
        """The cards of the last look, with what loading them has shown."""
        return list(map(self._residents.refusals.noted, self._cards))

    def card(self, model: str | None) -> ModelCard:
        """Find a model by id or alias, or the default one; raises ModelNotFound, ModelConflict."""
        wanted = self._default_id() if model is None else model
        found = find(self._known(), wanted)
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

        While requests come all the time, those to known models never wait for the disk, unless
        the model was refused: perhaps its files have changed.
        """
        if model is None and self._config.default_model:
            model = self._default_id()
        known = self._cards if model is None else find(self._cards, model)
        refused = model is not None and any(map(self._residents.refusals.of, known))
        await self._look(known=bool(known), urgent=refused)
        return await self._read(model)

    async def _look(self, *, known: bool, urgent: bool) -> None:
        """Begin a scan if the last one is old, and wait for it if need be."""
        age = time.monotonic() - self._scanned_at
        if self._scanning is None and age > (_URGENT_SECONDS if urgent else _RESCAN_SECONDS):
            self._scanning = asyncio.create_task(asyncio.to_thread(self.cards))
            self._scanning.add_done_callback(self._scanned)
        if self._scanning and (not known or urgent or age > _STALE_SECONDS):
            await asyncio.wait([self._scanning], timeout=_LOOK_SECONDS if known else None)

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
        return default_chat(self._known() or self.cards())

    async def find_vision(self) -> ModelCard | None:
        """The model that sees where none is named; None where no model does.

        The one that was set, else the starter, else the first that can be loaded. Raises
        ModelNotFound, ModelConflict.
        """
        if self._config.default_vision:
            return await self.find(model_id(self._config.default_vision))
        with suppress(ModelNotFound, ModelConflict):
            await self.find(None)  # only so that the disk has been looked at lately
        wanted = default_vision(self._known())
        return self.card(wanted) if wanted else None

    def seeing(self) -> list[str]:
        """Ids of the models that take pictures and can be loaded, as the last look found them."""
        return seeing(self._known())

    # ---------------------------------------------------------------- how they are

    def state(self, model: str) -> State:
        """Say what the model's engine is doing."""
        resident = self._residents.get(model)
        if resident and not self._replaced(resident):
            return resident.host.status().state
        refused = any(map(self._residents.refusals.of, find(self._cards, model)))
        return "failed" if refused else "unloaded"

    def health(self) -> dict[str, HostStatus]:
        """Status of every model that is loaded or was asked for, least recently used first."""
        there = [one for one in self._residents.all() if not self._replaced(one)]
        return {one.card.id: one.host.status() for one in there}

    def _replaced(self, resident: Resident) -> bool:
        """Whether what failed has made way for other files, as the last look found them."""
        stamps = [card.stamp for card in self._cards if card.path == resident.card.path]
        return resident.failed and stamps != [resident.card.stamp]

    def broken_defaults(self) -> dict[str, HostStatus]:
        """Status of the models that a setting names and that cannot be used: none stands in."""
        problems = {model: problem_of(find(self._known(), model)) for model in self._named()}
        return {model: failed_status(problem) for model, problem in problems.items() if problem}

    def _named(self) -> list[str]:
        """Ids of the models that settings name."""
        return [model_id(path) for path in self._config.named]

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
        """Whether every engine does its work.

        A model that cannot be loaded only counts where it is the one to use: where a setting
        names it, or where it is the default and its files are not to blame.
        """
        statuses = self.health().items()
        if self.broken_defaults() or any(
            s.state != "failed" and not s.healthy for _, s in statuses
        ):
            return False
        unusable = {card.id for card in self._known() if card.problem}
        failed = {model for model, status in statuses if status.state == "failed"} - unusable
        return not failed or failed.isdisjoint([*self._named(), self._default_id()])

    async def look_at_defaults(self) -> None:
        """Look at the disk if settings name models; those that were broken may be whole by now."""
        if self._named():
            await self._look(known=bool(self._cards), urgent=bool(self.broken_defaults()))

    # ---------------------------------------------------------------- using a model

    async def stream(self, model: str | ModelCard, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt`` with that model, loading it first if need be.

        Closing the generator cancels in every phase. Raises what ``EngineHost.stream`` raises,
        ModelNotFound, ModelConflict, and EngineBusy when other models in use leave no room.
        """
        card = await self._current(model)
        with self._residents.meters[card.id].answer() as meter:
            if (ahead := self._residents.ahead(card)) is not None:
                yield Progress("queued", ahead)
            async with (
                self._residents.lease(card) as host,
                aclosing(host.stream(prompt, meter)) as events,
            ):
                async for event in events:
                    yield event

    async def measure(
        self, model: str | ModelCard, prompt: Prompt
    ) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt`` for that model; see ``EngineHost.measure``."""
        card = await self._current(model)
        async with self._residents.lease(card) as host, aclosing(host.measure(prompt)) as events:
            async for event in events:
                yield event

    async def size(self, model: str | ModelCard, prompt: Prompt) -> Size:
        """The end of ``measure``."""
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
        """Load the model, or find it loaded; ends with Loaded. Raises what ``stream`` raises.

        One that was refused is tried once more.
        """
        self._residents.refusals.forget(await self.find(model))
        card = self.card(model)
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
