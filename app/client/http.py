"""A server, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from app.client.backend import Body
from app.client.errors import ServerUnreachable, SLLMError, error_of
from app.client.loop_backend import LoopBackend
from app.client.sse import ChunkReader

LONGEST_PAUSE = 10.0
"""Seconds before a request is sent again to a server that is busy."""


class HttpBackend(LoopBackend):
    """Sends requests to one server. ``retries``: how often one is sent again that came too early.

    Only what the server itself says to be worth another try is sent again (``Retry-After``).
    ``timeout`` is in seconds; None: none.
    """

    def __init__(
        self, base_url: str, api_key: str | None, timeout: float | None, retries: int
    ) -> None:
        super().__init__()
        self._retries = retries
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/").removesuffix("/v1"),
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=timeout,
        )

    async def _answer(self, path: str, body: Body) -> dict[str, Any]:
        async with self._response(path, body) as response:
            found: dict[str, Any] = json.loads(await response.aread())
            return found

    async def _chunks(self, path: str, body: Body) -> AsyncGenerator[dict[str, Any], None]:
        reader = ChunkReader()
        async with self._response(path, body) as response:
            async for line in response.aiter_lines():
                if (chunk := reader.chunk(line)) is not None:
                    yield chunk
            reader.require_end()

    @asynccontextmanager
    async def _response(self, path: str, body: Body) -> AsyncIterator[httpx.Response]:
        for left in range(self._retries, -1, -1):
            with _reachable():
                async with self._client.stream("POST", path, json=body) as response:
                    if response.is_success:
                        yield response
                        return
                    await response.aread()
                    pause = _pause(response, left)
            await asyncio.sleep(pause)

    async def _close(self) -> None:
        await self._client.aclose()


def _pause(response: httpx.Response, left: int) -> float:
    """Seconds before another try; raises SLLMError where none is worth it or ``left``."""
    seconds = response.headers.get("retry-after", "")
    if left and seconds.replace(".", "", 1).isdigit():
        return min(float(seconds), LONGEST_PAUSE)
    raise _refusal(response)


def _refusal(response: httpx.Response) -> SLLMError:
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    return error_of(response.status_code, body if isinstance(body, Mapping) else {})


@contextmanager
def _reachable() -> Iterator[None]:
    """Raise ServerUnreachable for what httpx raises."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise ServerUnreachable("The server did not answer in time.") from error
    except httpx.TransportError as error:
        raise ServerUnreachable(f"The server cannot be reached: {error}") from error
