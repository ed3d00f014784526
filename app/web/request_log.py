"""Logging: one line per request, which never holds a word of a question or an answer."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.allow_header import METHODS
from app.web.error_rendering import ErrorRenderers

log = logging.getLogger(__name__)

Traffic = Counter[tuple[str, int]]
"""How many requests there were, by method and status (0: none was sent)."""

_OWN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """ASGI middleware: gives each request an id, sends it as X-Request-ID, logs the outcome.

    It counts them in ``traffic``, and is the last to handle an error: one that nobody expected
    is answered with 500.
    """

    def __init__(self, app: ASGIApp, traffic: Traffic, errors: ErrorRenderers) -> None:
        self.app = app
        self._traffic = traffic
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; a client may choose the id by sending the header itself."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request_id = scope.setdefault("state", {})["request_id"] = _request_id(scope)
        began = time.perf_counter()
        sending = Sending(send, request_id)
        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            log.exception("request %s failed", request_id)
            if sending.status:
                raise  # too late to say so: the server cuts the connection
            answer = self._errors.render(scope["path"], error, request_id)
            await answer(scope, receive, sending)
        finally:
            milliseconds = 1000 * (time.perf_counter() - began)
            self._traffic[_method(scope), sending.status] += 1
            outcome = scope["method"], scope["path"], sending.status, milliseconds, request_id
            log.info("%s %r %d %.1f ms %s", *outcome)


class Sending:
    """A ``send`` that adds the request's id, and remembers the status (0: nothing sent yet)."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode())
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Pass the message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], self._header]
        await self._send(message)


def _method(scope: Scope) -> str:
    """One of the few there are: a client may make up any number of others."""
    method: str = scope["method"]
    return method if method in {*METHODS, "HEAD", "OPTIONS"} else "other"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _OWN_ID.fullmatch(value):
            return bytes(value).decode()
    return uuid.uuid4().hex
