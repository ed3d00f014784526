"""A server with the settings of the environment: ``python -m …serving FILE [SOCKET]``.

It writes its address into the file once it listens, on a TCP port or on a unix socket.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import uvicorn

from app.config import Settings
from app.main import create_app
from app.web.bounds import raise_descriptor_limit
from app.web.server import uvicorn_config


async def main(where: Path, socket: str) -> None:
    settings = Settings(_env_file=None)
    bounds = settings.connections(raise_descriptor_limit())
    place = {"uds": socket} if socket else {"host": "127.0.0.1", "port": 0}
    app = create_app(settings, bounded=True)
    config = uvicorn_config(app, bounds, log_config=None, timeout_graceful_shutdown=2, **place)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        port = 0 if socket else server.servers[0].sockets[0].getsockname()[1]
        temporary = where.with_suffix(".new")
        temporary.write_text("http://localhost" if socket else f"http://127.0.0.1:{port}")
        os.replace(temporary, where)
    await serving


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
