"""GGUF files in a models folder. They are real ones made here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest

from app.provider.card import Shape
from app.provider.catalogue.scan import scan
from app.provider.errors import ModelConflict, ModelNotFound, ModelNotLoadable
from app.provider.headers.gguf import CUT_OFF, TENSOR_TYPES, read_header
from app.provider.pool.pool import ModelPool, PoolConfig
from tests.provider.asking import STARTER, prompt
from tests.provider.model_files import write_gguf


def test_facts_come_from_the_header(tmp_path: Path) -> None:
    write_gguf(tmp_path / "deep" / "er" / "My-Model.Q8_0.gguf")
    (card,) = scan(tmp_path)
    assert (card.id, card.format, card.tasks) == ("My-Model.Q8_0", "gguf", ("chat",))
    assert (card.context_length, card.quantization, card.architecture) == (1234, "Q8_0", "llama")
    assert (card.name, card.licence, card.problem) == ("A model", "mit", None)
    assert card.size_bytes == card.path.stat().st_size


def test_a_gguf_is_recognised_by_its_content_alone(tmp_path: Path) -> None:
    write_gguf(tmp_path / "no-suffix")
    (tmp_path / "liar").write_text("this is no model. " * 9)
    (tmp_path / "empty").touch()
    assert [card.id for card in scan(tmp_path)] == ["no-suffix"]


def test_downloads_in_progress_and_vision_parts_are_left_out(tmp_path: Path) -> None:
    write_gguf(tmp_path / ".incoming" / "half.gguf")
    write_gguf(tmp_path / "mmproj.gguf", architecture="clip")
    assert scan(tmp_path) == []


def test_what_only_goes_with_a_model_has_no_card(tmp_path: Path) -> None:
    write_gguf(tmp_path / "lora.gguf", general__type="adapter")
    write_gguf(tmp_path / "vocabulary.gguf", tensors=0)
    write_gguf(tmp_path / "half.gguf.part")
    write_gguf(tmp_path / "copied.gguf.crdownload")
    write_gguf(tmp_path / "edited.gguf~")
    assert scan(tmp_path) == []


def test_shape_and_parameters_come_from_the_header(tmp_path: Path) -> None:
    write_gguf(
        tmp_path / "m.gguf",
        tensors=3,
        llama__block_count=4,
        llama__embedding_length=64,
        llama__attention__head_count=8,
        llama__attention__head_count_kv=[4, 4, 2, 0],
        general__version="v2",
        tokenizer__chat_template="{{ bos }}",
    )
    (card,) = scan(tmp_path)
    assert card.parameters == 3 * 64 * 64
    assert card.shape == Shape(4, 8, 4, 8, 8, 64, vocabulary=3, kv_heads_of_all=10)
    assert card.shape.kv_numbers == 10 * (8 + 8)
    assert (card.version, card.chat_template) == ("v2", "{{ bos }}")


def test_a_head_of_its_own_width_is_believed(tmp_path: Path) -> None:
    widths: dict[str, Any] = {
        "llama__attention__key_length": 192,
        "llama__attention__value_length": 128,
    }
    write_gguf(tmp_path / "m.gguf", llama__block_count=2, llama__attention__head_count=4, **widths)
    (card,) = scan(tmp_path)
    assert card.shape.kv_numbers == 2 * 4 * (192 + 128)


def test_metadata_of_a_wrong_type_is_left_out(tmp_path: Path) -> None:
    write_gguf(
        tmp_path / "m.gguf",
        llama__block_count="four",
        llama__embedding_length=[1, 2],
        llama__attention__head_count=["a"],
        general__version=7,
    )
    (card,) = scan(tmp_path)
    assert (card.shape, card.version) == (Shape(vocabulary=3), "")


def test_an_architecture_may_have_any_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", architecture="{1}%s\\")
    assert [card.architecture for card in scan(tmp_path)] == ["{1}%s\\"]


def test_a_model_in_parts_is_one_model(tmp_path: Path) -> None:
    parts = [f"Big-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    paths = [write_gguf(tmp_path / name) for name in parts]
    (card,) = scan(tmp_path)
    assert (card.id, card.aliases) == ("Big-00001-of-00003", ("Big",))
    assert card.size_bytes == sum(path.stat().st_size for path in paths)
    assert (card.parameters, card.problem) == (3 * 64 * 64, None)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    assert (
        scan(tmp_path)[0].problem
        == f"The model is incomplete: {parts[1]} is cut off. Download or copy it again."
    )
    paths[1].unlink()
    assert (
        scan(tmp_path)[0].problem
        == f"The model is incomplete: {parts[1]} is missing. Download or copy it again."
    )
    paths[1].write_bytes(whole)
    assert scan(tmp_path)[0].problem is None


def test_an_mmproj_beside_a_model_lets_it_see(tmp_path: Path) -> None:
    write_gguf(tmp_path / "sees.gguf", llama__embedding_length=64)
    write_gguf(tmp_path / "other.gguf", llama__embedding_length=128)
    assert {card.tasks for card in scan(tmp_path)} == {("chat",)}
    mmproj = tmp_path / "mmproj-sees.gguf"
    write_gguf(mmproj, architecture="clip", clip__vision__projection_dim=64)
    tasks = {card.id: card.tasks for card in scan(tmp_path)}
    assert tasks == {"sees": ("chat", "vision"), "other": ("chat",)}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_half_copied_file_is_incomplete(tmp_path: Path, share: float) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: int(len(whole) * share)])
    problems = {card.id: card.problem for card in scan(tmp_path)}
    assert problems["whole"] is None
    assert problems["half"] == CUT_OFF


def test_the_sizes_of_tensor_types_are_those_of_the_format() -> None:
    sizes = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: sizes[kind] for kind in TENSOR_TYPES} == TENSOR_TYPES


def test_a_damaged_header_never_raises(tmp_path: Path) -> None:
    whole = bytearray(write_gguf(tmp_path / "model.gguf").read_bytes())
    for at in range(4, 400):
        damaged = whole.copy()
        damaged[at] ^= 0xFF
        path = tmp_path / "damaged.gguf"
        path.write_bytes(damaged)
        assert read_header(path) is not None


def test_the_scan_sees_changes_at_once(tmp_path: Path) -> None:
    assert scan(tmp_path) == []
    path = write_gguf(tmp_path / "new.gguf")
    assert len(scan(tmp_path)) == 1
    path.unlink()
    assert scan(tmp_path) == []


async def test_unknown_and_ambiguous_models_are_explained(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a" / "twin.gguf")
    write_gguf(tmp_path / "b" / "twin.gguf")
    pool = ModelPool(PoolConfig(tmp_path))
    with pytest.raises(ModelNotFound, match="nobody"):
        pool.card("nobody")
    with pytest.raises(ModelNotFound):
        pool.card("../a/twin")
    with pytest.raises(ModelConflict, match=r"'twin': a.twin[.]gguf and b.twin[.]gguf"):
        pool.card("twin")


async def test_an_incomplete_file_is_never_loaded(tmp_path: Path) -> None:
    whole = STARTER.read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 3])
    pool = ModelPool(PoolConfig(tmp_path))
    with pytest.raises(ModelNotLoadable, match="incomplete"):
        await anext(pool.stream("half", prompt("hi")))
    assert pool.health() == {}


def test_the_default_is_the_named_file_then_the_starter(tmp_path: Path) -> None:
    named = write_gguf(tmp_path / "elsewhere" / "mine.gguf")
    write_gguf(tmp_path / "models" / "another.gguf")
    folder = tmp_path / "models"
    assert ModelPool(PoolConfig(folder)).card(None).id == "another"
    shutil.copy(named, folder / "starter.gguf")
    assert ModelPool(PoolConfig(folder)).card(None).id == "starter"
    assert ModelPool(PoolConfig(folder, default_model=named)).card(None).path == named
