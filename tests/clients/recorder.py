"""A proxy before a server, which keeps what a client sends."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

OWN = {"host", "connection", "content-length", "transfer-encoding", "date", "server"}
"""Headers of one connection: the next one has its own."""
KEPT = {"authorization", "content-type", "accept"}
"""Headers that are recorded."""
Requests = list[dict[str, Any]]


class Recorder:
    """Hands requests on to a server, and lists them in ``requests``; keys are left out."""

    def __init__(self, address: str) -> None:
        self.requests: Requests = []
        self._address = address
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        self.app = Starlette(routes=[Route("/{path:path}", self._handed_on, methods=methods)])

    async def _handed_on(self, request: Request) -> StreamingResponse:
        body = await request.body()
        self.requests.append(_recorded(request, body))
        client = httpx.AsyncClient(base_url=self._address, timeout=300)
        headers = [(name, value) for name, value in request.headers.items() if name not in OWN]
        url = str(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        sent = client.build_request(request.method, url, headers=headers, content=body)
        answer = await client.send(sent, stream=True)
        kept = {name: value for name, value in answer.headers.items() if name not in OWN}
        return StreamingResponse(_pieces(client, answer), answer.status_code, kept)


async def _pieces(client: httpx.AsyncClient, answer: httpx.Response) -> AsyncIterator[bytes]:
    """The answer as it comes; whoever hangs up here hangs up on the server too."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
        await client.aclose()


def _recorded(request: Request, body: bytes) -> dict[str, Any]:
    headers = {name: value for name, value in request.headers.items() if name in KEPT}
    if "authorization" in headers:
        headers["authorization"] = "Bearer none"
    kept: dict[str, Any] = {"method": request.method, "path": request.url.path, "headers": headers}
    if body:
        kept["body"] = json.loads(body)
    return kept


@contextmanager
def recording(address: str, port: int = 0) -> Iterator[tuple[str, Requests]]:
    """The address of a recorder before that server, and what it has recorded so far."""
    recorder = Recorder(address)
    config = uvicorn.Config(recorder.app, port=port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the recorder did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", recorder.requests
    finally:
        server.should_exit = True
        thread.join()
