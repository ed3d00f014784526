"""What the MLX engine computes of pictures, beside mlx-vlm and transformers."""

from __future__ import annotations

import importlib
import importlib.util
from array import array
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import measure, patches, scaled
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.prepared_prompt import PreparedPrompt, place_images
from app.provider.types import (
    ImagePart,
    Sampling,
)
from tests.provider.mlx_driver import NONE, Driver, driver
from tests.provider.pictures import noise
from tests.provider.qwen_vl_files import write_qwen_vl

pytest.importorskip("mlx_lm", reason="mlx: mlx_lm is not installed")
pytest.importorskip("mlx_vlm", reason="mlx: mlx_vlm is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen_vl(tmp_path_factory.mktemp("models") / "tiny-vl")


@pytest.fixture(scope="module")
def mlx(folder: Path) -> Iterator[Driver]:
    """An engine; tests that must not share prefixes name owners of their own."""
    made = driver(folder)
    yield made
    made.engine.close()


def encoded(model: Any, image: Any) -> Any:
    """The features of a picture that is alone in a prompt."""
    pixels = scaled(image.part, image.size.width, image.size.height)
    layers = model.vision_tower.encode(
        patches(pixels, model.scaling), image.size.height // 28, image.size.width // 28
    )
    while True:
        try:
            next(layers)
        except StopIteration as end:
            return end.value


PAIRS = [
    [noise(112, 84)],
    [noise(300, 200, seed=1), noise(90, 200, seed=2)],
    [noise(500, 100, seed=3)],
]


def laid_out(model: Any, pictures: list[ImagePart]) -> PreparedPrompt:
    """A prompt of pictures between a few tokens."""
    parts: list[list[int] | ImagePart] = [[10, 11, 12, 259]]
    for one in pictures:
        parts += [one, [260, 20, 21, 259]]
    tokens, images = place_images(parts, partial(measure, model.scaling))
    return PreparedPrompt(array("i", tokens), "", Sampling(), images)


def logits(model: Any, prompt: PreparedPrompt, piece: int, answer: array[int] = NONE) -> Any:
    """All logits of a prompt that is read in pieces, or those of the answer to it."""
    import mlx.core as mx  # noqa: PLC0415

    images = [ImageFeatures(one, encoded(model, one)) for one in prompt.images]
    cache, tokens = model.batch_cache(model.new_cache(), prompt, 0, images), prompt.tokens.tolist()
    parts = [
        np.array(model(mx.array([tokens[start : start + piece]]), cache)[0])
        for start in range(0, len(tokens), piece)
    ]
    if answer:
        parts = [np.array(model(mx.array([[token]]), cache)[0]) for token in answer]
    return np.concatenate(parts)


@pytest.mark.parametrize("pictures", PAIRS)
def test_features_are_those_of_mlx_vlm(mlx: Driver, pictures: list[ImagePart]) -> None:
    """Ours are computed in another order, with both frames at once."""
    import mlx.core as mx  # noqa: PLC0415

    model = mlx.engine._runner._model
    for one in laid_out(model, pictures).images:
        grid = [[1, one.size.height // 14, one.size.width // 14]]
        whole = patches(scaled(one.part, one.size.width, one.size.height), Scaling())
        expected = model._model.vision_tower(mx.array(whole), mx.array(grid))
        assert np.allclose(np.array(encoded(model, one)), np.array(expected), atol=1e-3)


@pytest.mark.parametrize("pictures", PAIRS)
def test_reading_in_pieces_changes_nothing(mlx: Driver, pictures: list[ImagePart]) -> None:
    model = mlx.engine._runner._model
    prompt = laid_out(model, pictures)
    assert np.allclose(logits(model, prompt, 5), logits(model, prompt, 999), atol=1e-4)


def test_qwen2_vl_sees_the_same_way() -> None:
    """It has no windows, and other layers."""
    import mlx.core as mx  # noqa: PLC0415

    code = importlib.import_module("mlx_vlm.models.qwen2_vl")
    config = code.VisionConfig(
        model_type="qwen2_vl", depth=2, embed_dim=48, hidden_size=64, num_heads=3, mlp_ratio=2.0
    )
    theirs = SimpleNamespace(vision_tower=code.VisionModel(config))
    tower = importlib.import_module("app.provider.engines.mlx.vision_tower").VisionTower(theirs)
    model = SimpleNamespace(vision_tower=tower, scaling=Scaling(frames=1))
    (one,) = laid_out(model, [noise(300, 200)]).images
    whole = patches(scaled(one.part, one.size.width, one.size.height), Scaling())
    grid = [[1, one.size.height // 14, one.size.width // 14]]
    expected = theirs.vision_tower(mx.array(whole), mx.array(grid))
    assert np.allclose(np.array(encoded(model, one)), np.array(expected), atol=1e-4)


def test_an_answer_is_where_it_would_be_as_part_of_the_prompt(mlx: Driver) -> None:
    """What follows a picture stands behind its longer side, not behind its last token."""
    model, written = mlx.engine._runner._model, array("i", [20, 30, 40, 50])
    prompt = laid_out(model, [noise(300, 200)])
    whole = PreparedPrompt(prompt.tokens + written, "", Sampling(), prompt.images)
    expected = logits(model, whole, 999)
    assert np.allclose(logits(model, prompt, 999, written), expected[-len(written) :], atol=1e-4)


@pytest.mark.parametrize("pictures", PAIRS)
def test_logits_are_those_of_transformers(
    mlx: Driver, folder: Path, pictures: list[ImagePart]
) -> None:
    torch = pytest.importorskip("torch", reason="parity with transformers: torch is not installed")
    model = mlx.engine._runner._model
    prompt = laid_out(model, pictures)
    whole = [
        patches(scaled(one.part, one.size.width, one.size.height), Scaling())
        for one in prompt.images
    ]
    grids = [[1, one.size.height // 14, one.size.width // 14] for one in prompt.images]
    ids = np.array([[261 if token < 0 else token for token in prompt.tokens]])
    library = importlib.import_module("transformers").Qwen2_5_VLForConditionalGeneration
    theirs = library.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = theirs(
            input_ids=torch.tensor(ids),
            pixel_values=torch.tensor(np.concatenate(whole)),
            image_grid_thw=torch.tensor(grids),
            mm_token_type_ids=torch.tensor((ids == 261).astype(int)),
        ).logits[0]
    assert np.allclose(logits(model, prompt, 999), expected.numpy(), atol=1e-4)
