"""The header Idempotency-Key: a request that is sent again is not answered twice.

The outcome of the first request with a key is kept in the database for a day, if it succeeded, and
is the answer to every further one. What a key is worth is in docs/idempotency.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import AppError
from app.idempotency.errors import IdempotencyKeyReused, InvalidIdempotencyKey
from app.idempotency.outcome import Claim, Outcome, pending_outcome
from app.web.body_digest import DIGEST_BYTES, DigestedBody
from app.web.error_rendering import ErrorRenderers
from app.web.recorded_response import RecordedResponse, replay

if TYPE_CHECKING:
    from app.idempotency.keys import IdempotencyKeys

HEADER = b"idempotency-key"
LONGEST_KEY = 255
VISIBLE = re.compile(rb"[!-~]{1,%d}" % LONGEST_KEY)

REPEATABLE = frozenset(
    {
        "cancel",
        "count_tokens",
        "detokenize",
        "input_tokens",
        "load",
        "plan",
        "pull",
        "stop",
        "tokenize",
        "tokens",
        "unload",
    }
)
"""Last steps of paths whose requests may be repeated anyway: they create and generate nothing."""


class IdempotentRequests:
    """ASGI middleware: answers a request whose key is known with the outcome that it had.

    ``takes_keys`` says whether the requests to a path may have keys at all.
    """

    def __init__(
        self, app: ASGIApp, errors: ErrorRenderers, takes_keys: Callable[[Scope], bool]
    ) -> None:
        self.app = app
        self._errors = errors
        self._takes_keys = takes_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, unless the request has been answered before or cannot be answered now."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        given = [value for name, value in scope["headers"] if name == HEADER]
        if not given or not self._counts(scope):
            return await self.app(scope, receive, send)
        keys: IdempotencyKeys = scope["state"]["idempotency"]
        body = DigestedBody(receive, _boundary(scope))
        try:
            claim = await _claim(keys, scope, given, body)
        except (AppError, HTTPException) as error:
            refusal = self._errors.render(scope["path"], error, scope["state"]["request_id"])
            return await refusal(scope, receive, send)
        if isinstance(claim, Outcome):
            return await replay(claim, send)
        return await self._answer(keys, claim, scope, body, send)

    def _counts(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path.rpartition("/")[2] not in REPEATABLE and self._takes_keys(scope)

    async def _answer(
        self, keys: IdempotencyKeys, claim: Claim, scope: Scope, body: DigestedBody, send: Send
    ) -> None:
        with pending_outcome() as pending:
            response = RecordedResponse(keys, claim, body, pending, send)

            async def receive() -> Message:
                message = await body.receive()
                if message["type"] == "http.disconnect" and pending.outlives_client:
                    await asyncio.Event().wait()  # for ever: the application stops by itself
                return message

            try:
                await self.app(scope, receive, response.send)
            finally:
                await response.settle(whole=False)


async def _claim(
    keys: IdempotencyKeys, scope: Scope, given: list[bytes], body: DigestedBody
) -> Claim | Outcome:
    """The right to answer, or the outcome that the same request had; raises what is in the way."""
    if len(given) > 1 or not VISIBLE.fullmatch(given[0]):
        raise InvalidIdempotencyKey(LONGEST_KEY)
    found = await keys.claim(scope["state"]["owner"], given[0].decode("ascii"), _target(scope))
    if isinstance(found, Outcome) and await body.read_to_end() != found.body:
        raise IdempotencyKeyReused
    return found


def _target(scope: Scope) -> str:
    """The digest of what a request asks for, without its body."""
    parts = (scope["method"].encode(), scope["path"].encode(), scope["query_string"])
    return hashlib.blake2b(b"\0".join(parts), digest_size=DIGEST_BYTES).hexdigest()


def _boundary(scope: Scope) -> bytes:
    """The boundary of a form; empty for other bodies."""
    declared = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    kind, options = parse_options_header(declared)
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else b""
