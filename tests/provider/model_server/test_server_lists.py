"""Models that another server lists, where a model server owns the loaded ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.model_server.config import ServerConfig
from app.provider.errors import EngineUnavailable, ModelNotFound
from app.provider.pool import server_lists
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.types import ModelRef
from tests.provider.asking import STARTERS, collect, prompt
from tests.provider.model_server.processes import ECHO, connected, server_config
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


@pytest.mark.matrix
async def test_a_list_that_cannot_be_had_is_no_reason_to_say_that_there_is_no_model(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    for folder in (models, tmp_path / "other"):
        folder.mkdir()
    config = server_config(models, echo=False)
    with own_server(tmp_path / "other") as other:
        declare(models, "box", other.url, models="all")
        model = await listed(config, "echo")
    async with connected(config) as runtime:
        with pytest.raises(EngineUnavailable, match="The server box cannot be reached"):
            await collect(runtime.host.stream(model, prompt("a b c")))


async def test_a_list_that_has_grown_since_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_lists, "RETRY_SECONDS", 0.0)
    models, other_models = tmp_path / "models", tmp_path / "other"
    for folder in (models, other_models):
        folder.mkdir()
    config = server_config(models, echo=False)
    with own_server(other_models) as other:
        declare(models, "box", other.url, models="all")
        catalogue = ModelCatalogue(config.pool)
        await until_listed(catalogue)
        (other_models / "new.gguf").symlink_to(STARTERS["gguf"])
        model = await listed(config, "new")
        assert (await catalogue.resolve(model)).id == "new"


async def test_a_list_that_is_declared_no_more_is_in_nobodys_way(tmp_path: Path) -> None:
    declare(tmp_path, "box", "http://127.0.0.1:9", models="all")
    catalogue = ModelCatalogue(server_config(tmp_path, echo=False).pool)
    catalogue.scan()
    with pytest.raises(EngineUnavailable):
        await catalogue.resolve(ECHO)
    (tmp_path / "box.upstream.json").unlink()
    catalogue.scan()
    with pytest.raises(ModelNotFound):
        await catalogue.resolve(ECHO)


async def listed(config: ServerConfig, name: str) -> ModelRef:
    """The model of that name, as soon as its server lists it."""
    async with asyncio.timeout(60):
        while True:
            catalogue = ModelCatalogue(config.pool)
            await until_listed(catalogue)
            if found := catalogue.named(name):
                return found[0].ref


async def until_listed(catalogue: ModelCatalogue) -> None:
    """Scan until the other server's list has come."""
    async with asyncio.timeout(60):
        while not catalogue.named("echo"):
            await asyncio.to_thread(catalogue.scan)
