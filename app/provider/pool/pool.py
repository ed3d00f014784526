"""Finds models by name, and passes what is asked of them to the owner of the loaded models.

A request to one model is never answered by another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from app.provider.card import Kind, ModelCard
from app.provider.catalogue.names import model_id
from app.provider.catalogue.scan import NOT_READ_YET
from app.provider.engine import EngineLimits
from app.provider.errors import ModelConflict, ModelNotFound
from app.provider.pool.config import PoolConfig
from app.provider.pool.default_model import (
    default_chat,
    default_encoder,
    default_vision,
    problem_of,
    vision_models,
)
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.first_event import first
from app.provider.pool.local_host import LocalModelHost
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.pool.model_host import HostSnapshot, ModelHost
from app.provider.pool.prompt_defaults import with_defaults
from app.provider.pool.sizing import SizeEstimate
from app.provider.runtime.status import HostStatus, State, failed_status
from app.provider.types import Encode, Event, Loaded, Progress, Prompt, RawText, Size, Tokens

__all__ = ["ModelPool", "PoolConfig"]

Choose = Callable[[Sequence[ModelCard]], str | None]

_MOST_SCANS = 20
"""A scan takes a bounded time; so many in a row read hundreds of models."""


class ModelPool:
    """All models of this server; ``host`` owns the loaded ones. Belongs to one event loop."""

    def __init__(self, config: PoolConfig, host: ModelHost | None = None) -> None:
        self._config = config
        self._catalogue = ModelCatalogue(config)
        self._host = host or LocalModelHost(config, self._catalogue)

    # ---------------------------------------------------------------- finding models

    def cards(self) -> list[ModelCard]:
        """Scan the disk and list every model. Blocks for some milliseconds."""
        return self._with_problems(self._catalogue.scan())

    def _with_problems(self, cards: Sequence[ModelCard]) -> list[ModelCard]:
        """The cards, with the problems that loading the models has shown."""
        return list(map(self._with_problem, cards))

    def _with_problem(self, card: ModelCard) -> ModelCard:
        reason = None if card.problem else self._host.refusal(card.ref)
        return replace(card, problem=reason) if reason else card

    def card(self, model: str | None) -> ModelCard:
        """Find a model by id or alias, or the default one; raises ModelNotFound, ModelConflict."""
        wanted = self._default_id() if model is None else model
        return self._with_problem(self._catalogue.card(wanted))

    async def find(self, model: str | None) -> ModelCard:
        """``card`` without blocking the event loop, from a scan that is at most seconds old.

        A steady stream of requests to known models never waits for the disk, nor does a request
        to a loaded one whose files are as they were. A request to a model that could not be loaded
        does, because its files may have changed.
        """
        if model is None and self._config.default_chat:
            model = self._config.default_chat
        known = self._catalogue.cards if model is None else self._catalogue.named(model)
        refused = model is not None and any(self._host.refusal(card.ref) for card in known)
        if refused or not self._catalogue.is_stale or not await self._is_as_loaded(model):
            await self._catalogue.refresh(known=bool(known), urgent=refused)
        else:
            self._catalogue.schedule_scan()
        return await self._find_read(model)

    async def _is_as_loaded(self, model: str | None) -> bool:
        """Whether the model is loaded, and was not changed since the last scan."""
        cards = self._catalogue.cards
        found = cards and self._catalogue.named(self._default_id() if model is None else model)
        if not found or len(found) > 1:
            return False
        status = self._host.snapshot().statuses.get(found[0].ref.id)
        ready = status is not None and status.healthy and status.state == "ready"
        return ready and await self._catalogue.is_unchanged(found[0])

    async def _find_read(self, model: str | None) -> ModelCard:
        """``card``, with further scans until one of them has had time to read the model."""
        card = self.card(model)
        for _ in range(_MOST_SCANS):
            if card.problem != NOT_READ_YET:
                break
            await asyncio.to_thread(self._catalogue.scan)
            card = self.card(model)
        return card

    def _default_id(self) -> str:
        if named := self._config.default_chat:
            return named
        return default_chat(self._with_problems(self._catalogue.cards) or self.cards())

    async def find_vision(self, architecture: str = "") -> ModelCard | None:
        """The vision model to use where a request names none; None where there is none.

        It is the one of the settings, else the starter, else the first that can be loaded; of an
        ``architecture`` the first. Raises ModelNotFound, ModelConflict.
        """
        if self._config.default_vision and not architecture:
            return await self.find(model_id(self._config.default_vision))
        return await self._find_chosen(lambda cards: default_vision(cards, architecture))

    async def find_encoder(self, kind: Kind) -> ModelCard | None:
        """The model that encodes where a request names none; otherwise as ``find_vision``."""
        names = self._config.default_names
        if named := names.get(kind):
            return await self.find(named)
        chosen = await self._find_chosen(lambda cards: default_encoder(kind, cards))
        stand_in = names.get(chosen.kind) if chosen else None
        return await self.find(stand_in) if stand_in else chosen

    async def _find_chosen(self, choose: Choose) -> ModelCard | None:
        if known := choose(self._with_problems(self._catalogue.cards)):
            with suppress(ModelNotFound, ModelConflict):
                await self.find(known)  # rescans if the last scan is old
        else:
            await self._catalogue.refresh(known=bool(self._catalogue.cards))
        wanted = choose(self._with_problems(self._catalogue.cards))
        return self.card(wanted) if wanted else None

    def vision_models(self) -> list[str]:
        """Ids of the models that take pictures and can be loaded, as of the last scan."""
        return vision_models(self._with_problems(self._catalogue.cards))

    # ---------------------------------------------------------------- states

    def snapshot(self) -> HostSnapshot:
        """What is known of the loaded models; memory is as it was measured last."""
        return self._host.snapshot()

    async def measured(self) -> HostSnapshot:
        """``snapshot`` after measuring the processes."""
        return await self._host.measured()

    def host_problem(self) -> str | None:
        """Why the owner of the loaded models cannot be asked; None while it can."""
        return self._host.problem()

    def health(self) -> Mapping[str, HostStatus]:
        """Status of every model that is loaded or was asked for, least recently used first."""
        return self._host.snapshot().statuses

    def state(self, model: str) -> State:
        """Say what the model's engine is doing; a preset has that of its model."""
        named = self._catalogue.named(model)
        if status := self.health().get(named[0].ref.id if len(named) == 1 else model):
            return status.state
        refused = any(self._host.refusal(card.ref) for card in named)
        return "failed" if refused else "unloaded"

    def broken_defaults(self) -> dict[str, HostStatus]:
        """Status of the models that a setting names and that cannot be used.

        No other model is used in their place.
        """
        problems = {
            model: problem_of(self._with_problems(self._catalogue.named(model)))
            for model in self._config.all_named
        }
        return {model: failed_status(problem) for model, problem in problems.items() if problem}

    def is_healthy(self) -> bool:
        """Whether every engine works.

        A model that cannot be loaded counts only if a setting names it, or if it is the default
        model and the cause is not in its files.
        """
        statuses = self.health().items()
        ill = any(s.state != "failed" and not s.healthy for _, s in statuses)
        if self.host_problem() or self.broken_defaults() or ill:
            return False
        cards = self._with_problems(self._catalogue.cards)
        unusable = {card.id for card in cards if card.problem}
        failed = {model for model, status in statuses if status.state == "failed"} - unusable
        needed = [*self._config.all_named, self._default_id()] if failed else []
        return failed.isdisjoint(card.id for name in needed for card in self._catalogue.named(name))

    async def rescan_defaults(self) -> None:
        """Rescan the disk if settings name models, because broken ones may have been repaired."""
        if self._config.all_named:
            known, urgent = bool(self._catalogue.cards), bool(self.broken_defaults())
            await self._catalogue.refresh(known=known, urgent=urgent)

    # ---------------------------------------------------------------- using a model

    async def stream(self, model: str | ModelCard, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt`` with that model, loading it first if need be.

        Closing the generator cancels in every phase. Raises what ``ModelHost.stream`` raises,
        ModelNotFound and ModelConflict.
        """
        card = await self._current(model)
        async with aclosing(self._host.stream(card.ref, self._completed(card, prompt))) as events:
            async for event in events:
                yield event

    async def encode(self, model: str | ModelCard, job: Encode) -> AsyncGenerator[Event, None]:
        """Turn the items of ``job`` into vectors; otherwise as ``stream``."""
        card = await self._current(model)
        async with aclosing(self._host.encode(card.ref, job)) as events:
            async for event in events:
                yield event

    async def measure(
        self, model: str | ModelCard, prompt: Prompt
    ) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt``; gives the progress of loading, then the size."""
        card = await self._current(model)
        async with aclosing(self._host.measure(card.ref, self._completed(card, prompt))) as events:
            async for event in events:
                yield event

    def _completed(self, card: ModelCard, prompt: Prompt) -> Prompt:
        return with_defaults(prompt, card, self._config.tool_formats)

    async def size(self, model: str | ModelCard, prompt: Prompt) -> Size:
        """Count the tokens of ``prompt``."""
        return await first(Size, self.measure(model, prompt))

    async def tokenize(
        self, model: str | ModelCard, prompt: Prompt | str, *, add_special: bool = True
    ) -> Tokens:
        """The tokens of a text or of a prompt; raises what ``stream`` raises.

        A text gets the tokens that begin every prompt only if ``add_special``.
        """
        asked = Prompt((), raw=RawText(prompt)) if isinstance(prompt, str) else prompt
        card = await self._current(model)
        asked = self._completed(card, asked)
        return await first(Tokens, self._host.tokenize(card.ref, asked, special=add_special))

    async def detokenize(self, model: str | ModelCard, tokens: Sequence[int]) -> str:
        """The text of the model's own tokens; raises what ``tokenize`` raises."""
        found = await self.tokenize(model, Prompt((), raw=RawText(tokens=tuple(tokens))))
        return b"".join(found.pieces).decode("utf-8", "replace")

    async def _current(self, model: str | ModelCard) -> ModelCard:
        """``find``, spared for a card whose model was found unchanged by the last scan."""
        if isinstance(model, str):
            return await self.find(model)
        return model if self._catalogue.has(model.ref) else await self.find(model.id)

    # ---------------------------------------------------------------- loading and unloading

    async def load(self, model: str) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model if it is not loaded, as ``ModelHost.load``; raises what that raises."""
        card = await self.find(model)
        async with aclosing(self._host.load(card.ref, card.ttl_seconds)) as events:
            async for event in events:
                yield event

    async def preload(self, model: str) -> None:
        """Begin to load the model; returns before it is loaded."""
        card = await self.find(model)
        await self._host.preload(card.ref, card.ttl_seconds)

    async def unload(self, model: str) -> None:
        """Unload the model, if it is loaded; raises ModelNotFound, ModelConflict, ModelInUse.

        A loaded model is found by its id even when its files are gone.
        """
        if not await self._host.unload(model):
            await self._host.unload((await self.find(model)).ref.id)

    async def plan(
        self, model: str, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Estimate what loading the model takes and what would be unloaded; changes nothing."""
        return await self._host.plan((await self.find(model)).ref, limits)

    async def close(self) -> None:
        """Unload everything that this process owns."""
        await self._host.close()
