"""uvicorn's HTTP protocol within bounds: nothing is unbounded before the application is asked."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import h11
from starlette.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from app.web import h11_patterns, problem_details
from app.web.bounds import ConnectionBounds
from app.web.connection import Connection
from app.web.error_rendering import ErrorRenderers
from app.web.errors import MalformedRequest, ServerFull
from app.web.waiting import Waiting

log = logging.getLogger(__name__)

LINGER_SECONDS = 5.0
"""How long what a refused client still sends is thrown away, so that it can read the refusal."""

_DEFAULT_ERRORS = ErrorRenderers(problem_details.render)
"""For an application that registers no dialects in its lifespan state."""

h11_patterns.install()


class BoundedProtocol(H11Protocol):
    """One connection.

    It waits for a head (at most ``header_seconds``, or ``keep_alive_seconds`` after an answer),
    is answered, and may then have the rest of a body to throw away (``drain_seconds``). HTTP/2 is
    not spoken, so an offer to upgrade to it is passed over.
    """

    conn: Connection

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: ConnectionBounds,
        waiting: Waiting,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = Connection(bounds.header_bytes)
        self.timeout_keep_alive = bounds.keep_alive_seconds  # type: ignore[assignment]
        self._bounds = bounds
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None
        self._refused = self._draining = False
        self._request_bytes = self._unsent = 0

    # ---------------------------------------------------------------- from the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, if need be in the place of one that waits."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections and not self._waiting.drop_oldest():
            self._refuse(ServerFull())
        else:
            self._start_timer(self._bounds.header_seconds, self._end_head)
        self._note()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_timer()
        super().connection_lost(exc)
        self._waiting.remove(self)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after a refusal is thrown away."""
        if self._refused:
            return
        self._request_bytes += len(data)
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if not self._answered():
            self._stop_timer()
        elif self.conn.their_state is h11.IDLE and (self._timer is None or self._draining):
            self._draining = False
            self._start_timer(self._bounds.header_seconds, self._end_head)
        self._note()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._note()

    def resume_writing(self) -> None:
        """It has read on."""
        super().resume_writing()
        self._note()

    def shutdown(self) -> None:
        """End as soon as there is nothing to answer."""
        if self._refused:
            self.transport.close()
        else:
            super().shutdown()

    # ---------------------------------------------------------------- from the answer

    def on_response_complete(self) -> None:
        """Wait for the next request, or see that the connection ends."""
        self._unsent = 0
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_timer(self._bounds.keep_alive_seconds, self.timeout_keep_alive_handler)
        elif self._answered() and self.conn.their_state is h11.SEND_BODY:
            self._draining = True
            self._start_timer(self._bounds.drain_seconds, self.drop)
        self._note()

    def timeout_keep_alive_handler(self) -> None:
        """Close, when the client has read its answer or has stopped reading."""
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent != self._unsent:
            self._unsent = unsent
            self._start_timer(self._bounds.keep_alive_seconds, self.timeout_keep_alive_handler)
        elif unsent:
            self.drop()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when h11 cannot read on."""
        self._refuse(_error(self.conn.fault, self._bounds))

    def _should_upgrade(self) -> bool:
        return False

    # ---------------------------------------------------------------- bounds

    def drop(self) -> None:
        """Close at once, to make room."""
        self.transport.abort()

    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _note(self) -> None:
        """Say whether it waits for its client, or is being answered as fast as that can read."""
        if self not in self.connections:
            return  # it is closed
        answered = self._answered()
        if answered:
            unfinished = self.conn.their_state is h11.IDLE
        else:
            self._draining = False
            unfinished = self.cycle.more_body
        if not unfinished:
            self._request_bytes = 0
        if answered or unfinished or self.flow.write_paused or self._refused:
            held = self._request_bytes + self.transport.get_write_buffer_size()
            self._waiting.add(self, held)
        else:
            self._waiting.remove(self)

    def _end_head(self) -> None:
        """A connection on which nothing has come is closed without a word."""
        begun, _ = self.conn.trailing_data
        if begun:
            self._refuse(_too_slow(self._bounds))
        else:
            self._close()

    def _refuse(self, error: Exception) -> None:
        """Answer without the application, if an answer can still be given, and close."""
        self._refused = True
        self._unset_keepalive_if_required()
        begun = self._abandon()
        if begun or self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self._close()
            return
        self.transport.write(self._response(error))
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._start_timer(LINGER_SECONDS, self.drop)

    def _close(self) -> None:
        """Let the client have what was answered, unless it has stopped reading."""
        self.transport.close()
        self._start_timer(self._bounds.keep_alive_seconds, self.drop)

    def _abandon(self) -> bool:
        """Tell a request in progress that its client is gone; True if its answer has begun."""
        if self._answered():
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return self.cycle.response_started

    def _response(self, error: Exception) -> bytes:
        request_id = uuid.uuid4().hex
        errors: ErrorRenderers = self.app_state.get("errors", _DEFAULT_ERRORS)
        answer = errors.render(self.conn.path(), error, request_id)
        self._count(answer.status_code, request_id)
        headers = [
            *self.server_state.default_headers,
            *answer.raw_headers,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        status, reason = answer.status_code, STATUS_PHRASES[answer.status_code]
        start = h11.Response(status_code=status, headers=headers, reason=reason)
        events = (start, h11.Data(data=bytes(answer.body)), h11.EndOfMessage())
        return b"".join(self.conn.send(event) for event in events)

    def _count(self, status: int, request_id: str) -> None:
        """Count and log what the application's own log never sees."""
        traffic: Counter[tuple[str, int]] = self.app_state.get("traffic", Counter())
        traffic["other", status] += 1
        log.info("a connection was refused: %d %s", status, request_id)

    def _start_timer(self, seconds: float, done: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, done)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _error(fault: h11.RemoteProtocolError | None, bounds: ConnectionBounds) -> Exception:
    match fault.error_status_hint if fault else 400:
        case 431:
            detail = f"The headers are larger than {bounds.header_bytes} bytes (MAX_HEADER_BYTES)."
            return HTTPException(431, detail)
        case 501:
            return HTTPException(501, "Send the body as it is, or in chunks: no other coding.")
        case 505:
            return HTTPException(505, "This server speaks HTTP/1.1.")
    return MalformedRequest("What was sent is not a request in HTTP/1.1.")


def _too_slow(bounds: ConnectionBounds) -> Exception:
    seconds = f"{bounds.header_seconds:g} s (HEADER_TIMEOUT_SECONDS)"
    return HTTPException(408, f"The headers did not come within {seconds}.")


def protocol(bounds: ConnectionBounds) -> Callable[..., BoundedProtocol]:
    """What uvicorn makes of each connection of one server."""
    return partial(BoundedProtocol, bounds=bounds, waiting=Waiting(bounds.held_bytes))
