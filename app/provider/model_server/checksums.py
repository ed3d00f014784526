"""Checksums that the model server computes, once for all API processes."""

from __future__ import annotations

from contextlib import suppress

from app.provider.card import ModelCard
from app.provider.errors import EngineUnavailable, ModelNotFound
from app.provider.model_server.client import ModelServerClient
from app.provider.model_server.protocol import Method
from app.provider.types import ModelRef

CHECKSUM = Method("checksum", tuple[ModelRef, float], str)
"""The checksum of a model's files, or an empty text where it takes longer than so many seconds."""


class RemoteChecksums:
    """Asks the model server for checksums."""

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client

    async def of(self, card: ModelCard, seconds: float) -> str | None:
        """The checksum of a model's current files.

        None if computing it takes longer than ``seconds``, or if it cannot be asked for.
        """
        with suppress(EngineUnavailable, ModelNotFound):
            return await self._client.call(CHECKSUM, card.ref, seconds) or None
        return None

    async def close(self) -> None:
        """The server goes on with what it computes."""
