"""A model of a model server, asked as tests ask an ``EngineHost``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.model_server.shared_runtime import SharedRuntime
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.runtime.status import HostStatus
from app.provider.types import Event, Progress, Prompt, Size, Tokens
from tests.provider.asking import STARTERS
from tests.provider.model_server.processes import server_config

MODELS = {"echo": "echo", "gguf": "starter"}


class SharedHost:
    """The model that ``engine`` runs, in a model server of its own."""

    def __init__(self, engine: str, models: Path) -> None:
        if engine != "echo":
            (models / STARTERS[engine].name).symlink_to(STARTERS[engine])
        self._patch = pytest.MonkeyPatch()
        self._folder = tempfile.mkdtemp(prefix="ms-")
        self._patch.setenv("XDG_RUNTIME_DIR", self._folder)
        config = server_config(models, linger=0.0)
        self._model = next(
            card.ref for card in ModelCatalogue(config.pool).scan() if card.id == MODELS[engine]
        )
        self._runtime = SharedRuntime(config)

    def stream(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        return self._runtime.host.stream(self._model, prompt)

    def measure(self, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        return self._runtime.host.measure(self._model, prompt)

    def tokenize(
        self, prompt: Prompt, *, special: bool = True
    ) -> AsyncGenerator[Progress | Tokens, None]:
        return self._runtime.host.tokenize(self._model, prompt, special=special)

    def status(self) -> HostStatus:
        return self._runtime.host.snapshot().statuses[self._model.id]

    async def stop(self) -> None:
        await self._runtime.close()
        self._patch.undo()
        shutil.rmtree(self._folder, ignore_errors=True)
