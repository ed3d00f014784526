"""The border to whoever owns the loaded models: this process now, a process for many APIs later.

What crosses it are plain values. Leases, engine processes and the paths of models stay with the
owner. Errors are those of ``app.provider.errors``, which are made anew from their arguments.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from app.provider.engine import EngineLimits
from app.provider.pool.eviction import AdmissionDecision, LedgerEntry
from app.provider.pool.sizing import SizeEstimate
from app.provider.runtime.metrics import MetricValues
from app.provider.runtime.status import HostStatus
from app.provider.types import Encode, Event, Loaded, ModelRef, Progress, Prompt, Size, Tokens


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What the owner says of its models, at one moment.

    ``statuses`` and ``ledger`` have the models that are loaded or were to be loaded, the least
    recently used first; one whose load failed has no status any more when its files have changed.
    ``metrics`` has every model that was asked for. ``limits`` are those that engines start with.
    ``refusals`` say why models cannot be loaded: by id the stamp of the files, and the reason.
    """

    statuses: Mapping[str, HostStatus]
    ledger: Mapping[str, LedgerEntry]
    metrics: Mapping[str, MetricValues]
    limits: EngineLimits
    refusals: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class ModelHost(Protocol):
    """Owns the loaded models: loads, unloads and asks them. Belongs to one event loop.

    Closing a generator cancels what it was made for, in every phase. All but ``snapshot``,
    ``refusal`` and ``problem`` may wait for another process. Raises ModelNotFound for a model that
    the owner does not have.
    """

    def stream(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer ``prompt``, loading the model first if need be.

        Raises EngineBusy, ContextOverflow, UnsupportedInput, ModelNotLoadable before Started, and
        EngineUnavailable at any time.
        """

    def encode(self, model: ModelRef, job: Encode) -> AsyncGenerator[Event, None]:
        """Turn the items of ``job`` into vectors; raises what ``stream`` raises."""

    def measure(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt``: the progress of loading, then the size."""

    def tokenize(
        self, model: ModelRef, prompt: Prompt, *, special: bool = True
    ) -> AsyncGenerator[Progress | Tokens, None]:
        """Tokenise ``prompt``: the progress of loading, then the tokens.

        A raw text gets the tokens of every beginning only if ``special``.
        """

    def load(
        self, model: ModelRef, ttl: float | None = None
    ) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model if it is not loaded; ends with Loaded.

        One that could not be loaded before is tried once more. ``ttl`` is that of
        ``Prompt.ttl_seconds``.
        """

    async def preload(self, model: ModelRef, ttl: float | None = None) -> None:
        """Begin to load the model; returns before it is loaded."""

    async def unload(self, model: str) -> bool:
        """Unload the model of that id; False where it is not loaded. Raises ModelInUse."""

    async def plan(
        self, model: ModelRef, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        """Estimate what loading the model takes and what would be unloaded; changes nothing."""

    def refusal(self, model: ModelRef) -> str | None:
        """Why the model could not be loaded, as far as is known here; None if it was not."""

    def problem(self) -> str | None:
        """Why the owner of the models cannot be asked now; None if it can."""

    def snapshot(self) -> HostSnapshot:
        """What is known here; the memory of the processes is as measured last."""

    async def measured(self) -> HostSnapshot:
        """A snapshot of now, with the memory that the processes take."""

    async def close(self) -> None:
        """Leave the models; what this process owns is unloaded."""
