"""One HTTP request for one picture, on one connection to one address that was checked before.

h11 reads the answer: it is strict, bounds the headers and does nothing by itself. So there are no
cookies, no proxies, no redirects, no decompression and no second look-up here. An HTTP client such
as httpx2 runs the same h11, and would need a network backend and a stream of our own to pin the
address and to bound the bytes on the wire: more code than this, with more to switch off.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import h11

from app.media.errors import ImageUnreachable, ImageUrlRefused
from app.media.header import MIMES
from app.media.picture import check_bytes, plain_mime
from app.media.policy import MediaPolicy
from app.media.url import Target

_BLOCK = 2**14
_REDIRECTS = {301, 302, 303, 307, 308}
_OVERHEAD = 2**16
"""Bytes of headers and chunk marks that an answer may have, beside as many as the picture's."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer was: look there."""

    location: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file and the type it was declared as."""

    content: bytes
    mime: str


async def ask(
    target: Target, address: str, policy: MediaPolicy, trust: ssl.SSLContext | None
) -> Redirect | Fetched:
    """Send the request to ``address`` and read the answer.

    TLS checks the certificate against the name of ``target``. Raises ImageUnreachable,
    ImageTooLarge, ImageUrlRefused, and OSError when there is no connection.
    """
    reader, writer = await asyncio.open_connection(
        address,
        target.port,
        limit=_BLOCK,
        ssl=trust,
        server_hostname=target.host if trust else None,
    )
    try:
        http = h11.Connection(h11.CLIENT)
        writer.write(_request(http, target))
        return await _Response(reader, http, policy).read()
    except h11.RemoteProtocolError as error:
        raise ImageUnreachable("The server of the image broke off, or speaks no HTTP.") from error
    finally:
        writer.transport.abort()


def _request(http: h11.Connection, target: Target) -> bytes:
    headers = [
        ("Host", target.authority),
        ("User-Agent", "fastapi-sllm-api"),
        ("Accept", ", ".join(MIMES)),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    request = h11.Request(method="GET", target=target.path, headers=headers)
    return (http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b"")


class _Response:
    """What the server sends, read no further than it may go."""

    def __init__(
        self, reader: asyncio.StreamReader, http: h11.Connection, policy: MediaPolicy
    ) -> None:
        self._reader = reader
        self._http = http
        self._policy = policy
        self._received = 0
        self._content = bytearray()

    async def read(self) -> Redirect | Fetched:
        mime = ""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                if event.status_code in _REDIRECTS:
                    return Redirect(headers.get("location", ""))
                mime = self._accept(event.status_code, headers)
            elif isinstance(event, h11.Data):
                self._content += event.data
                check_bytes(len(self._content), self._policy)
        return Fetched(bytes(self._content), mime)

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            block = await self._reader.read(_BLOCK)
            self._received += len(block)
            if self._received > 2 * len(self._content) + _OVERHEAD:
                raise ImageUnreachable("The server of the image sends much that is no image.")
            self._http.receive_data(block)
            await asyncio.sleep(0)  # a fast server must not keep the loop to itself
        return event

    def _accept(self, status: int, headers: dict[str, str]) -> str:
        """The declared type of an answer that brings a file."""
        if status != 200:
            raise ImageUnreachable(f"The server of the image answers with status {status}.")
        mime = plain_mime(headers.get("content-type"))
        if mime not in MIMES:
            raise ImageUrlRefused("What is at the URL is not declared as an image that is taken.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ImageUnreachable("The server of the image compresses it, unasked.")
        check_bytes(int(headers.get("content-length", 0)), self._policy)
        return mime
