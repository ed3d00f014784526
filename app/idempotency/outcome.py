"""The outcome of a request with an idempotency key: as it is stored, and while it is being made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

MAX_OUTCOME_BYTES = 8 * 2**20
"""An outcome that is larger, before it is compressed, is not kept."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer the request with a key; ``id`` differs for each attempt."""

    owner: str
    key: str
    id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: ``head`` is what the edge needs to say ``content`` again.

    ``body`` is the digest of the body that the request had.
    """

    body: str
    head: Mapping[str, Any]
    content: bytes


@dataclass
class PendingOutcome:
    """The outcome of a request that is being answered.

    ``failed``: it is not to be kept. ``outlives_client``: the answer goes on without its client.
    """

    failed: bool = False
    outlives_client: bool = False


_pending: ContextVar[PendingOutcome | None] = ContextVar("pending_outcome", default=None)


@contextmanager
def pending_outcome() -> Iterator[PendingOutcome]:
    """Let ``discard_outcome`` reach the outcome, also from tasks that the context starts."""
    pending = PendingOutcome()
    token = _pending.set(pending)
    try:
        yield pending
    finally:
        _pending.reset(token)


def discard_outcome() -> None:
    """Say that the answer being made is not whole: if the request has a key, it runs again."""
    if pending := _pending.get():
        pending.failed = True


def outlive_client() -> None:
    """Say that the answer being made goes on if the client hangs up.

    If the request has a key, its answer is then written to its end, for whoever sends it again.
    """
    if pending := _pending.get():
        pending.outlives_client = True
