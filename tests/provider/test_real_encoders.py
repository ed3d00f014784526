"""Real encoders, all-MiniLM-L6-v2 twice: listed with the truth, and refused without a pooling."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.provider.card import EncoderFacts
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


def test_an_encoder_is_listed_with_what_it_makes(models: Path) -> None:
    safetensors, onnx, _ = scan(models)
    assert (safetensors.id, safetensors.format, safetensors.architecture) == (
        "A-MiniLM",
        "hf",
        "bert",
    )
    assert (onnx.id, onnx.format, onnx.architecture) == ("A-MiniLM-onnx", "onnx", "bert")
    assert (safetensors.kind, safetensors.context_length) == ("embedding", 256)
    assert safetensors.encoder == EncoderFacts(384, "mean")
    assert (onnx.kind, onnx.quantization) == ("embedding", "8-bit")
    for card in (safetensors, onnx):
        assert 22_000_000 < card.parameters < 23_000_000


async def test_a_graph_without_a_pooling_is_not_loaded(models: Path) -> None:
    pool = ModelPool(PoolConfig(models, limits=EngineLimits(threads=1)))
    with pytest.raises(ModelNotLoadable, match="do not say how the vectors of its tokens"):
        async for _ in pool.load("A-MiniLM-onnx"):
            pass
    assert pool.health() == {}
    await pool.close()
