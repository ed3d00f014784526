"""``ModelHost`` over a connection to the model server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from app.provider.engine import EngineLimits
from app.provider.errors import EngineUnavailable
from app.provider.model_server.client import ModelServerClient
from app.provider.model_server.protocol import (
    MEASURED,
    MODELS,
    PLAN,
    PRELOAD,
    UNLOAD,
    Load,
    Measure,
    Submit,
    Tokenize,
)
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.model_host import HostSnapshot
from app.provider.pool.refusals import refusal_of
from app.provider.pool.sizing import SizeEstimate
from app.provider.types import Encode, End, Event, Loaded, ModelRef, Progress, Prompt, Size, Tokens

_MEASURE_SECONDS = 2.0
"""How long the health of a server waits for that of its models."""


class RemoteModelHost:
    """The models of the model server. What it has published last is what is known of them.

    ``limits`` are those that engines start with, until the server has said so itself.
    """

    def __init__(self, client: ModelServerClient, limits: EngineLimits) -> None:
        self._client = client
        self._snapshot = HostSnapshot({}, {}, {}, limits)
        self._silent = False
        client.subscribe(MODELS, self._take)
        client.on_loss(self._forget)

    def _take(self, snapshot: HostSnapshot) -> None:
        self._snapshot, self._silent = snapshot, False

    def _forget(self) -> None:
        """A new server has loaded no model yet."""
        self._snapshot = replace(self._snapshot, statuses={}, ledger={}, refusals={})

    def stream(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt``, loading the model first if need be."""
        return self._client.request(lambda job: Submit(job, model, prompt), End)

    def encode(self, model: ModelRef, job: Encode) -> AsyncGenerator[Event, None]:
        """Turn the items of ``job`` into vectors."""
        return self._client.request(lambda number: Submit(number, model, job), End)

    def measure(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt``: the progress of loading, then the size."""
        return self._client.request(lambda job: Measure(job, model, prompt), Size)

    def tokenize(
        self, model: ModelRef, prompt: Prompt, *, special: bool = True
    ) -> AsyncGenerator[Progress | Tokens, None]:
        """Tokenise ``prompt``: the progress of loading, then the tokens."""
        return self._client.request(lambda job: Tokenize(job, model, prompt, special), Tokens)

    def load(
        self, model: ModelRef, ttl: float | None = None
    ) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model if it is not loaded; ends with Loaded."""
        return self._client.request(lambda job: Load(job, model, ttl), Loaded)

    async def preload(self, model: ModelRef, ttl: float | None = None) -> None:
        """Begin to load the model; returns before it is loaded."""
        await self._client.call(PRELOAD, model, ttl)

    async def unload(self, model: str) -> bool:
        """Unload the model of that id; False where it is not loaded. Raises ModelInUse."""
        return await self._client.call(UNLOAD, model)

    async def plan(
        self, model: ModelRef, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Estimate what loading the model takes and what would be unloaded; changes nothing."""
        return await self._client.call(PLAN, model, limits)

    def refusal(self, model: ModelRef) -> str | None:
        """Why the model could not be loaded, as published last; None if it was not refused."""
        return refusal_of(model, self._snapshot.refusals)

    def problem(self) -> str | None:
        """Why the model server cannot be asked now; None if it can."""
        if self._silent and not self._client.problem():
            return f"The model server has not answered within {_MEASURE_SECONDS:g} seconds."
        return self._client.problem()

    def snapshot(self) -> HostSnapshot:
        """What the server has published last."""
        return self._snapshot

    async def measured(self) -> HostSnapshot:
        """A snapshot of now; while the server cannot be asked, what is known without it."""
        try:
            async with asyncio.timeout(_MEASURE_SECONDS):
                self._take(await self._client.call(MEASURED))
        except EngineUnavailable:
            pass  # ``problem`` says so
        except TimeoutError:
            self._silent = True
        return self._snapshot

    async def close(self) -> None:
        """Leave the models as they are."""
        await self._client.close()
