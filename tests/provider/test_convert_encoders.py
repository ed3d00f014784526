"""``./run.sh convert FOLDER --to onnx`` for encoders: compared with PyTorch before it appears."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from app.provider.catalogue.scan import card_at
from app.provider.conversion import convert as module
from app.provider.conversion.convert import Bits, CannotConvert, Conversion, Dtype, Target, convert
from app.provider.encoding.folders.folder import read_encoder_settings
from app.provider.encoding.outputs.vectors import normalize
from app.provider.engine import EngineLimits
from app.provider.errors import ModelNotLoadable
from tests.encoders.checkpoints import FAMILIES, reference, write_checkpoint
from tests.encoders.encoding import encoded, loaded, scored
from tests.encoders.inputs import PAIRS, TEXTS
from tests.encoders.minilm import INPUTS, copy_folder, vectors
from tests.encoders.onnx_graphs import DATA, write_onnx_folder
from tests.encoders.pairs import ENGLISH
from tests.provider.real_models import MINILM, real_model

LIMITS = EngineLimits(threads=1)

needs_builder = pytest.mark.skipif(bool(module.missing("onnx")), reason="needs onnx-builder")


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize(
    ("target", "bits", "dtype", "reason"),
    [
        ("mlx", None, None, "use --to onnx"),
        ("onnx", 4, None, "Four bits are too few"),
        ("onnx", None, "float16", "leave --dtype out"),
    ],
)
def test_what_makes_no_encoder_is_refused(
    tmp_path: Path, target: Target, bits: Bits | None, dtype: Dtype | None, reason: str
) -> None:
    source = write_checkpoint("bert-mean", tmp_path / "source")
    with pytest.raises(CannotConvert, match=reason):
        convert(Conversion(source, target, bits, dtype), tmp_path, LIMITS)
    assert visible(tmp_path) == ["source"]


@needs_builder
@pytest.mark.matrix
def test_the_real_minilm(tmp_path: Path) -> None:
    source = copy_folder(real_model(MINILM), tmp_path / "source")
    made = convert(Conversion(source, "onnx", name="minilm"), tmp_path, LIMITS)
    card = card_at(made)
    assert card
    assert (card.engine, card.kind, card.problem) == ("onnx", "embedding", None)
    assert card.encoder
    assert (card.encoder.dimensions, card.encoder.pooling, card.context_length) == (
        384,
        "mean",
        256,
    )
    engine = loaded("onnx", made)
    found = encoded(engine, INPUTS, truncate=True)
    np.testing.assert_allclose(found, vectors(), rtol=0, atol=1e-5)
    questions, passages = (encoded(engine, texts) for texts in zip(*ENGLISH, strict=True))
    nearest = (questions @ passages.T).argmax(axis=1)
    assert (nearest == np.arange(len(ENGLISH))).mean() >= 0.95


@needs_builder
@pytest.mark.matrix
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "siglip2-naflex"])
def test_every_family(name: str, tmp_path: Path) -> None:
    """Under a name that says nothing of the model, which was renamed or converted by others."""
    source = write_checkpoint(name, tmp_path / name)
    made = convert(Conversion(source, "onnx", name="made"), tmp_path, LIMITS)
    card = card_at(made)
    assert card
    assert (card.engine, card.kind, card.problem) == ("onnx", FAMILIES[name].kind, None)
    expected, engine = reference(name), loaded("onnx", made)
    if card.kind == "rerank":
        found = scored(engine, PAIRS, raw_scores=True)
        np.testing.assert_allclose(found, expected["logits"].ravel()[: len(PAIRS)], atol=1e-5)
    elif "texts" in expected:
        texts = normalize(expected["texts"].astype(np.float32))[: len(TEXTS)]
        np.testing.assert_allclose(encoded(engine, TEXTS), texts, rtol=0, atol=1e-5)
    if card.kind == "multimodal":
        assert card.encoder
        assert card.encoder.scale == pytest.approx(np.exp(2.3), rel=1e-5)


@needs_builder
@pytest.mark.matrix
def test_eight_bits(tmp_path: Path) -> None:
    source = write_checkpoint("bert-mean", tmp_path / "source")
    made = convert(Conversion(source, "onnx", 8), tmp_path, LIMITS)
    assert made.name == "source-onnx-8bit"
    graphs = list((made / "onnx").iterdir())
    assert [graph.name for graph in graphs] == ["model_quantized.onnx"]
    assert graphs[0].stat().st_size < (source / "model.safetensors").stat().st_size / 2
    found = encoded(loaded("onnx", made), TEXTS)
    cosines = np.einsum("ij,ij->i", found, normalize(reference("bert-mean")["texts"]))
    assert 0.98 < cosines.min() < 1


@needs_builder
@pytest.mark.matrix
def test_what_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    source = write_checkpoint("siglip2-naflex", tmp_path / "source")
    with pytest.raises(CannotConvert, match="changing sizes"):
        convert(Conversion(source, "onnx"), tmp_path, LIMITS)
    assert visible(tmp_path) == ["source"]


@needs_builder
@pytest.mark.matrix
def test_a_graph_that_computes_something_else_is_found_out(tmp_path: Path) -> None:
    parity = importlib.import_module("app.provider.conversion.encoder_parity")
    source = write_checkpoint("bert-mean", tmp_path / "source")
    made = write_onnx_folder("bert-mean", tmp_path / "made")
    settings = read_encoder_settings(source)
    parity.check_parity(settings, made, 0)
    data = made / "onnx" / DATA
    content = bytearray(data.read_bytes())
    content[-80000:-40000] = bytes(40000)
    data.write_bytes(content)
    with pytest.raises(ModelNotLoadable, match="computes other numbers than PyTorch"):
        parity.check_parity(settings, made, 0)
