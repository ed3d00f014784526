"""HTTP to another server: bounded, without redirects, proxies, cookies or decompression.

Every answer that is not a success becomes a ProviderError here, and so does everything that goes
wrong on the way. Closing a stream closes its connection, by which servers notice a hang-up.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from app.provider.engines.upstream.event_stream import EventLines
from app.provider.engines.upstream.refusals import refusal_in, refusal_of, unavailable
from app.provider.remote import RemoteModel

LONGEST_BODY = 256 * 2**20
"""Bytes of an answer that is one JSON value: many vectors."""
NO_SUCH_PATH = frozenset({404, 405, 501})
LONGEST_ANSWER = 8 * 2**20
"""Bytes of a chat's answer that comes at once: it goes on in one message."""
_LONGEST_REFUSAL = 2**16
_REST_SECONDS = 0.25
"""How long an answer that is whole may take to end, so that its connection can be used again."""
_REUSE_SECONDS = 3.0
"""A connection that was idle for longer is not used again: servers close it after 5 s."""


class Client:
    """Talks to the server of one model. Belongs to one event loop."""

    def __init__(self, remote: RemoteModel) -> None:
        self._remote = remote
        self._name = remote.server
        self._root = remote.base_url.removesuffix("/v1")
        secure = remote.base_url.startswith("https:")
        transport = httpx2.AsyncHTTPTransport(
            verify=ssl.create_default_context() if secure else False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=None, keepalive_expiry=_REUSE_SECONDS),
            uds=remote.unix_socket or None,
        )
        headers = {"Accept-Encoding": "identity", "User-Agent": "fastapi-sllm-api"}
        if remote.key:
            headers["Authorization"] = f"Bearer {remote.key}"
        self._http = httpx2.AsyncClient(
            transport=transport,
            headers=headers,
            timeout=None,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def find(self, path: str) -> dict[str, Any]:
        """The JSON object at a path; empty where the server has no such path."""
        async with self._response("GET", path, None, optional=True) as response:
            if response.status_code in NO_SUCH_PATH:
                return {}
            found = await self._value(response, LONGEST_BODY)
        return found if isinstance(found, dict) else {}

    async def post(self, path: str, body: dict[str, Any], most: int = LONGEST_BODY) -> Any:
        """The JSON value of ``most`` bytes that a body is answered with; raises ProviderError."""
        async with self._response("POST", path, body) as response:
            return await self._value(response, most)

    async def events(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """The JSON values of a stream of server-sent events, until its ``[DONE]``.

        Raises ProviderError, also for a stream that ends without it. The first value may take as
        long as the beginning of an answer.
        """
        lines = EventLines(self._name)
        wait = self._remote.first_seconds
        async with self._response("POST", path, body) as response:
            blocks = response.aiter_raw()
            while block := await self._block(blocks, wait):
                for value in lines.push(block):
                    wait = self._remote.silence_seconds
                    yield value
                if lines.done:
                    await _read_the_rest(blocks)
                    return
        raise unavailable(self._name, "broke off its answer")

    async def _value(self, response: httpx2.Response, most: int) -> Any:
        content = await self._content(response, most)
        if len(content) > most:
            raise unavailable(self._name, "gave an answer without an end")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise unavailable(self._name, "answered with what is no JSON") from None
        if refused := refusal_in(self._name, value):
            raise refused.error()  # some say 200 all the same
        return value

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: dict[str, Any] | None, *, optional: bool = False
    ) -> AsyncIterator[httpx2.Response]:
        """A response that is a success; raises ProviderError for any other.

        An ``optional`` path may be one that the server does not have.
        """
        response = await self._send(self._request(method, path, body))
        try:
            if not (optional and response.status_code in NO_SUCH_PATH):
                await self._require_success(response)
            yield response
        finally:
            await response.aclose()

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> httpx2.Request:
        """A request; paths below ``/v1`` are those below ``base_url``."""
        below = path.startswith("/v1/")
        url = self._remote.base_url + path.removeprefix("/v1") if below else self._root + path
        connect = httpx2.Timeout(None, connect=self._remote.connect_seconds)
        return self._http.build_request(method, url, json=body, timeout=connect)

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        seconds = self._remote.first_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._http.send(request, stream=True)
        except TimeoutError:
            raise unavailable(self._name, f"did not answer within {seconds:g} s") from None
        except httpx2.ConnectTimeout:
            raise unavailable(self._name, "cannot be reached: connecting takes too long") from None
        except httpx2.ConnectError as error:
            raise unavailable(self._name, f"cannot be reached: {error}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unavailable(self._name, f"broke off: {error}") from None

    async def _require_success(self, response: httpx2.Response) -> None:
        if response.status_code == 200:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise unavailable(self._name, "compresses its answer, which it was asked not to")
            return
        content = await self._content(response, _LONGEST_REFUSAL)
        retry = response.headers.get("retry-after", "")
        status = response.status_code if response.status_code >= 300 else 500
        raise refusal_of(self._name, status, content[:_LONGEST_REFUSAL], retry).error()

    async def _content(self, response: httpx2.Response, most: int) -> bytes:
        """The body, or as much of it as is more than ``most`` bytes."""
        content = bytearray()
        blocks = response.aiter_raw()
        while len(content) <= most and (
            block := await self._block(blocks, self._remote.first_seconds)
        ):
            content += block
        return bytes(content)

    async def _block(self, blocks: AsyncIterator[bytes], seconds: float) -> bytes:
        """The next bytes; none at the end."""
        try:
            async with asyncio.timeout(seconds):
                return await anext(blocks, b"")
        except TimeoutError:
            raise unavailable(self._name, f"was silent for {seconds:g} s") from None
        except httpx2.HTTPError as error:
            raise unavailable(self._name, f"broke off its answer: {error}") from None


async def _read_the_rest(blocks: AsyncIterator[bytes]) -> None:
    """Read what follows ``[DONE]``: the end of the response."""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_REST_SECONDS):
            await anext(blocks, b"")
