"""Models that another server lists, where a model server owns the loaded ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.model_server.config import ServerConfig
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.types import ModelRef
from tests.provider.asking import collect, prompt
from tests.provider.model_server.processes import connected, server_config
from tests.provider.upstream.servers import declare, own_server


async def test_a_server_that_has_just_been_started_waits_for_the_list(tmp_path: Path) -> None:
    """It is asked for a model that its client has seen in a list, and has no list of its own."""
    models = tmp_path / "models"
    for folder in (models, tmp_path / "other"):
        folder.mkdir()
    with own_server(tmp_path / "other") as other:
        declare(models, "box", other.url, models="all")
        config = server_config(models, echo=False)
        model = await listed(config, "echo")
        async with connected(config) as runtime:
            reply = await collect(runtime.host.stream(model, prompt("a b c")))
    assert reply.text == "a b c"


async def listed(config: ServerConfig, name: str) -> ModelRef:
    """The model of that name, as soon as its server has been asked."""
    catalogue = ModelCatalogue(config.pool)
    async with asyncio.timeout(60):
        while not (found := [card for card in catalogue.cards if card.id == name]):
            await asyncio.to_thread(catalogue.scan)
    return found[0].ref
