"""Starts vLLM for a model, and passes jobs on to it as to any other server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from app.provider.engine import EngineSpec
from app.provider.engines.upstream.engine import UpstreamEngine, connect
from app.provider.engines.vllm.server import VllmServer
from app.provider.remote import RemoteModel
from app.provider.types import Event, Job, Prompt, Size, Tokens


class VllmEngine:
    """Implements ``AsyncEngine`` with a server of its own."""

    def __init__(self, server: VllmServer, engine: UpstreamEngine) -> None:
        self.info = engine.info
        self._server = server
        self._engine = engine

    def run(self, task: Job) -> AsyncGenerator[Event, None]:
        """Do a job."""
        return self._engine.run(task)

    async def count(self, prompt: Prompt) -> Size:
        """Count the tokens of a prompt."""
        return await self._engine.count(prompt)

    async def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a text."""
        return await self._engine.tokenize(prompt, special=special)

    async def wait_for_failure(self) -> str:
        """Wait until vLLM has ended or does not work any more; returns why."""
        return await self._server.wait_for_failure()

    async def close(self) -> None:
        """Close the connections and end vLLM with all its processes."""
        await self._engine.close()
        await self._server.close()


async def build(spec: EngineSpec, progress: Callable[[int], None]) -> VllmEngine:
    """Start vLLM and wait until it is ready; raises ModelNotLoadable."""
    server = await VllmServer.start(spec)
    try:
        await server.wait_until_ready(progress)
        return VllmEngine(server, await connect(_remote(spec, server), spec.limits, progress))
    except BaseException:
        await server.close()
        raise


def _remote(spec: EngineSpec, server: VllmServer) -> RemoteModel:
    """The server as the engine of other servers knows it."""
    name = Path(spec.path).absolute().name
    return RemoteModel(
        server=f"of {name}",
        base_url="http://localhost/v1",
        model=name,
        kind="vllm",
        unix_socket=str(server.unix_socket),
        key=server.key,
        slots=spec.limits.slots,
    )
