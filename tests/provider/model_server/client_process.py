"""A client in a process of its own: ``python -m … CONFIG COUNT`` asks the echo COUNT times.

It prints "asked" when it is connected and has asked, and waits for the answers.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from pathlib import Path

from app.model_server.config import ServerConfig, decode, encode
from tests.provider.asking import collect, prompt
from tests.provider.model_server.processes import ECHO, connected

NUMBERS = itertools.count()


async def ask(config: ServerConfig, count: int) -> None:
    async with connected(config) as runtime:
        asked = [
            asyncio.create_task(collect(runtime.host.stream(ECHO, prompt("one two"))))
            for _ in range(count)
        ]
        await asyncio.sleep(0)
        print("asked", flush=True)  # noqa: T201
        await asyncio.gather(*asked)


def start(config: ServerConfig, folder: Path, count: int) -> subprocess.Popen[bytes]:
    """Start such a client and wait until it has asked."""
    file = folder / f"config-{next(NUMBERS)}"
    file.write_bytes(encode(config))
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(file), str(count)], stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"asked\n"
    process.stdout.close()
    return process


if __name__ == "__main__":
    asyncio.run(ask(decode(Path(sys.argv[1]).read_bytes()), int(sys.argv[2])))
