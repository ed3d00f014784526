"""Which model encodes: the one that is named, that of a setting, or the first of its kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.encoding.errors import NoEncoder, TooManyDimensions
from app.encoding.model_choice import find_encoder, require_dimensions
from app.provider.card import Kind
from app.provider.errors import ModelNotFound, UnsupportedInput
from app.provider.pool.pool import ModelPool, PoolConfig


@asynccontextmanager
async def pool(folder: Path, *, echo: bool = True, **names: str) -> AsyncIterator[ModelPool]:
    kinds: dict[str, Kind] = {
        "embedding": "embedding",
        "rerank": "rerank",
        "vision": "vision",
        "multimodal": "multimodal",
    }
    chosen = {kinds[kind]: name for kind, name in names.items()}
    found = ModelPool(PoolConfig(models_dir=folder, echo=echo, default_names=chosen))
    try:
        yield found
    finally:
        await found.close()


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("embedding", "echo-embed"),
        ("rerank", "echo-rerank"),
        ("vision", "echo-clip"),
        ("multimodal", "echo-clip"),
    ],
)
async def test_each_kind_has_its_default(tmp_path: Path, kind: Kind, model: str) -> None:
    async with pool(tmp_path) as models:
        assert (await find_encoder(models, None, kind)).id == model
        assert (await find_encoder(models, model, kind)).id == model


async def test_a_setting_names_another(tmp_path: Path) -> None:
    async with pool(tmp_path, rerank="echo-embed", embedding="echo-clip") as models:
        assert (await find_encoder(models, None, "rerank")).id == "echo-embed"
        assert (await find_encoder(models, None, "embedding")).id == "echo-clip"
        assert (await find_encoder(models, "echo-rerank", "rerank")).id == "echo-rerank"


async def test_a_setting_for_the_kind_that_stands_in_counts_too(tmp_path: Path) -> None:
    async with pool(tmp_path, multimodal="gone") as models:
        with pytest.raises(ModelNotFound, match="gone"):
            await find_encoder(models, None, "vision")
        assert models.broken_defaults().keys() == {"gone"}


async def test_without_a_model_of_the_kind_there_is_none(tmp_path: Path) -> None:
    async with pool(tmp_path, echo=False) as models:
        with pytest.raises(NoEncoder, match="the kind rerank"):
            await find_encoder(models, None, "rerank")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("echo", "embedding"),
        ("echo-vision", "vision"),
        ("echo-rerank", "embedding"),
        ("echo-embed", "vision"),
        ("echo-embed", "multimodal"),
        ("echo-clip", "rerank"),
    ],
)
async def test_a_model_that_does_other_things_is_refused(
    tmp_path: Path, model: str, kind: Kind
) -> None:
    async with pool(tmp_path) as models:
        with pytest.raises(UnsupportedInput, match=f"{model} .*; it can: "):
            await find_encoder(models, model, kind)


async def test_vectors_are_cut_and_never_made_longer(tmp_path: Path) -> None:
    async with pool(tmp_path) as models:
        card = await find_encoder(models, None, "embedding")
        for asked in (None, 1, 128):
            require_dimensions(card, asked)
        with pytest.raises(TooManyDimensions, match="have 128 dimensions: 129"):
            require_dimensions(card, 129)
