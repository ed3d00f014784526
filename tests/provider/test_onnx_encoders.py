"""Encoders on onnxruntime compute what transformers and sentence-transformers compute of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.provider.catalogue.scan import scan
from app.provider.encoding.outputs.vectors import normalize
from app.provider.engine import Engine, EngineLimits
from app.provider.errors import InputTooLong, ModelNotLoadable, UnsupportedInput
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.types import Encode, Encoded, PairPart, TextPart
from tests.encoders.checkpoints import FAMILIES, reference
from tests.encoders.encoding import encoded, loaded, scored
from tests.encoders.inputs import IMAGE_SIZES, LONG, PAIRS, TEXTS, images
from tests.encoders.onnx_graphs import LEFT_OUT, write_onnx_folder
from tests.provider.pictures import from_bytes

KINDS = {name: family.kind for name, family in FAMILIES.items() if name not in LEFT_OUT}
EMBEDDERS = [name for name, kind in KINDS.items() if kind == "embedding"]
RERANKERS = [name for name, kind in KINDS.items() if kind == "rerank"]
PAIRED = [name for name, kind in KINDS.items() if kind == "multimodal"]
IMAGES = [name for name, kind in KINDS.items() if kind == "vision"] + PAIRED

LONG_PAIRS = ((PAIRS[0][0], LONG), (LONG, PAIRS[0][1]))
PARTS = [from_bytes(content, *size) for content, size in zip(images(), IMAGE_SIZES, strict=True)]

Built = Callable[[str], Engine]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of all families."""
    folder = tmp_path_factory.mktemp("models")
    for name in KINDS:
        write_onnx_folder(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(models: Path) -> Iterator[Built]:
    """The engine of a family, built once."""
    engines: dict[str, Engine] = {}

    def engine(name: str) -> Engine:
        if name not in engines:
            engines[name] = loaded("onnx", models / name)
        return engines[name]

    yield engine
    for one in engines.values():
        one.close()


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    return normalize(vectors.astype(np.float32))


def near(found: NDArray[Any], expected: NDArray[Any]) -> None:
    """The same arithmetic in another order; 1e-4 is promised."""
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
    engine, expected = built(name), reference(name)["logits"].astype(np.float64).ravel()
    pairs = (*PAIRS, *LONG_PAIRS)[: len(expected)]
    near(scored(engine, pairs, truncate=True, raw_scores=True), expected)
    near(scored(engine, pairs, truncate=True), 1 / (1 + np.exp(-expected)))


@pytest.mark.parametrize("name", IMAGES)
def test_images_get_the_vectors_of_transformers(name: str, built: Built) -> None:
    near(encoded(built(name), PARTS), unit(reference(name)["images"]))


@pytest.mark.parametrize("name", PAIRED)
def test_texts_lie_in_the_space_of_the_images(name: str, built: Built) -> None:
    found = encoded(built(name), (*TEXTS, LONG), truncate=True)
    near(found, unit(reference(name)["texts"]))


# ------------------------------------------------------------------ cards, and the pool


def test_every_folder_is_listed_as_what_it_is(models: Path) -> None:
    found = {card.id: card for card in scan(models)}
    assert found.keys() == KINDS.keys()
    for name, card in found.items():
        assert (card.engine, card.kind, card.problem) == ("onnx", KINDS[name], None)


async def test_a_pool_encodes(models: Path) -> None:
    pool = ModelPool(PoolConfig(models, limits=EngineLimits(threads=1)))
    job = Encode(tuple(map(TextPart, TEXTS)))
    events = [event async for event in pool.encode("bert-mean", job)]
    await pool.close()
    vectors = {event.index: event.vector for event in events if isinstance(event, Encoded)}
    found = np.stack([np.frombuffer(vectors[index], "<f4") for index in range(len(TEXTS))])
    near(found, unit(reference("bert-mean")["texts"]))


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("bert-mean", PARTS[0]),
        ("bert-mean", PairPart("a", "b")),
        ("bert-cross-encoder", TextPart("a")),
        ("dinov2", TextPart("a")),
        ("clip", PairPart("a", "b")),
    ],
)
def test_a_model_takes_its_own_kind_of_input(name: str, part: Any, built: Built) -> None:
    with pytest.raises(UnsupportedInput, match="takes"):
        encoded(built(name), [part])


def test_the_context_length_of_the_server_bounds_texts(models: Path) -> None:
    engine = loaded("onnx", models / "bert-mean", context_length=16)
    with pytest.raises(InputTooLong, match="at most 16"):
        encoded(engine, [LONG])


@pytest.mark.parametrize(
    ("graph_of", "folder_of", "reason"),
    [
        ("dinov2", "bert-mean", "takes no tokens"),
        ("bert-mean", "dinov2", "takes no images"),
        ("bert-cross-encoder", "bert-mean", r"no vectors of 64 numbers"),
        ("qwen3-embedding", "bert-cross-encoder", "of several numbers for a pair"),
    ],
)
def test_a_graph_of_another_kind_is_not_loaded(
    models: Path, tmp_path: Path, graph_of: str, folder_of: str, reason: str
) -> None:
    folder = shutil.copytree(models / folder_of, tmp_path / folder_of)
    shutil.rmtree(folder / "onnx")
    shutil.copytree(models / graph_of / "onnx", folder / "onnx")
    with pytest.raises(ModelNotLoadable, match=reason):
        loaded("onnx", folder)


def test_a_broken_graph_is_not_loaded(models: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models / "bert-mean", tmp_path / "bert-mean")
    (folder / "onnx" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelNotLoadable, match=r"cannot load model\.onnx"):
        loaded("onnx", folder)
