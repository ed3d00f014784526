"""Everything from what a client sends to a ``Picture``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.media.errors import TooManyImages
from app.media.header import Header
from app.media.image_source import Detail, ImageSource, content_of
from app.media.picture import Picture, inspect
from app.media.policy import LOW_DETAIL_SIDE, MediaPolicy
from app.media.process import Decoded, Decoders

if TYPE_CHECKING:
    from app.media.fetch import Fetcher


class Intake:
    """Takes pictures in. Lives on one event loop; ``close`` it."""

    def __init__(self, policy: MediaPolicy, fetcher: Fetcher | None = None) -> None:
        self._policy = policy
        self._fetcher = fetcher
        self._decoders = Decoders(policy)

    @property
    def policy(self) -> MediaPolicy:
        """What pictures may be like."""
        return self._policy

    async def take_all(self, sources: Sequence[ImageSource]) -> list[Picture]:
        """Take the pictures of one request, one after the other.

        Raises TooManyImages, and what ``take`` raises for the first that is refused.
        """
        if len(sources) > self._policy.max_images:
            raise TooManyImages(len(sources), self._policy.max_images)
        return [await self.take(source) for source in sources]

    async def take(self, source: ImageSource) -> Picture:
        """Take one picture from base64 or a URL.

        Raises ImageTooLarge, ImageTypeNotSupported, ImageTypeMismatch, ImageUnreadable,
        ImagesBusy, ImageUrlsOff, ImageUrlRefused, ImageUnreachable.
        """
        if source.text is not None:
            content, mime = await asyncio.to_thread(
                content_of, source.text, source.mime, self._policy
            )
            return await self.take_bytes(content, mime, source.detail)
        fetched = await self._urls().fetch(source.url or "")
        inspect(fetched.content, fetched.mime, self._policy)
        return await self.take_bytes(fetched.content, source.mime, source.detail)

    def _urls(self) -> Fetcher:
        from app.media.fetch import Fetcher  # noqa: PLC0415 — most servers take no URLs

        self._fetcher = self._fetcher or Fetcher(self._policy)
        return self._fetcher

    async def take_bytes(
        self, content: bytes, mime: str | None = None, detail: Detail = "auto"
    ) -> Picture:
        """Take one picture from the bytes of its file, as an upload brings them.

        Raises ImageTooLarge, ImageTypeNotSupported, ImageTypeMismatch, ImageUnreadable, ImagesBusy.
        """
        header = inspect(content, mime, self._policy)
        decoded = await self._decoders.decode(content, header, self._side(detail))
        return await asyncio.to_thread(_picture, content, header, decoded)

    async def close(self) -> None:
        """End the process that waits for a picture."""
        await self._decoders.close()

    def _side(self, detail: Detail) -> int:
        most = self._policy.max_side
        if detail == "low":
            return min(most, LOW_DETAIL_SIDE) if most else LOW_DETAIL_SIDE
        return most


def _picture(content: bytes, header: Header, decoded: Decoded) -> Picture:
    return Picture(
        content=decoded.content,
        mime="image/png",
        width=decoded.width,
        height=decoded.height,
        original_mime=header.mime,
        original_width=header.width,
        original_height=header.height,
        original_bytes=len(content),
        sha256=hashlib.sha256(decoded.content).hexdigest(),
    )
