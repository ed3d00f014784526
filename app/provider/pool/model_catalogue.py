"""The models on disk: what the last scan found, and when the next one is due."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path

from app.provider.card import ModelCard
from app.provider.catalogue import names
from app.provider.catalogue.declared import models_of_settings
from app.provider.catalogue.engine_settings import with_engines
from app.provider.catalogue.presets import preset_cards
from app.provider.catalogue.scan import scan
from app.provider.engines.echo.format import ALL as ECHO_MODELS
from app.provider.errors import ModelConflict, ModelNotFound
from app.provider.pool.config import PoolConfig
from app.provider.pool.server_lists import ServerLists
from app.provider.types import ModelRef

_RESCAN_SECONDS = 1.0
_URGENT_SECONDS = 0.2
"""Shorter interval where a model cannot be used, because new files may repair it."""
_STALE_SECONDS = 3.0
"""After so many seconds the last scan is too old to be used."""
_SCAN_WAIT_SECONDS = 1.0
"""A request to a known model waits no longer for a scan."""
_SCAN_DELAY_SECONDS = 0.1
"""After so long a scan begins that nobody waits for: it would slow down the request that asks for
it, because the threads of this process share one interpreter."""

FileStates = dict[Path, tuple[int, ...]]
"""Paths with what changes when they do; a path that is not there is missing."""


class ModelCatalogue:
    """Scans the disk in threads. Belongs to one event loop."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self.cards: list[ModelCard] = []
        self._by_ref: dict[ModelRef, ModelCard] = {}
        self._states: FileStates = {}
        self._lists = ServerLists()
        self._scanned_at = float("-inf")
        self._scanning: asyncio.Task[list[ModelCard]] | None = None
        self._scheduled: asyncio.TimerHandle | None = None

    def scan(self) -> list[ModelCard]:
        """Scan the disk and list every model. Blocks for some milliseconds."""
        config = self._config
        states = _file_states(self.cards)  # of before: what changes meanwhile shows as changed
        found = scan(config.models_dir, config.named, config.untouched, config.aliases)
        self._states = states
        remote = self._lists.expanded([*found, *models_of_settings(config.upstreams)])
        named = names.with_aliases(remote, config.aliases, {})
        cards = [*named, *(ECHO_MODELS if config.echo else ())]
        models = with_engines(cards, config.engines)
        presets = preset_cards(config.models_dir, models)
        self.cards = [*models, *names.with_aliases(presets, config.aliases, {})]
        self._by_ref = {card.ref: card for card in self.cards if card.preset is None}
        self._scanned_at = time.monotonic()
        return self.cards

    @property
    def age(self) -> float:
        """Seconds since the last scan."""
        return time.monotonic() - self._scanned_at

    @property
    def is_stale(self) -> bool:
        """Whether the last scan is too old to be used."""
        return self.age > _STALE_SECONDS

    # ---------------------------------------------------------------- finding

    def named(self, name: str) -> list[ModelCard]:
        """The models of that name, as of the last scan."""
        return names.find(self.cards, name)

    def card(self, name: str) -> ModelCard:
        """The one model of that name; raises ModelNotFound, ModelConflict.

        Scans, and so blocks, for an unknown name where the last scan is not of this moment.
        """
        found = self.named(name)
        if not found and self.age > _RESCAN_SECONDS:
            self.scan()
            found = self.named(name)
        if not found:
            raise ModelNotFound(name)
        if len(found) > 1:
            places = " and ".join(self._shown_path(card.declared_in) for card in found)
            raise ModelConflict(f"Two models are called {name!r}: {places}. Rename one.")
        return found[0]

    def has(self, model: ModelRef) -> bool:
        """Whether the last scan found the model with its files in that state."""
        return model in self._by_ref

    async def resolve(self, model: ModelRef) -> ModelCard:
        """The model with its files as they are; raises ModelNotFound.

        Scans for a state of its files that the last scan has not found. Waits for the lists of
        other servers where the model may be one of theirs; raises EngineUnavailable where one of
        these cannot be had.
        """
        if not self.has(model):
            await self.refresh(known=bool(self._of_id(model.id)), urgent=True)
        if not self._of_id(model.id):
            await self._wait_for_lists()
        if exact := self._by_ref.get(model):
            return exact
        same = self._of_id(model.id)
        if not same:
            self._lists.require_all()
        if len(same) != 1:
            raise ModelNotFound(model.id)
        return same[0]

    async def _wait_for_lists(self) -> None:
        """Have what other servers list now."""
        if self._lists.expect_more():
            await asyncio.to_thread(self.scan)  # it asks the servers
            await self._lists.wait()
            await asyncio.to_thread(self.scan)

    def _of_id(self, model: str) -> list[ModelCard]:
        return [card for card in self.cards if card.id == model and card.preset is None]

    def _shown_path(self, path: Path) -> str:
        """A path as clients may see it: below the models folder, or only its name."""
        folder = self._config.models_dir
        shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
        return shown.encode("utf-8", "replace").decode()  # file names can be any bytes

    # ---------------------------------------------------------------- keeping up

    async def refresh(self, *, known: bool, urgent: bool = False) -> None:
        """Begin a scan if the last one is old, and wait for it where the caller needs it.

        ``known``: the caller could do with what the last scan has found, so it waits for one that
        is stale only, and not for long. ``urgent``: new files may repair what it needs.
        """
        if known and not urgent and not self.is_stale:
            self.schedule_scan()
            return
        self._begin_scan(_URGENT_SECONDS if urgent else _RESCAN_SECONDS)
        if self._scanning:
            await asyncio.wait([self._scanning], timeout=_SCAN_WAIT_SECONDS if known else None)

    def schedule_scan(self) -> None:
        """Scan soon, if the last scan is old and none is going on."""
        if self.age > _RESCAN_SECONDS and not (self._scanning or self._scheduled):
            loop = asyncio.get_running_loop()
            self._scheduled = loop.call_later(_SCAN_DELAY_SECONDS, self._scan_due)

    def _scan_due(self) -> None:
        self._scheduled = None
        self._begin_scan(_RESCAN_SECONDS)

    def _begin_scan(self, seconds: float) -> None:
        """Begin a scan in a thread, if the last one is older than that and none is going on."""
        if self._scanning is None and self.age > seconds:
            self._scanning = asyncio.create_task(asyncio.to_thread(self.scan))
            self._scanning.add_done_callback(self._scan_ended)

    def _scan_ended(self, _: object) -> None:
        self._scanning = None

    async def is_unchanged(self, card: ModelCard) -> bool:
        """Whether the model, and the folder it lies in, are as the last scan found them.

        What is rewritten inside a model's folder only shows in the next scan.
        """
        watched = _watched(card)
        if not watched:
            return True
        try:
            async with asyncio.timeout(_SCAN_WAIT_SECONDS):
                states = await asyncio.to_thread(_file_states, [card])
        except TimeoutError:  # no scan would end earlier
            return True
        return len(states) == len(watched) and states.items() <= self._states.items()


def _file_states(cards: Iterable[ModelCard]) -> FileStates:
    """The states of the models' files or folders, of their folders, and of presets' files."""
    paths = {path for card in cards for path in _watched(card)}
    return {path: state for path in paths if (state := _state(path))}


def _watched(card: ModelCard) -> set[Path]:
    """Paths whose changes may change the model; none for one that has no files."""
    files = {card.path, card.path.parent} if card.stamp else set()
    return files | ({card.preset.path} if card.preset else set())


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
