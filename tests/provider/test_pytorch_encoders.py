"""Encoders on PyTorch compute what transformers and sentence-transformers compute of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pytorch: torch is not installed")
pytest.importorskip("transformers", reason="pytorch: transformers is not installed")

from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.vectors import normalize_layer
from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.engines.pytorch.engine import build
from app.provider.errors import InputTooLong, ModelNotLoadable, UnsupportedInput
from app.provider.types import Encode, PairPart, TextPart
from tests.encoders.asking import (
    LONG_PAIRS,
    LONG_PART,
    PAIR_PARTS,
    TEXT_PARTS,
    apart,
    encode,
    encode_jobs,
    image_parts,
    unit,
)
from tests.encoders.checkpoints import FAMILIES, reference, weights, write_checkpoint, write_weights

NEAR = 1e-5
"""Ten times nearer than promised: the same arithmetic in another order of the batch."""

EMBEDDERS = [name for name, family in FAMILIES.items() if family.kind == "embedding"]
RERANKERS = [name for name, family in FAMILIES.items() if family.kind == "rerank"]
IMAGES = [name for name, family in FAMILIES.items() if family.kind in {"vision", "multimodal"}]
PAIRED = [name for name, family in FAMILIES.items() if family.kind == "multimodal"]

Built = Callable[[str], EncoderEngine]


def engine_of(folder: Path, **limits: Any) -> EncoderEngine:
    spec = EngineSpec(ENGINES["pytorch"], str(folder), EngineLimits(**limits))
    engine = build(spec, lambda percent: None)
    assert isinstance(engine, EncoderEngine)
    return engine


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The engine of a family, built once."""
    engines: dict[str, EncoderEngine] = {}
    folder = tmp_path_factory.mktemp("encoders")

    def engine(name: str) -> EncoderEngine:
        if name not in engines:
            engines[name] = engine_of(write_checkpoint(name, folder / name))
        return engines[name]

    return engine


def prompts(name: str) -> dict[str, str]:
    stated = FAMILIES[name].files["config_sentence_transformers.json"]["prompts"]
    return {prompt: stated[prompt] for prompt in FAMILIES[name].prompts}


# ------------------------------------------------------------------ the same numbers


@pytest.mark.parametrize("name", EMBEDDERS)
def test_texts_get_the_vectors_of_sentence_transformers(name: str, built: Built) -> None:
    engine, expected = built(name), reference(name)
    assert apart(encode(engine, *TEXT_PARTS), unit(expected["texts"])) < NEAR
    for prompt, text in prompts(name).items() if FAMILIES[name].prompts else ():
        found = encode(engine, *TEXT_PARTS, prompt=text)
        assert apart(found, unit(expected[prompt])) < NEAR
    cut = encode(engine, LONG_PART, truncate=True)
    assert apart(cut, unit(expected["long"])) < NEAR


@pytest.mark.parametrize("name", RERANKERS)
def test_pairs_get_the_logits_of_their_libraries(name: str, built: Built) -> None:
    engine, expected = built(name), reference(name)["logits"][:, None]
    pairs = (*PAIR_PARTS, *LONG_PAIRS)[: len(expected)]
    assert apart(encode(engine, *pairs, truncate=True, raw_scores=True), expected) < NEAR
    scores = 1 / (1 + np.exp(-expected.astype(np.float64)))
    assert apart(encode(engine, *pairs, truncate=True), scores) < NEAR


@pytest.mark.parametrize("name", IMAGES)
def test_images_get_the_vectors_of_transformers(name: str, built: Built) -> None:
    expected = reference(name)["images"]
    assert apart(encode(built(name), *image_parts()), unit(expected)) < NEAR


@pytest.mark.parametrize("name", PAIRED)
def test_texts_lie_in_the_space_of_the_images(name: str, built: Built) -> None:
    found = encode(built(name), *TEXT_PARTS, LONG_PART, truncate=True)
    assert apart(found, unit(reference(name)["texts"])) < NEAR


