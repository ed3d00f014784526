"""Where requests of the OpenAI dialect go: to a server, or to models in this program."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator, Mapping
from functools import cache
from typing import Any, Protocol

Body = Mapping[str, Any]
"""A JSON object."""

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"


class Backend(Protocol):
    """Answers bodies of the OpenAI dialect. Every method raises SLLMError.

    Methods may be called from any thread and any event loop.
    """

    def post(self, path: str, body: Body) -> dict[str, Any]:
        """The whole answer."""

    def stream(self, path: str, body: Body) -> Generator[dict[str, Any], None, None]:
        """The chunks of an answer as they come; closing it stops the model."""

    async def apost(self, path: str, body: Body) -> dict[str, Any]:
        """The whole answer; cancelling stops the model."""

    def astream(self, path: str, body: Body) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of an answer as they come; closing it stops the model."""


def backend(
    base_url: str | None, api_key: str | None, timeout: float | None, retries: int
) -> Backend:
    """The server at ``base_url``, or without one the models in this program."""
    if base_url is None:
        from app.client.in_process import shared  # noqa: PLC0415 — loads the engines' libraries

        return shared()
    return _server(os.getpid(), base_url, api_key, timeout, retries)


@cache
def _server(
    process: int, base_url: str, api_key: str | None, timeout: float | None, retries: int
) -> Backend:
    """One for all that ask alike: it keeps connections. A forked process needs its own."""
    from app.client.http import HttpBackend  # noqa: PLC0415 — httpx is not needed without a server

    return HttpBackend(base_url, api_key, timeout, retries)
