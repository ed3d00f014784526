"""Real encoders, all-MiniLM-L6-v2 twice: listed with the truth, never loaded, no default."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.provider.catalogue.scan import scan
from app.provider.engine import EngineLimits
from app.provider.errors import ModelNotLoadable
from app.provider.pool.pool import ModelPool, PoolConfig
from tests.provider.real_models import MINILM, MINILM_ONNX, SMOLLM2, file_of_package, real_model

SETTINGS = ("config.json", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, whose names come before that of a model that chats."""
    models = tmp_path_factory.mktemp("models")
    minilm = real_model(MINILM)
    (models / "A-MiniLM").symlink_to(minilm)
    (models / "A-MiniLM-onnx").mkdir()
    for name in SETTINGS:
        shutil.copy(minilm / name, models / "A-MiniLM-onnx")
    (models / "A-MiniLM-onnx" / "model.onnx").symlink_to(file_of_package(*MINILM_ONNX))
    (models / "smollm2.gguf").symlink_to(real_model(SMOLLM2))
    return models


def test_an_encoder_is_listed_with_what_it_is_and_why_it_is_of_no_use(models: Path) -> None:
    safetensors, onnx, _ = scan(models)
    assert (safetensors.id, safetensors.format, safetensors.architecture) == (
        "A-MiniLM",
        "hf",
        "bert",
    )
    assert (onnx.id, onnx.format, onnx.architecture) == ("A-MiniLM-onnx", "onnx", "bert")
    assert 22_000_000 < safetensors.parameters < 23_000_000
    for card in (safetensors, onnx):
        assert (card.kind, card.context_length) == ("embedding", 512)
        assert card.problem == "It makes embeddings; no engine here serves these yet."


@pytest.mark.parametrize("name", ["A-MiniLM", "A-MiniLM-onnx"])
async def test_an_encoder_is_not_loaded(models: Path, name: str) -> None:
    pool = ModelPool(PoolConfig(models, limits=EngineLimits(threads=1)))
    with pytest.raises(ModelNotLoadable, match="makes embeddings"):
        async for _ in pool.load(name):
            pass
    assert pool.health() == {}
    await pool.close()