@pytest.mark.parametrize("name", ["bert-mean", "qwen3-embedding", "embeddinggemma", "modernbert"])
def test_what_shares_a_batch_changes_nothing(name: str, built: Built) -> None:
    engine = built(name)
    texts = [TextPart("a server for models " * random.Random(n).randint(1, 6)) for n in range(24)]
    together = encode_jobs(engine, *[Encode(tuple(texts[n::4])) for n in range(4)])
    for number, found in enumerate(together):
        alone = np.concatenate([encode(engine, text) for text in texts[number::4]])
        assert apart(found, alone) < NEAR


@pytest.mark.parametrize("name", ["xlmr-mean", "qwen3-embedding", "qwen3-reranker", "bert-mean"])
def test_the_side_of_the_padding_changes_nothing(name: str, built: Built, tmp_path: Path) -> None:
    folder = write_checkpoint(name, tmp_path / name)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))
    parts = PAIR_PARTS if name in RERANKERS else TEXT_PARTS
    assert apart(encode(engine_of(folder), *parts), encode(built(name), *parts)) < NEAR


def test_nomic_gets_a_layer_norm_before_it_is_cut(built: Built) -> None:
    expected = normalize_layer(reference("nomic")["texts"])[:, :32]
    assert apart(encode(built("nomic"), *TEXT_PARTS, dimensions=32), unit(expected)) < NEAR


# ------------------------------------------------------------------ types of numbers


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["bert-mean", "qwen3-embedding", "embeddinggemma", "clip"])
def test_half_precision_stays_near(name: str, kind: str, tmp_path: Path) -> None:
    engine = engine_of(write_checkpoint(name, tmp_path / name), torch_dtype=kind)
    texts = encode(engine, *TEXT_PARTS)
    expected = unit(reference(name)["texts"])[: len(texts)]
    assert (texts * expected).sum(axis=1).min() > 0.99
    assert apart(texts, expected) > 1e-6 or (name, kind) == ("embeddinggemma", "float16")


def test_scores_of_half_precision_do_not_tie(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3-reranker-head", tmp_path / "reranker")
    engine = engine_of(folder, torch_dtype="bfloat16")
    logits = encode(engine, *PAIR_PARTS, raw_scores=True)[:, 0]
    coarse = torch.tensor(logits).bfloat16().double().numpy()
    assert (logits != coarse).any()  # the head is computed in float32


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("xlmr-mean", {"auto_map": {"AutoModel": "jinaai/xlm--m.XLMRobertaLoRA"}}, "foreign code"),
        ("nomic", {"num_experts": 8, "moe_every_n_layers": 2}, "mixture of experts"),
        ("nomic", {"rotary_emb_fraction": 0.5}, "rotary_emb_fraction is 0.5"),
        ("bert-mean", {"model_type": "unheard-of"}, "unheard-of"),
        ("bert-mean", {"quantization_config": {"quant_method": "bitsandbytes"}}, "packed"),
        ("bert-mean", {"num_hidden_layers": 3}, r"lack or misshape encoder.layer.2"),
        ("dinov3", {"intermediate_size": 96}, r"misshape .*mlp"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    name: str, changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    folder = write_checkpoint(name, tmp_path / name, **changes)
    with pytest.raises(ModelNotLoadable, match=reason):
        engine_of(folder)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("bert-mean", "embeddings.LayerNorm.bias"), ("dinov2", "layernorm.bias")],
)
def test_weights_that_are_no_numbers_are_refused(name: str, tensor: str, tmp_path: Path) -> None:
    folder = write_checkpoint(name, tmp_path / "broken")
    tensors = weights(name)
    tensors[tensor][3] = np.nan
    write_weights(folder / "model.safetensors", tensors)
    with pytest.raises(ModelNotLoadable, match="NaN"):
        engine_of(folder)


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("bert-mean", PairPart("a", "b")),
        ("bert-cross-encoder", TextPart("a")),
        ("bert-mean", image_parts()[0]),
        ("dinov2", TextPart("a")),
        ("clip", PairPart("a", "b")),
    ],
)
def test_an_input_of_another_kind_is_refused(name: str, item: Any, built: Built) -> None:
    with pytest.raises(UnsupportedInput):
        built(name).prepare(Encode((item,)))


def test_a_text_that_is_too_long_is_refused_with_its_place(built: Built) -> None:
    with pytest.raises(InputTooLong) as refused:
        built("bert-mean").prepare(Encode((TextPart("a"), LONG_PART)))
    assert (refused.value.index, refused.value.limit) == (1, 64)
