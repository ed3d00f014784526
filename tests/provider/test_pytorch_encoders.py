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

from app.provider.encoding.outputs.vectors import normalize_layer
from app.provider.engine import Engine, EngineLimits
from app.provider.engines.pytorch.format import need, read
from app.provider.errors import InputTooLong, ModelNotLoadable, UnsupportedInput
from app.provider.pool.hardware import resident_bytes
from app.provider.types import Encode, PairPart, TextPart
from tests.encoders.checkpoints import FAMILIES, reference, weights, write_checkpoint, write_weights
from tests.encoders.encoding import answers_to_jobs, encoded, image_parts, loaded, scored, unit
from tests.encoders.inputs import LONG, LONG_PAIRS, PAIRS, TEXTS
from tests.encoders.minilm import INPUTS, copy_folder, vectors
from tests.encoders.pairs import ENGLISH
from tests.provider.encoder_asking import encode, encoder_host, texts
from tests.provider.real_models import MINILM, real_model

EMBEDDERS = [name for name, family in FAMILIES.items() if family.kind == "embedding"]
RERANKERS = [name for name, family in FAMILIES.items() if family.kind == "rerank"]
IMAGES = [name for name, family in FAMILIES.items() if family.kind in {"vision", "multimodal"}]
PAIRED = [name for name, family in FAMILIES.items() if family.kind == "multimodal"]

Built = Callable[[str], Engine]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The engine of a family, built once."""
    engines: dict[str, Engine] = {}
    folder = tmp_path_factory.mktemp("encoders")

    def engine(name: str) -> Engine:
        if name not in engines:
            engines[name] = loaded("pytorch", write_checkpoint(name, folder / name))
        return engines[name]

    return engine


def near(found: Any, expected: Any) -> None:
    """The same arithmetic in another order of the batch; 1e-4 is promised."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


# ------------------------------------------------------------------ the same numbers


@pytest.mark.parametrize("name", EMBEDDERS)
def test_texts_get_the_vectors_of_sentence_transformers(name: str, built: Built) -> None:
    engine, expected = built(name), reference(name)
    near(encoded(engine, TEXTS), unit(expected["texts"]))
    near(encoded(engine, [LONG], truncate=True), unit(expected["long"]))
    stated = FAMILIES[name].files.get("config_sentence_transformers.json", {}).get("prompts")
    for prompt in FAMILIES[name].prompts:
        near(encoded(engine, TEXTS, prompt=stated[prompt]), unit(expected[prompt]))


@pytest.mark.parametrize("name", RERANKERS)
def test_pairs_get_the_logits_of_their_libraries(name: str, built: Built) -> None:
    engine, expected = built(name), reference(name)["logits"].astype(np.float64)
    pairs = (*PAIRS, *LONG_PAIRS)[: len(expected)]
    near(scored(engine, pairs, truncate=True, raw_scores=True), expected)
    near(scored(engine, pairs, truncate=True), 1 / (1 + np.exp(-expected)))


@pytest.mark.parametrize("name", IMAGES)
def test_images_get_the_vectors_of_transformers(name: str, built: Built) -> None:
    near(encoded(built(name), image_parts()), unit(reference(name)["images"]))


@pytest.mark.parametrize("name", PAIRED)
def test_texts_lie_in_the_space_of_the_images(name: str, built: Built) -> None:
    found = encoded(built(name), [*TEXTS, LONG], truncate=True)
    near(found, unit(reference(name)["texts"]))


@pytest.mark.parametrize("name", ["bert-mean", "qwen3-embedding", "embeddinggemma", "modernbert"])
def test_what_shares_a_batch_changes_nothing(name: str, built: Built) -> None:
    engine, dice = built(name), random.Random(name)
    texts = ["a server for models " * dice.randint(1, 6) for _ in range(24)]
    jobs = [Encode(tuple(map(TextPart, texts[start::4]))) for start in range(4)]
    for start, answers in enumerate(answers_to_jobs(engine, jobs)):
        together = [np.frombuffer(one.vector, "<f4") for one in answers]
        near(together, np.concatenate([encoded(engine, [text]) for text in texts[start::4]]))


