"""Runs hub listings and downloads in a child process, which can be killed at any time."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.provider.hub.errors import HubError, HubUnreachable
from app.provider.hub.names import Hubs, ModelReference
from app.provider.hub.plan import Plan
from app.provider.runtime import child_process

_LONGEST_LINE = 2**24
"""Bytes; a plan names every file of a model."""

_KINDS: dict[str, type[HubError]] = {kind.__name__: kind for kind in HubError.__subclasses__()}


async def find(hubs: Hubs, wanted: ModelReference, models_dir: Path, seconds: float) -> Plan:
    """Ask the hub for the wanted model, and check that it fits onto the disk.

    Raises NotOnHub, NotAllowed, HubUnreachable, NameTaken or NoSpace.
    """
    request = {"wanted": asdict(wanted), "plan": None}
    try:
        async with (
            asyncio.timeout(seconds),
            aclosing(_messages(hubs, models_dir, request)) as lines,
        ):
            async for line in lines:
                return Plan.of(line["plan"])
    except TimeoutError as error:
        raise HubUnreachable(
            f"{hubs.endpoint(wanted.hub)} did not say what it has within {seconds:.0f} seconds."
        ) from error
    raise HubError("The process that asks the hub ended without an answer.")


async def fetch(hubs: Hubs, plan: Plan, models_dir: Path) -> AsyncGenerator[int, None]:
    """Download the plan and yield the bytes that have arrived; ends when the model is installed.

    Closing the generator stops the download and keeps what has arrived. Raises any HubError.
    """
    request = {"wanted": None, "plan": plan.values()}
    async with aclosing(_messages(hubs, models_dir, request)) as lines:
        async for line in lines:
            yield line["arrived"]
    if not (models_dir / plan.name).exists():
        raise HubError("The process that downloads ended before it was done: try again.")


async def _messages(
    hubs: Hubs, models_dir: Path, request: dict[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    """Start the process and yield its messages; raises the HubError that it reports."""
    started = await child_process.start("app.provider.hub", os.environ, longest=_LONGEST_LINE)
    try:
        given = {**request, "hubs": asdict(hubs), "models_dir": str(models_dir)}
        started.writer.write(json.dumps(given).encode() + b"\n")
        while line := await _line(started.reader):
            message = json.loads(line)
            if "problem" in message:
                kind, sentence = message["problem"]
                raise _KINDS.get(kind, HubError)(sentence)
            yield message
    finally:
        started.popen.kill()
        started.writer.close()
        await asyncio.shield(asyncio.to_thread(started.popen.wait))


async def _line(reader: asyncio.StreamReader) -> bytes:
    with suppress(ConnectionError):
        return await reader.readline()
    return b""
