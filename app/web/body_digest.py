"""The digest of a request's body, made of the pieces as the application reads them."""

from __future__ import annotations

import hashlib

from starlette.types import Message, Receive

from app.web.errors import ClientGone

DIGEST_BYTES = 16


class DigestedBody:
    """A body that passes through ``receive``; none of it is held.

    ``boundary`` separates the parts of a form. Clients make up a new one for each attempt, so it
    does not count.
    """

    def __init__(self, receive: Receive, boundary: bytes) -> None:
        self._receive = receive
        self._boundary = boundary
        self._held = b""
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._ended = False

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        if message["type"] == "http.request" and not self._ended:
            self._add(message.get("body", b""))
            self._ended = not message.get("more_body", False)
        return message

    async def read_to_end(self) -> str:
        """Read what the application has not, and return the digest; raises ClientGone."""
        while not self._ended:
            if (await self.receive())["type"] == "http.disconnect":
                raise ClientGone("The client hung up.")
        final = self._digest.copy()
        final.update(self._held)
        return final.hexdigest()

    def _add(self, piece: bytes) -> None:
        if self._boundary:
            piece = self._without_boundaries(piece)
        self._digest.update(piece)

    def _without_boundaries(self, piece: bytes) -> bytes:
        """Hold back an end that may be the beginning of a boundary."""
        *parts, last = (self._held + piece).split(self._boundary)
        whole = max(0, len(last) - len(self._boundary) + 1)
        self._held = last[whole:]
        return b"".join(part + b"--" for part in parts) + last[:whole]
