"""Fetches a picture from the internet, and from nowhere else.

Every name is looked up once per step; every answer must be a public address, and the connection
goes to one of those. So a name that means something else a moment later leads nowhere.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

from app.media.address import is_public, look_up
from app.media.errors import ImageUnreachable, ImageUrlRefused, ImageUrlsOff
from app.media.exchange import Fetched, Redirect, ask
from app.media.policy import MediaPolicy
from app.media.url import Target, target_of

_MAX_REDIRECTS = 3
_MAX_ADDRESSES = 3
"""Of one name that are tried."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port → addresses; raises OSError."""


class Fetcher:
    """Fetches files by URL. How names are looked up and what is public can be replaced."""

    def __init__(
        self,
        policy: MediaPolicy,
        resolve: Resolve = look_up,
        is_allowed: Callable[[str], bool] = is_public,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._trust = trust

    async def fetch(self, url: str) -> Fetched:
        """Fetch the file at ``url``.

        Raises ImageUrlsOff, ImageUrlRefused, ImageUnreachable, ImageTooLarge.
        """
        if not self._policy.urls:
            raise ImageUrlsOff
        try:
            async with asyncio.timeout(self._policy.seconds):
                return await self._follow(url)
        except TimeoutError as error:
            line = f"Fetching the image took longer than {self._policy.seconds:g} seconds."
            raise ImageUnreachable(line) from error

    async def _follow(self, url: str) -> Fetched:
        for _ in range(_MAX_REDIRECTS + 1):
            target = target_of(url, self._policy.url_ports)
            answer = await self._ask(target, await self._addresses(target))
            if isinstance(answer, Fetched):
                return answer
            url = _next(target, answer)
        raise ImageUnreachable(f"The image is behind more than {_MAX_REDIRECTS} redirects.")

    async def _addresses(self, target: Target) -> list[str]:
        try:
            found = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise ImageUnreachable(f"There is no host {target.host[:100]!r}.") from error
        if not found or not all(map(self._is_allowed, found)):
            raise ImageUrlRefused(f"{target.host[:100]} is not a public address.")
        return found[:_MAX_ADDRESSES]

    async def _ask(self, target: Target, addresses: list[str]) -> Redirect | Fetched:
        trust = await self._trusted() if target.tls else None
        for address in addresses:
            try:
                return await ask(target, address, self._policy, trust)
            except OSError as error:
                cause = error
        line = f"{target.host[:100]} does not answer, or not with a valid certificate."
        raise ImageUnreachable(line) from cause

    async def _trusted(self) -> ssl.SSLContext:
        """The system's certificates, read when they are needed first."""
        if self._trust is None:
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        return self._trust


def _next(target: Target, answer: Redirect) -> str:
    try:
        return urljoin(target.url, answer.location)
    except ValueError as error:
        raise ImageUrlRefused("The URL leads on to one that is not well formed.") from error