@pytest.mark.parametrize("name", ["xlmr-mean", "qwen3-embedding", "bert-mean"])
def test_the_side_of_the_padding_changes_nothing(name: str, built: Built, tmp_path: Path) -> None:
    folder = write_checkpoint(name, tmp_path / name)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))
    near(encoded(loaded("pytorch", folder), TEXTS), unit(reference(name)["texts"]))


def test_nomic_gets_a_layer_norm_before_it_is_cut(built: Built) -> None:
    expected = normalize_layer(reference("nomic")["texts"])[:, :32]
    near(encoded(built("nomic"), TEXTS, dimensions=32), unit(expected))


def test_the_real_minilm_is_that_of_sentence_transformers(tmp_path: Path) -> None:
    engine = loaded("pytorch", copy_folder(real_model(MINILM), tmp_path / "minilm"))
    near(encoded(engine, INPUTS, truncate=True), vectors())
    questions, passages = (encoded(engine, texts) for texts in zip(*ENGLISH, strict=True))
    nearest = (questions @ passages.T).argmax(axis=1)
    assert (nearest == np.arange(len(ENGLISH))).mean() >= 0.95


# ------------------------------------------------------------------ types of numbers


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["bert-mean", "qwen3-embedding", "embeddinggemma", "clip"])
def test_half_precision_stays_near(name: str, kind: str, tmp_path: Path) -> None:
    folder = write_checkpoint(name, tmp_path / name)
    found = encoded(loaded("pytorch", folder, torch_dtype=kind), TEXTS)
    expected = unit(reference(name)["texts"])[: len(TEXTS)]
    assert np.einsum("ij,ij->i", found, expected).min() > 0.99
    exact = (name, kind) == ("embeddinggemma", "float16")  # which would overflow
    assert (np.abs(found - expected).max() < 1e-5) == exact


def test_scores_of_half_precision_do_not_tie(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3-reranker-head", tmp_path / "reranker")
    engine = loaded("pytorch", folder, torch_dtype="bfloat16")
    logits = scored(engine, PAIRS, raw_scores=True)
    coarse = torch.tensor(logits).bfloat16().double().numpy()
    assert (logits != coarse).all()  # the head is computed in float32


# ------------------------------------------------------------------ memory


def test_without_a_gpu_it_says_that_the_cpu_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    folder = write_checkpoint("bert-mean", tmp_path / "bert")
    near(
        encoded(loaded("pytorch", folder, gpu_layers=1), TEXTS),
        unit(reference("bert-mean")["texts"]),
    )
    assert "computed on the CPU" in caplog.text
    caplog.clear()
    loaded("pytorch", folder)
    assert not caplog.text


@pytest.mark.matrix
async def test_memory_of_the_real_minilm_is_what_was_predicted(tmp_path: Path) -> None:
    folder = copy_folder(real_model(MINILM), tmp_path / "minilm")
    card = read(folder)
    assert card
    host = encoder_host("pytorch", folder, threads=1)
    await encode(host, texts(*TEXTS, *[LONG] * 8, truncate=True))
    pid = host.status().pid
    assert pid
    taken = resident_bytes(pid)
    await host.stop()
    assert taken == pytest.approx(need(card, EngineLimits(threads=1)).total, rel=0.15)


def test_the_memory_for_keys_and_values_bounds_an_input(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3-embedding", tmp_path / "qwen")
    bounded = loaded("pytorch", folder, kv_cache_bytes=4 * 12 * 64 * 600)
    with pytest.raises(InputTooLong) as refused:
        bounded.prepare(Encode((TextPart(LONG * 2),)))
    assert refused.value.limit == bounded.info.context_length == 600
    assert loaded("pytorch", folder).info.context_length == 1024


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        (
            "xlmr-mean",
            {"auto_map": {"AutoModel": "jinaai/xlm--m.XLMRobertaLoRA"}},
            "code of its own",
        ),
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
        loaded("pytorch", folder)


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
        loaded("pytorch", folder)


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
        built("bert-mean").prepare(Encode((TextPart("a"), TextPart(LONG))))
    assert (refused.value.index, refused.value.limit) == (1, 64)
