"""An answer that is recorded under an idempotency key while it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.types import Message, Send

from app.errors import AppError
from app.idempotency.outcome import MAX_OUTCOME_BYTES, Claim, Outcome, PendingOutcome
from app.web.body_digest import DigestedBody

if TYPE_CHECKING:
    from app.idempotency.keys import IdempotencyKeys

REPLAYED = (b"idempotent-replayed", b"true")
"""The header of an answer that was given before."""

PIECE_BYTES = 2**16
"""A recorded answer is sent in pieces of this size."""


class RecordedResponse:
    """Passes an answer on; its last piece waits until the outcome is kept, or the key released.

    So whoever has a whole answer gets the same one again, and whoever has an error may send the
    request again at once.
    """

    def __init__(
        self,
        keys: IdempotencyKeys,
        claim: Claim,
        body: DigestedBody,
        pending: PendingOutcome,
        send: Send,
    ) -> None:
        self._keys = keys
        self._claim = claim
        self._body = body
        self._pending = pending
        self._send = send
        self._head: Mapping[str, Any] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._settled = False

    async def send(self, message: Message) -> None:
        """Pass the message on."""
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body":
            self._add(message.get("body", b""))
            if not message.get("more_body", False):
                await self.settle(whole=True)
        await self._send(message)

    def _start(self, message: Message) -> None:
        self._pending.failed = self._pending.failed or message["status"] >= 400
        headers = [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in message["headers"]
        ]
        self._head = {"status": message["status"], "headers": headers}

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_OUTCOME_BYTES:
            self._pending.failed = True
        if self._pending.failed:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    async def settle(self, *, whole: bool) -> None:
        """Keep the outcome if the answer is ``whole`` and no error; otherwise release the key."""
        if self._settled:
            return
        self._settled = True
        kept = False
        try:
            kept = whole and not self._pending.failed and await self._record()
        finally:
            if not kept:
                await self._keys.release(self._claim)

    async def _record(self) -> bool:
        try:
            digest = await self._body.read_to_end()
        except (AppError, HTTPException):  # the rest of the body is late, too much, or never comes
            return False
        return await self._keys.record(
            self._claim, Outcome(digest, self._head, b"".join(self._pieces))
        )


async def replay(outcome: Outcome, send: Send) -> None:
    """Send a recorded answer."""
    pairs: list[tuple[str, str]] = outcome.head["headers"]
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    status = outcome.head["status"]
    start = {"status": status, "headers": [*headers, REPLAYED]}
    await send({"type": "http.response.start", **start})
    content = outcome.content
    for begin in range(0, len(content), PIECE_BYTES):
        piece = content[begin : begin + PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
