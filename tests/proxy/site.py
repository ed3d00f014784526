"""Two servers on one PostgreSQL database behind nginx, and what to ask them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.http.chatting import CHAT
from tests.proxy import nginx
from tests.store.servers import Server
from tests.suspending import standing_still


@dataclass(frozen=True)
class Site:
    """What runs: clients know the proxy alone."""

    client: httpx.Client
    servers: tuple[Server, Server]
    database_url: str

    def engines(self) -> list[psutil.Process]:
        """Those of both servers."""
        return [engine for server in self.servers for engine in _engines_of(server)]

    def standing_still(self) -> AbstractContextManager[None]:
        """No engine does anything within the context."""
        return standing_still(*self.engines())

    def kill_the_busy_one(self) -> None:
        """Of the two that run; its engines, which may stand still, would outlive it."""
        busy = self.servers[self.wait_until(0, 1).index(1)]
        engines = _engines_of(busy)
        busy.kill()
        for engine in engines:
            engine.kill()

    @property
    def is_whole(self) -> bool:
        """Whether both servers run."""
        return all(server.is_running for server in self.servers)

    def load(self) -> list[int]:
        """Requests that the engine of each server has, or will have."""
        found = [server.asked("/health").json()["models"]["echo"] for server in self.servers]
        return [model["active"] + model["waiting"] for model in found]

    def wait_until(self, *wanted: int) -> list[int]:
        """Until the servers, in any order, have so many requests."""
        deadline = time.monotonic() + 60
        while sorted(found := self.load()) != sorted(wanted):
            assert time.monotonic() < deadline, f"requests {found}, wanted {wanted}"
            time.sleep(0.02)
        return found

    @contextmanager
    def asking(self, route: str, **request: Any) -> Iterator[socket.socket]:
        """Send a request through the proxy; what happens to the answer is the caller's business."""
        built = self.client.build_request("POST", route, **request)
        head = "".join(f"{name}: {value}\r\n" for name, value in built.headers.items())
        address = self.client.base_url.host, self.client.base_url.port or 80
        with socket.create_connection(address, timeout=60) as raw:
            raw.sendall(f"POST {route} HTTP/1.1\r\n{head}\r\n".encode() + built.read())
            yield raw


def _engines_of(server: Server) -> list[psutil.Process]:
    return [one for one in server.engines() if "app.provider" in " ".join(one.cmdline())]


@contextmanager
def running(database_url: str, folders: list[Path], **settings: str) -> Iterator[Site]:
    """Start both servers at once on an empty database, and nginx before them."""
    *ports, own = nginx.free_ports(3)
    pairs = zip(folders, ports, strict=True)
    servers = [Server(database_url, folder, PORT=str(port), **settings) for folder, port in pairs]
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
        with ThreadPoolExecutor(len(servers)) as threads:
            list(threads.map(Server.start, servers))
        address = stack.enter_context(nginx.before(ports, own))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=60))
        site = Site(client, (servers[0], servers[1]), database_url)
        for server in servers:
            load_engine(server)
        yield site


def load_engine(server: Server) -> None:
    """Have the model loaded, so that there is an engine to be suspended."""
    server.open()
    answer = httpx.post(f"{server.address()}{CHAT}", json={"message": "hi"}, timeout=60)
    assert answer.is_success, answer.text


def of_size(size: int, **body: Any) -> bytes:
    """A JSON body of exactly so many bytes."""
    bare = json.dumps(body).encode()
    return bare + b" " * (size - len(bare))
