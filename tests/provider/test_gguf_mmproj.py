"""Which mmproj file goes with a model, what its card says, and how many bytes it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.provider.card import Vision
from app.provider.catalogue.scan import scan
from app.provider.engine import EngineLimits
from app.provider.engines.gguf.format import need, read
from app.provider.engines.gguf.mmproj import find_mmproj, find_mmproj_of
from tests.provider.model_files import write_gguf
from tests.provider.vision_files import write_plain, write_vision_model

QWEN = {"clip__projector_type": "qwen2.5vl_merger", "clip__vision__patch_size": 14}


def write_mmproj(path: Path, width: int = 64, **facts: Any) -> Path:
    return write_gguf(path, architecture="clip", clip__vision__projection_dim=width, **facts)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["mmproj-F16.gguf"], "mmproj-F16.gguf"),
        (["mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf"),
        (["mmproj-F32.gguf", "mmproj-Q8_0.gguf"], "mmproj-Q8_0.gguf"),
        (["mmproj-See-3B-f16.gguf", "mmproj-Other-3B-f16.gguf"], "mmproj-See-3B-f16.gguf"),
        (["See-3B.mmproj-f32.gguf", "mmproj-F16.gguf"], "See-3B.mmproj-f32.gguf"),
        (["mmproj-see-3b-f32.gguf", "mmproj-See-f16.gguf"], "mmproj-see-3b-f32.gguf"),
        (["mmproj-model-f32.gguf", "a-mmproj-of-others.gguf"], "mmproj-model-f32.gguf"),
    ],
)
def test_of_several_files_the_one_of_that_name_is_taken(
    tmp_path: Path, names: list[str], chosen: str
) -> None:
    for name in names:
        write_mmproj(tmp_path / name)
    mmproj = find_mmproj(tmp_path / "See-3B-Q4_K_M.gguf", "llama", 64)
    assert mmproj
    assert mmproj.path.name == chosen


@pytest.mark.parametrize(
    ("architecture", "width", "facts"),
    [
        pytest.param("llama", 65, {}, id="another width"),
        pytest.param("llama", 0, {}, id="unknown width"),
        pytest.param("qwen2", 64, QWEN, id="a plain Qwen of the same width"),
        pytest.param("llama", 64, {"clip__has_audio_encoder": 1}, id="for sound only"),
        pytest.param("llama", 64, {"clip__has_vision_encoder": 0}, id="says it sees nothing"),
        pytest.param("hunyuan", 64, {"clip__projector_type": "hunyuanvl"}, id="uneven"),
    ],
)
def test_what_does_not_fit_is_no_mmproj(
    tmp_path: Path, architecture: str, width: int, facts: dict[str, Any]
) -> None:
    write_mmproj(tmp_path / "mmproj.gguf", **facts)
    assert find_mmproj(tmp_path / "m.gguf", architecture, width) is None


def test_a_file_that_is_cut_off_is_no_mmproj(tmp_path: Path) -> None:
    path = write_vision_model(tmp_path)
    mmproj = tmp_path / "mmproj-seeing-f16.gguf"
    assert find_mmproj_of(path)
    mmproj.write_bytes(mmproj.read_bytes()[:-100])
    assert find_mmproj_of(path) is None
    (tmp_path / "mmproj-noise.gguf").write_bytes(b"noise " * 50)
    assert find_mmproj_of(path) is None


def test_the_card_says_what_pictures_it_takes(tmp_path: Path) -> None:
    card = read(write_vision_model(tmp_path, most_pixels=49 * 28 * 28))
    assert card
    size = (tmp_path / "mmproj-seeing-f16.gguf").stat().st_size
    assert card.tasks == ("chat", "vision")
    assert card.vision == Vision(8, 49, 49 * 28 * 28, size_bytes=size)
    assert card.size_bytes == card.path.stat().st_size


def test_bounds_that_a_file_does_not_tell(tmp_path: Path) -> None:
    usual, square = (
        read(write_vision_model(tmp_path / "a")),
        read(write_plain(tmp_path / "b", "gemma3")),
    )
    assert usual
    assert square
    assert usual.vision
    assert square.vision
    assert (usual.vision.min_tokens, usual.vision.max_tokens) == (8, 4096)
    assert (square.vision.min_tokens, square.vision.max_tokens) == (0, 0)


def test_a_model_without_an_mmproj_says_so(tmp_path: Path) -> None:
    path = write_vision_model(tmp_path)
    (tmp_path / "mmproj-seeing-f16.gguf").unlink()
    card = read(path)
    assert card
    assert (card.tasks, card.vision) == (("chat",), None)
    assert need(card, EngineLimits()).vision == 0


def test_the_stamp_changes_with_the_mmproj(tmp_path: Path) -> None:
    write_vision_model(tmp_path)
    (before,) = scan(tmp_path)
    write_vision_model(tmp_path, most_pixels=100 * 28 * 28)
    (after,) = scan(tmp_path)
    assert before.stamp != after.stamp
    assert after.vision
    assert after.vision.max_tokens == 100


def test_the_mmproj_is_counted_with_what_it_takes_to_encode(tmp_path: Path) -> None:
    card = read(write_vision_model(tmp_path))
    assert card
    assert card.vision
    free, bound = (need(card, EngineLimits(image_tokens=tokens)) for tokens in (0, 256))
    assert bound.vision > card.vision.size_bytes + 40 * 2**20
    assert free.vision > bound.vision + 2**30
    without = need(card, EngineLimits(vision_cache_bytes=0))
    assert free.prefix_cache - without.prefix_cache == EngineLimits().vision_cache_bytes
